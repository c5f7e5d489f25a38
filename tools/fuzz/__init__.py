"""Seeded fuzzing of the parsers that face the wire, the same inputs on CPython and on MicroPython.

`python -m tools.fuzz cbor --runs 1000000` starts loop.py on each interpreter of the target and compares what they say.
A target is a file in targets/; rng.py, inputs.py, loop.py and most targets run on both interpreters.
"""
