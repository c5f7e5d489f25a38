"""The light product: what a node decides about its lamp. Pure; `tasks/light.py` builds it. In doubt the lamp is on."""
