"""Private numbers of the firmware become constants of the compiler, and nothing else does."""

import pytest

from fleet.flashing.constants import marked

BECOMES: dict[str, tuple[str, str]] = {
    "a private number": ("_A = 5\n", "_A = const(5)\n"),
    "an expression of such": ("_A = 1 << 4\n_B = -_A * 2  # why\n", "_A = const(1 << 4)\n_B = const(-_A * 2)  # why\n"),
    "one over two lines": ("_A = (\n    1\n    + 2\n)\n", "_A = (\n    const(1\n    + 2)\n)\n"),
    "one behind letters of two bytes": ('"""ä"""; _A = 5\n', '"""ä"""; _A = const(5)\n'),
}
STAYS: dict[str, str] = {
    "a public number, which others import": "A = 5\n",
    "one that is bound twice": "_A = 5\n_A = 6\n",
    "one that a function sets": "_A = 5\ndef f():\n    global _A\n    _A = 6\n",
    "one that is a parameter as well": "_A = 5\ndef f(_A):\n    return _A\n",
    "a text": "_A = 'a'\n",
    "a truth": "_A = True\n",
    "what has to be computed": "_A = len('abc')\n_B = _A + 1\n",
    "what is bound in a function": "def f():\n    _A = 5\n    return _A\n",
    "two names at once": "_A, _B = 1, 2\n",
    "one value for two names": "_A = _B = 1\n",
}


@pytest.mark.parametrize("sentence", BECOMES)
def test_it_becomes_a_constant(sentence: str) -> None:
    source, wanted = BECOMES[sentence]
    assert marked(source) == wanted


@pytest.mark.parametrize("sentence", STAYS)
def test_it_stays_as_it_is(sentence: str) -> None:
    assert marked(STAYS[sentence]) == STAYS[sentence]
