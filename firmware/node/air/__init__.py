"""The air product: what a node decides about its sensors and their values. Pure; `tasks/air.py` builds it."""
