"""The power-cut matrix: the power fails within every flash operation of what a node writes, and it boots every time."""
