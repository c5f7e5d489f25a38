"""One part number per file; the bus is an argument. `registry.py` knows which part has which driver."""
