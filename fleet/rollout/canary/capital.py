"""What the windows of one node are worth as evidence: two gamblers, one on each side, in millionths of their stake.

The first bets that the release made the node worse. Were the node sound, each bet would be fair or worse for him, so
the chance that his capital is ever multiplied by x is at most 1/x (Ville's inequality), whenever one looks. He bets
against the chance of a bad window after a good one, and against the much greater one after a bad one (`stays`): a row
of bad windows is not so many independent signs. Part of his stake waits, for a fault that comes late.

The second bets that the node is sound, against a release that makes it worse by the minimum effect, which shows in at
least `share` of its windows. Every window that is worse counts against him, bad or not.

All divisions round down, against the gambler.
"""

from dataclasses import dataclass

from fleet.rollout.canary.metrics import Metric
from fleet.rollout.canary.score import BAD, GOOD, NONE, Course

STAKE = 1_000_000
WAITING = 4  # one of so many parts of the stake waits at first,
INVEST = 16  # and one of so many of what waits is added before each window
CLEAR_MIN = 3  # windows without which no node is cleared


@dataclass(frozen=True, slots=True)
class Capital:
    """What both have after the last window, and the first one after each."""

    worse: int  # millionths
    sound: int
    course: tuple[int, ...]  # of the first


def play(metric: Metric, course: Course, most: int) -> Capital:
    """Let both bet on every window. The second keeps at most `most`: what is good for long can still become worse."""
    waits = STAKE // WAITING
    bets, sound = STAKE - waits, STAKE
    after_bad, history = False, []
    for mark, chance in zip(course.marks, course.chances, strict=True):
        if mark != NONE:
            waits, bets = waits - waits // INVEST, bets + waits // INVEST
            assumed = max(chance, metric.stays) if after_bad else chance
            bets = _bet(bets, metric.share, assumed, mark == BAD)
            sound = min(_bet(sound, assumed, metric.share, mark != GOOD), most)
            after_bad = mark == BAD
        history.append(bets + waits)
    return Capital(bets + waits, sound, tuple(history))


def _bet(capital: int, believed: int, assumed: int, shown: bool) -> int:
    """After a bet that believes in so many permille, against odds that assume so many."""
    return capital * believed // assumed if shown else capital * (1000 - believed) // (1000 - assumed)
