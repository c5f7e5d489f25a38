"""What many runs of one plan say: how long, how many bytes, and which broken releases the gates would catch."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from fleet.rollout.plan import Wave
from fleet.rollout.rehearse.nodes import Traits
from fleet.rollout.rehearse.run import Run, Setting, rehearse

_NODE_RUNS = 30_000  # of a good release, on one processor: some half a minute, whatever the fleet's size
_RUNS = (3, 30)  # of each release: at least, at most
_POINTS = 60  # of the course of a rollout


Mapped = Callable[[Callable[[Traits, int], Run], Sequence[Traits], Sequence[int]], Iterable[Run]]


@dataclass(frozen=True, slots=True)
class Spread:
    """A tenth of the runs lies below `low`, half below `middle`, nine tenths below `high`."""

    low: int
    middle: int
    high: int


@dataclass(frozen=True, slots=True)
class Good:
    """What a release does that works. Times are seconds since the start."""

    runs: int
    half: Spread | None  # when half of the nodes were proved; None when most runs never got there
    most: Spread | None  # when nine tenths were
    last: Spread | None  # the last proof
    proved: Spread  # nodes
    bytes: Spread  # fetched by all nodes together
    halted: int  # runs that a gate stopped although the release was good
    course: tuple[int, ...]  # permille of the nodes that were proved, over equal parts of `span_s`, in the middle run
    span_s: int


@dataclass(frozen=True, slots=True)
class Broken:
    """What becomes of a release that breaks a share of the nodes."""

    share: int  # permille of the nodes
    runs: int
    caught: int  # of them, by a gate
    waves: Mapping[str, int]  # {name of the wave that was under way: runs}, of those that were caught
    exposed: Spread  # nodes that ever ran it, in all runs
    halted_s: Spread | None  # since the start, of those that were caught


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """All of it."""

    nodes: int
    never: int  # nodes that the record has never seen there
    tick_s: int
    good: Good
    broken: tuple[Broken, ...]


def runs_for(nodes: int) -> int:
    """How many runs of each release take about a minute in all; most of it is the good one's, the others end early."""
    return min(max(_NODE_RUNS // (nodes or 1), _RUNS[0]), _RUNS[1])


def rehearse_all(
    given: Setting,
    size: Mapping[str, int],
    breaks: Sequence[int],
    flaky: int,
    runs: int,
    seed: int,
    tell: Callable[[int], None] = lambda done: None,
    mapped: Mapped = map,
) -> Rehearsal:
    """Run a plan `runs` times with a good release, and as often with one that breaks each share of `breaks` (permille).

    `tell` hears how many runs are done. `mapped` is `map`, or one that uses several processors.
    """
    shares = [share for share in (0, *breaks) for _ in range(runs)]
    traits = [Traits(size, share, flaky) for share in shares]
    seeds = [seed * 1000 + number for _ in (0, *breaks) for number in range(runs)]
    found: dict[int, list[Run]] = {share: [] for share in shares}
    for done, (share, run) in enumerate(zip(shares, mapped(partial(rehearse, given), traits, seeds), strict=True), 1):
        found[share].append(run)
        tell(done)
    nodes = len(given.members)
    never = sum(not given.record.twins[node].spans for node in given.members)
    broken = tuple(_broken(share, found[share], given.plan.waves) for share in breaks)
    return Rehearsal(nodes, never, given.tick_s, _good(found[0], nodes), broken)


def spread(values: Iterable[int]) -> Spread:
    """The tenth, the half and nine tenths of some values; of none, zeros."""
    ordered = sorted(values) or [0]
    at = [ordered[share * (len(ordered) - 1) // 10] for share in (1, 5, 9)]
    return Spread(*at)


def _good(runs: Sequence[Run], nodes: int) -> Good:
    middle = sorted(runs, key=lambda run: (run.proved_s or (run.ended_s,))[-1])[len(runs) // 2]
    span = max((middle.proved_s or (0,))[-1], 1)
    course = [1000 * sum(at <= span * (point + 1) // _POINTS for at in middle.proved_s) for point in range(_POINTS)]
    return Good(
        len(runs),
        _reached(runs, -(-nodes // 2)),
        _reached(runs, -(-nodes * 9 // 10)),
        _some([run.proved_s[-1] for run in runs if run.proved_s], len(runs)),
        spread(len(run.proved_s) for run in runs),
        spread(run.bytes for run in runs),
        sum(run.is_caught for run in runs),
        tuple(count // nodes for count in course),
        span,
    )


def _reached(runs: Sequence[Run], count: int) -> Spread | None:
    return _some([run.proved_s[count - 1] for run in runs if len(run.proved_s) >= count > 0], len(runs))


def _some(values: Sequence[int], runs: int) -> Spread | None:
    """None when fewer than half of the runs have a value."""
    return spread(values) if 2 * len(values) >= runs and values else None


def _broken(share: int, runs: Sequence[Run], waves: Sequence[Wave]) -> Broken:
    caught = [run for run in runs if run.is_caught]
    names = Counter(waves[run.wave].name for run in caught)
    times = [run.halted_s for run in caught]
    exposed = spread(run.exposed for run in runs)
    return Broken(share, len(runs), len(caught), dict(names), exposed, spread(times) if times else None)
