"""The targets: a file each, named in TARGETS. A target is a module for one or both interpreters with

INTERPRETERS   where it runs; with two, what they say of every input is compared
seeds()        good inputs to damage
generate(random, seeds)  the next input
parse(data)    what is under test, memory included; raises only what it declares, and swallows that
BOUND          (base, per_byte): bytes that parse() may allocate for an input, garbage included, on 64-bit MicroPython
verdict(data)  what it makes of an input, as bytes; raises AssertionError when that contradicts itself
"""

TARGETS = (
    "cbor",
    "ingest",
    "mqtt",
    "dns",
    "claim",
    "serial",
    "image",
    "loader",
    "signed",
    "sign1",
    "update",
    "payload",
)


def load(name: str):  # type: ignore[no-untyped-def]  # a module; MicroPython has no types to name
    """The module of a target."""
    return getattr(__import__("tools.fuzz.targets." + name).fuzz.targets, name)
