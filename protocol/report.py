"""The report line: what a board says about itself on its serial console (SPEC 12). `protocol/console.py` reads it."""

from json import dumps

PREFIX = "@lumenair "
ASK = "?"  # a line of this alone asks for a report

NODE = "node"
CLAIMING = "claiming"
UNPROVISIONED = "unprovisioned"
DAMAGED = "damaged"


def report(state: str, **values: "str | int") -> str:
    """The line, without its end. `values` by the names of SPEC 12.2; what is left out has its default."""
    values["state"] = state
    return PREFIX + dumps(values)
