"""`python -m tools.demo`: a whole fleet on this computer, with nothing but what pip installed."""
