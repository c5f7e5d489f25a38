"""The program of a node."""

VERSION = "0.1.0"
