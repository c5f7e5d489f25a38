"""The host program: keeps the fleet directory, runs the broker, stores what nodes send, and answers people."""

__version__ = "0.1.0"
