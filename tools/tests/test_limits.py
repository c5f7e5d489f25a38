"""The house limits hold here, and the checker sees what it is for: no float can come into being in device code."""

import ast
from pathlib import Path

import pytest

from tools import limits
from tools.interpreter import ROOT

FLOATS = {
    "a literal": "x = 0.5",
    "a literal in scientific notation": "x = 1e3",
    "true division": "x = a / b",
    "true division in place": "x /= 2",
    "the built-in": "x = float(a)",
    "rounding, which divides": "x = round(a)",
    "the clock, which is a float on the unix port": "x = time.time()",
    "mathematics": "import math",
    "one function of it": "from math import sqrt",
    "JSON, which reads floats": "import json",
    "reading JSON by name": "from json import dumps, loads",
    "a packed float": "x = struct.pack('<f', a)",
    "a double among integers": "x = struct.unpack('>IHd', a)",
}
INTEGERS = {
    "floor division": "x = a // b",
    "remainder": "x = a % b",
    "shifts": "x = a * 3 >> 2",
    "packed integers": "x = struct.pack('>IHb', a, b, c)",
    "text with a dot": "x = '0.5 %'",
    "ticks": "x = time.ticks_ms()",
    "writing JSON": "from json import dumps",
}


@pytest.mark.parametrize("source", FLOATS.values(), ids=FLOATS.keys())
def test_a_float_is_found_as(source: str) -> None:
    assert list(limits.floats(Path("firmware/node/core/x.py"), ast.parse(source)))


@pytest.mark.parametrize("source", INTEGERS.values(), ids=INTEGERS.keys())
def test_no_float_is_suspected_in(source: str) -> None:
    assert not list(limits.floats(Path("firmware/node/core/x.py"), ast.parse(source)))


def test_everything_that_ships_is_looked_at() -> None:
    shipped = [path for path in limits.files(ROOT) if path.suffix == ".py" and limits.is_device(path)]
    assert Path("protocol/cbor.py") in shipped
    assert Path("firmware/node/core/clock.py") in shipped
    assert Path("firmware/node/drivers/bme280.py") in shipped
    assert Path("firmware/node/light/counters.py") in shipped


def test_the_repository_keeps_its_limits() -> None:
    assert limits.check(ROOT) == []


def test_a_long_file_and_a_long_function_are_named() -> None:
    source = "def long():\n" + "    x = 1\n" * 40 + "y = 2\n" * 400
    found = [text for _, _, text in limits.sizes(Path("x.py"), source, ast.parse(source))]
    assert found == ["file of 441 lines, at most 400", "long() of 41 lines, at most 40"]


def test_a_path_of_one_machine_is_named() -> None:
    assert list(limits.foreign(Path("x.md"), "see /home/" + "somebody/lumenair\n"))
