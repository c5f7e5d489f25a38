"""Error rates of the canary's test, by simulation. Seeds are fixed, so a run says the same every time."""

import random

from fleet.model import Kind
from fleet.rollout.canary import judge
from fleet.rollout.canary.capital import STAKE, play
from fleet.rollout.canary.metrics import METRICS
from fleet.rollout.canary.score import BAD, GOOD, Course
from fleet.rollout.plan import Judging
from fleet.tests import canary_rig as rig
from fleet.tests.canary_rig import Street

METRIC = METRICS[Kind.AIR][0]


def marks(rng: random.Random, windows: int, after_good: int, after_bad: int) -> str:
    """Windows of a node that has bad ones exactly as often as is assumed of the worst sound one."""
    row, bad = [], False
    for _ in range(windows):
        bad = rng.randrange(1000) < (after_bad if bad else after_good)
        row.append(BAD if bad else GOOD)
    return "".join(row)


def test_the_worst_node_that_counts_as_sound_reaches_each_bound_no_more_often_than_stated() -> None:
    rng = random.Random(1)
    runs, windows = 10_000, 72
    for chance in (50, 250):
        most = []
        for _ in range(runs):
            course = Course(marks(rng, windows, chance, METRIC.stays), (chance,) * windows)
            most.append(max(play(METRIC, course, STAKE * 20).course))
        for bound in (10, 20, 100):
            reached = sum(capital >= bound * STAKE for capital in most)
            assert reached <= runs / bound, (chance, bound, reached)


def test_a_node_that_is_worse_by_the_minimum_effect_is_cleared_no_more_often_than_beta() -> None:
    rng = random.Random(2)
    runs, windows, cleared = 10_000, 72, 0
    for _ in range(runs):
        row = "".join(BAD if rng.randrange(1000) < METRIC.share else GOOD for _ in range(windows))
        cleared += any(
            play(METRIC, Course(row[:upto], (100,) * upto), STAKE * 20).sound >= STAKE * 20 for upto in (3, 6, 12, 72)
        )
    assert cleared <= runs * 50 // 1000


def test_releases_that_change_nothing_are_not_halted() -> None:
    """Looked at after each of 24 windows. None halted of 120 of each kind: fewer than 2.5 %, 95 % confidence."""
    for kind in Kind:
        for seed in range(120):
            packet = judge(Street(seed, kind).samples(1, 3, 24), Judging()).packet
            halted = [one["metric"] for one in packet["results"] if rig.halted_after(one) is not None]
            assert not halted, (kind, seed, halted)
