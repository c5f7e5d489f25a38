"""How well the canary judges simulated streets: `python -m tools.bench_canary` prints one JSON line.

  sound    releases that change nothing: how many were halted, whoever looked after each window, beside `alpha`; the
           upper end of the 95 % confidence interval (Clopper-Pearson); how many were promoted after `soak` windows
  power    releases that change something: the share halted within WINDOWS, and the median number of windows until
           then. `mass` multiplies all masses (the least effect that matters is a factor of 3), `lacking` takes a
           channel out of a share of the records, `nodes` breaks some of ten nodes; by nodes with the new program and
           controls
  cost     milliseconds for one verdict, of the smallest wave and of the largest that is judged

The streets are those of `fleet/tests/canary_rig.py`: shared weather, correlated noise, plumes, gaps, outages. Seeds are
fixed: the same program prints the same figures, but for the cost.
"""

import argparse
import json
import time
from collections.abc import Callable, Iterable
from math import comb
from statistics import median_low
from typing import Any

from fleet.model import Kind
from fleet.rollout.canary import Judgement, judge
from fleet.rollout.model import Verdict
from fleet.rollout.plan import Judging
from fleet.tests import canary_rig as rig
from fleet.tests.canary_rig import Fault, Street
from protocol import channels as c

WINDOWS = 24
SOAK = 6  # windows until most are promoted
JUDGING = Judging()
SIZES = ((1, 3), (4, 20))  # nodes with the new program, controls
MASSES = (15, 20, 30, 40, 100)  # tenths
SHARES = (30, 50, 80, 100)  # % of records
CONFIDENCE = 0.95


def halted_after(found: Judgement) -> int | None:
    """Windows until the first test was lost."""
    lost = [windows for one in found.packet["results"] if (windows := rig.halted_after(one)) is not None]
    return min(lost, default=None)


def upper(count: int, runs: int) -> float:
    """The greatest rate at which so few of so many would not be a surprise."""
    low, high = count / runs, 1.0
    for _ in range(40):
        rate = (low + high) / 2
        chance = sum(comb(runs, k) * rate**k * (1 - rate) ** (runs - k) for k in range(count + 1))
        low, high = (rate, high) if chance > 1 - CONFIDENCE else (low, rate)
    return high


def sound(runs: int) -> dict[str, Any]:
    """What becomes of releases that change nothing."""
    made: dict[str, Any] = {}
    for kind in Kind:
        for treated, controls in ((1, 0), *SIZES):
            halted = promoted = 0
            for seed in range(runs):
                halted += (
                    halted_after(judge(Street(seed, kind).samples(treated, controls, WINDOWS), JUDGING)) is not None
                )
                soaked = judge(Street(seed, kind).samples(treated, controls, SOAK * _step(kind)), JUDGING)
                promoted += soaked.verdict is Verdict.PROMOTE
            made[f"{kind.value} {treated}:{controls}"] = {
                "runs": runs, "halted": halted, "upper_95": round(upper(halted, runs), 4),
                "promoted": round(promoted / runs, 3),
            }  # fmt: skip
    return {"alpha": JUDGING.alpha / 1000, "windows": WINDOWS, "soak": SOAK, **made}


def _step(kind: Kind) -> int:
    """Windows for one record of it."""
    return 1 if kind is Kind.AIR else 3


def power(runs: int) -> dict[str, Any]:
    """How often and how soon what is broken is halted."""
    made: dict[str, Any] = {"mass": {}, "lacking": {}, "nodes": {}}
    for treated, controls in SIZES:
        size = f"{treated}:{controls}"
        made["mass"][size] = {
            f"x{tenths / 10:g}": _caught(runs, treated, controls, treated, rig.changed(_times(tenths)))
            for tenths in MASSES
        }
        made["lacking"][size] = {
            f"{share} %": _caught(runs, treated, controls, treated, rig.changed(_lacking, share / 100))
            for share in SHARES
        }
    made["nodes"] = {f"{broken} of 10": _caught(runs, 10, 20, broken, rig.flagged(9)) for broken in (1, 2, 5, 10)}
    return made


def _times(tenths: int) -> Callable[[rig.Values], rig.Values]:
    """Another scale for all masses, so that they do not contradict each other."""

    def change(values: rig.Values) -> rig.Values:
        masses = {channel: ((values[channel][0] or 0) * tenths // 10, 1) for channel in (c.PM1, c.PM25, c.PM4, c.PM10)}
        return {**values, **masses}

    return change


def _lacking(values: rig.Values) -> rig.Values:
    return {channel: sample for channel, sample in values.items() if channel != c.CO2}


def _caught(runs: int, treated: int, controls: int, broken: int, fault: Fault) -> list[Any]:
    """[share that was halted, median windows until then or None]."""
    faults = dict.fromkeys(range(broken), fault)
    found: Iterable[int | None] = [
        halted_after(judge(Street(seed).samples(treated, controls, WINDOWS, faults), JUDGING)) for seed in range(runs)
    ]
    known = [windows for windows in found if windows is not None]
    return [round(len(known) / runs, 2), median_low(known) if known else None]


def cost() -> dict[str, float]:
    """Milliseconds of one verdict."""
    made = {}
    for treated, controls, windows in ((1, 3, 6), (24, 24, 72)):
        samples = Street(1).samples(treated, controls, windows)
        began = time.perf_counter()
        judge(samples, JUDGING)
        made[f"{treated}:{controls}, {windows} windows"] = round((time.perf_counter() - began) * 1000, 1)
    return made


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=100, help="streets of each size that change nothing (100)")
    parser.add_argument("--power-runs", type=int, default=10, help="streets for each figure of power (10)")
    asked = parser.parse_args()
    print(json.dumps({"sound": sound(asked.runs), "power": power(asked.power_runs), "cost_ms": cost()}))


if __name__ == "__main__":
    main()
