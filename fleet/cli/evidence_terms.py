"""What a packet of evidence says, in the words of terminal and page alike."""

from collections.abc import Mapping
from typing import Any


def errors(rules: Mapping[str, int]) -> str:
    """The stated error rates, for people."""
    false, missed = (f"{rules[name] / 10:g} %" for name in ("alpha", "beta"))
    return f"a sound release is halted in {false} of cases at most, a worse one promoted in {missed}"


def says(result: Mapping[str, Any]) -> str:
    """One word for what a test has found."""
    if result["halts"]:
        return "worse"
    if not result["seen"]:
        return "-"
    if result["unclear"] < result["need"]:
        return "as good"
    return "suspect" if progress(result["worse"], result["bound"]) else "open"


def progress(worse: int, bound: int) -> int:
    """How far evidence has come to where it halts, in %: by its logarithm, which grows evenly from window to window."""
    from fleet.rollout.canary.capital import STAKE
    from fleet.rollout.canary.metrics.base import octaves

    gone = octaves(max(worse, 1)) - octaves(STAKE)
    return min(100, max(0, gone * 100 // (octaves(bound) - octaves(STAKE))))
