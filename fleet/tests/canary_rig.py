"""A street of nodes for the tests of the canary: weather that all share, places, noise of sensors, gaps, reconnects.

Everything follows from a seed. Noise is correlated over minutes, as real sensors' is: independent minutes would flatter
the test. A fault is a function that changes what one node tells after its switch.
"""

import math
import random
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from fleet.model import Kind
from fleet.rollout.canary import Beat, Interval, Samples, Start, Subject, Track
from fleet.rollout.canary.score import NONE
from fleet.rollout.canary.windows import WINDOW_S
from protocol import channels as c
from protocol.records import FLAG_MISSING, FLAG_PASS

BEGIN_S = 1_763_800_200  # on the grid
OLD, NEW = 7, 8  # boots
PAST_S = 26 * WINDOW_S  # before the switch
Values = dict[int, tuple[int | None, int]]
Fault = Callable[[Track], Track]


class Drift:
    """Noise with a memory: a first-order process of standard deviation 1, one step per minute."""

    def __init__(self, rng: random.Random, minutes: float) -> None:
        self._rng, self._keep = rng, math.exp(-1 / minutes)
        self._now = rng.gauss(0, 1)

    def step(self) -> float:
        """The next minute."""
        self._now = self._keep * self._now + math.sqrt(1 - self._keep**2) * self._rng.gauss(0, 1)
        return self._now


class Spell:
    """Something that comes over a node now and then, about once in `apart` minutes, and stays for a while."""

    def __init__(self, rng: random.Random, apart: int, shortest: int, longest: int) -> None:
        self._rng, self._apart, self._lasts = rng, apart, (shortest, longest)
        self._left = 0

    def step(self) -> bool:
        """Whether it is there in the next minute."""
        if self._left:
            self._left -= 1
        elif self._rng.random() < 1 / self._apart:
            self._left = self._rng.randint(*self._lasts)
        return self._left > 0


