"""The part of the matrix that runs under MicroPython: the node, its flash, and what must be true after a cut."""
