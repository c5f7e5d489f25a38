"""The contract between node and fleet manager. SPEC.md is its text; this package imports itself only."""

VERSION = 1  # the number in the topic prefix; raised only for an incompatible change (SPEC 1.3)