class Street:
    """Nodes of one kind under one weather, with plumes here and there, and outages of the radio.

    `front` is a storm that hits all of them after the switch, as a factor.
    """

    def __init__(self, seed: int, kind: Kind = Kind.AIR, front: float = 1.0, lit: bool = True) -> None:
        self._rng = random.Random(seed)
        self._kind, self._front, self._lit = kind, front, lit
        self._weather = Drift(self._rng, 90)
        self._masses: list[float] = []

    def samples(
        self, treated: int, controls: int, windows: int, faults: Mapping[int, Fault] | None = None, looks: int = 1
    ) -> Samples:
        """`windows` of them after the switch; `faults` by the number of the treated node."""
        minutes = PAST_S // 60 + windows * 5 + 10
        self._masses = [9 * math.exp(0.25 * self._weather.step()) for _ in range(minutes)]
        switch_s = BEGIN_S + PAST_S
        subjects = []
        for number in range(treated + controls):
            track = self._track(f"{self._kind.value}-{number + 1}", minutes, number < treated)
            fault = (faults or {}).get(number)
            new = number < treated
            subjects.append(Subject(fault(track) if fault else track, self._kind, switch_s if new else None))
        return Samples(tuple(subjects), looks)

    def _track(self, node: str, minutes: int, new: bool) -> Track:
        rng = self._rng
        reads = self._air(minutes) if self._kind is Kind.AIR else self._light(minutes)
        step = 60 if self._kind is Kind.AIR else 900
        rows, gap, outage = [], Spell(rng, 300, 1, 3), Spell(rng, 3000, 5, 15)
        for at in range(0, minutes * 60, step):
            away = [gap.step() | outage.step() for _ in range(step // 60)][-1]
            t_s = BEGIN_S + at
            boot = NEW if new and at >= PAST_S else OLD
            if not away and not (new and PAST_S <= at < PAST_S + 120):
                rows.append(Interval(t_s, step, boot, reads(at // 60), t_s + step))
        starts = (Start(BEGIN_S + PAST_S, NEW, True),) if new else ()
        return Track(node, tuple(rows), self._beats(minutes, new), starts)

    def _air(self, minutes: int) -> Callable[[int], Values]:
        rng = self._rng
        place, slow, quick = rng.gauss(0, 0.15), Drift(rng, 30), Drift(rng, 4)
        warm, humid, plume = rng.gauss(0, 40), rng.gauss(0, 200), Spell(rng, 1500, 10, 25)

        def read(at: int) -> Values:
            front = (self._front if at * 60 >= PAST_S else 1.0) * (3.0 if plume.step() else 1.0)
            mass = self._masses[at] * front * math.exp(place + 0.12 * slow.step() + 0.05 * quick.step())
            pm25 = max(0, round(mass * 10))
            values = {
                c.PM1: round(pm25 * 0.72), c.PM25: pm25, c.PM4: round(pm25 * 1.3), c.PM10: round(pm25 * 1.6),
                c.T_AMB: round(900 + warm + 30 * slow.step()), c.RH_AMB: round(7000 + humid + 150 * quick.step()),
                c.P: round(98500 + 10 * quick.step()), c.CO2: round(430 + 10 * slow.step()), c.STATUS: 0,
            }  # fmt: skip
            return {channel: (mean, 3 if rng.random() < 0.003 else FLAG_PASS) for channel, mean in values.items()}

        return read

    def _light(self, _minutes: int) -> Callable[[int], Values]:
        rated, quick = 400 + self._rng.gauss(0, 10), Drift(self._rng, 60)

        def read(at: int) -> Values:
            level = (200 if at % 180 < 90 else 100) if self._lit else 0
            power = rated * (200 + 10 * level) / 2200 if level else 5
            drawn = round(power * (1 + 0.01 * quick.step()))
            means = {c.LEVEL_ACTUAL: level, c.LEVEL_TARGET: level, c.P_ACTIVE: drawn, c.V: 230_000}
            return {channel: (mean, FLAG_PASS) for channel, mean in means.items()}

        return read

    def _beats(self, minutes: int, new: bool) -> tuple[Beat, ...]:
        rng, slow = self._rng, Drift(self._rng, 20)
        offset, connects, boot, rows = rng.randrange(300), 1, OLD, []
        for at in range(offset, minutes * 60, 300):
            if new and at >= PAST_S and boot == OLD:
                boot, connects = NEW, 1
            connects += rng.random() < 0.01
            ack = round(120 * math.exp(0.4 * slow.step()))
            rows.append(Beat(BEGIN_S + at, boot, connects, round(60_000 - 12_000 * rng.random()), ack))
        return tuple(rows)


def changed(change: Callable[[Values], Values], share: float = 1.0, seed: int = 1) -> Fault:
    """A fault in what records hold; in that share of them."""

    def fault(track: Track) -> Track:
        rng = random.Random(seed)
        rows = [
            replace(one, values=change(dict(one.values))) if one.boot == NEW and rng.random() < share else one
            for one in track.intervals
        ]
        return replace(track, intervals=tuple(rows))

    return fault


def mean(channel: int, to: Callable[[int], int]) -> Fault:
    """A channel whose mean becomes another."""
    return changed(lambda values: {**values, channel: (to(values[channel][0] or 0), values[channel][1])})


def flagged(flag: int, channels: tuple[int, ...] = ()) -> Fault:
    """Channels, or all, with that flag."""

    def change(values: Values) -> Values:
        return {
            channel: ((None if flag == FLAG_MISSING else sample[0]), flag)
            if channel in (channels or values)
            else sample
            for channel, sample in values.items()
        }

    return changed(change)


def without(*channels: int) -> Fault:
    """Channels that are gone from the records."""
    return changed(lambda values: {channel: sample for channel, sample in values.items() if channel not in channels})


def silent(track: Track) -> Track:
    """Nothing at all comes from the new program."""
    return replace(
        track,
        intervals=tuple(one for one in track.intervals if one.boot != NEW),
        beats=tuple(one for one in track.beats if one.boot != NEW),
        starts=(),
    )


def beating(change: Callable[[Beat, int], Beat]) -> Fault:
    """A fault in heartbeats; the function is told their number since the switch."""

    def fault(track: Track) -> Track:
        new = [one for one in track.beats if one.boot == NEW]
        old = [one for one in track.beats if one.boot != NEW]
        return replace(track, beats=(*old, *(change(one, at) for at, one in enumerate(new))))

    return fault


def halted_after(result: Mapping[str, Any]) -> int | None:
    """In how many windows that say something a test was lost, whoever looked after each of them; None: it was not."""
    nodes: list[dict[str, Any]] = [node for node in result["nodes"].values() if node.get("course")]
    lost: int = result["bound"] * len(nodes)
    for at in range(max((len(node["course"]) for node in nodes), default=0)):
        capitals = [node["course"][min(at, len(node["course"]) - 1)] for node in nodes]
        if sum(min(capital, lost // result["need"]) for capital in capitals) >= lost:
            return max(len(str(node["marks"])[: at + 1].replace(NONE, "")) for node in nodes)
    return None
