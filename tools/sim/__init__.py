"""The simulated world, the models of the parts, and the process that runs a node among them."""
