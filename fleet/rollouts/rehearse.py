"""Use case: try a plan on a twin of the fleet, which its own heartbeats make. Nothing is changed, nobody is ordered."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context

from fleet.config import Config
from fleet.errors import NotFoundError
from fleet.rollout.draft import Draft
from fleet.rollout.rehearse.outcome import Mapped, Rehearsal, rehearse_all, runs_for
from fleet.rollout.rehearse.run import setting
from fleet.rollout.rehearse.twin import DAY_S, Record, record
from fleet.rollouts import planning
from fleet.rollouts.planning import Planned
from fleet.store import Store

DAYS = 7  # of the past, at most
_BEATS = 3_000_000  # heartbeats that are read: some seconds
_USUAL_S = 300  # between two of a node
_WORTH = 10_000  # runs of a node: some seconds
_LEAST_S = 3600  # a record that is shorter says nothing


@dataclass(frozen=True)
class Wish:
    """What to find out. Shares are permille."""

    breaks: Sequence[int] = (50, 100, 500)  # of the nodes, on which a bad release fails
    flaky: int = 10  # attempts that fail by chance
    runs: int = 0  # of each release; 0 = as many as take about a minute
    seed: int = 1
    days: int = DAYS


@dataclass(frozen=True)
class Rehearsed:
    """What came of it, and what it is made of."""

    planned: Planned
    record: Record
    wish: Wish
    result: Rehearsal


def rehearse(
    store: Store, config: Config, draft: Draft, wish: Wish, now_s: int, tell: Callable[[int, int], None]
) -> Rehearsed:
    """Rehearse a draft as if it began now. `tell` hears (runs that are done, runs in all).

    NotFoundError while there is no hour of heartbeats yet; else as `planning.plan`.
    """
    planned = planning.plan(store, config, draft, now_s)
    past = _record(store, list(planned.members), wish.days, now_s)
    given = setting(planned.plan, planned.members, past, now_s)
    releases = len(wish.breaks) + 1
    runs = wish.runs or runs_for(len(planned.members))
    about = planned.sizes, wish.breaks, wish.flaky, runs, wish.seed, lambda done: tell(done, runs * releases)
    with _processors(len(planned.members) * runs) as mapped:
        return Rehearsed(planned, past, wish, rehearse_all(given, *about, mapped))


@contextmanager
def _processors(work: int) -> Iterator[Mapped]:
    """`map` on all processors, where the work is worth their start."""
    if work < _WORTH:
        yield map
        return
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
        yield pool.map


def _record(store: Store, nodes: Sequence[str], days: int, now_s: int) -> Record:
    first, last = store.presence.span()
    end = min(last + 1, now_s)
    affordable = max(DAY_S, _BEATS * _USUAL_S // len(nodes))
    begin = max(first, end - min(days * DAY_S, affordable))
    if end - begin < _LEAST_S:
        cause = "a twin needs an hour of heartbeats at least"
        raise NotFoundError(
            "the fleet has no past to rehearse with", hint="let `fleet serve` run for a day", cause=cause
        )
    return record(store.presence.beats(nodes, begin, end), begin, end, store.presence.answers())
