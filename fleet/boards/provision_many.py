"""Provisions the boards that a file lists, side by side: one that fails stops no other, and what is done stays done."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from fleet.boards import provision
from fleet.boards.provision import Desk, Plan, Provisioned, Seen
from fleet.boards.spec import NodeSpec
from fleet.errors import FleetError, NotAllowedError, UnreachableError

JOBS = 8  # at a time: each is a child process, and the keys are made one after the other anyway
FAILED = "failed"
ABSENT = "absent"
Say = Callable[[str, str], object]  # (node, step)


@dataclass(frozen=True)
class Outcome:
    """What became of one row. `action` is one of fleet.boards.provision or of this module."""

    spec: NodeSpec
    action: str
    url: str = ""
    result: Provisioned | None = None
    plan: Plan | None = None  # of a preview
    error: FleetError | None = None


@dataclass(frozen=True)
class Match:
    """A row and the board it is meant for, or why there is none."""

    spec: NodeSpec
    seen: Seen | None = None
    error: FleetError | None = None


def look_at_all(
    urls: Sequence[str], look: Callable[[str], Seen] = provision.look, jobs: int = JOBS
) -> dict[str, Seen | FleetError]:
    """Who is at each port, or why that is not known."""

    def look_at(url: str) -> Seen | FleetError:
        try:
            return look(url)
        except FleetError as error:
            return error

    with ThreadPoolExecutor(jobs) as pool:
        return dict(zip(urls, pool.map(look_at, urls), strict=True))


def match(specs: Sequence[NodeSpec], found: dict[str, Seen | FleetError]) -> list[Match]:
    """Which board is meant by each row: the one at its port, or the one with its MAC address."""
    by_port = {str(_plain(url)): seen for url, seen in found.items()}
    by_mac = {seen.facts.mac: seen for seen in found.values() if isinstance(seen, Seen)}
    matches = []
    for spec in specs:
        seen = by_port.get(str(_plain(spec.port))) if spec.port else by_mac.get(spec.mac)
        if isinstance(seen, FleetError):
            matches.append(Match(spec, error=seen))
        else:
            matches.append(Match(spec, seen))
    return matches


def strangers(specs: Sequence[NodeSpec], found: dict[str, Seen | FleetError]) -> list[Seen]:
    """Boards that are attached and that no row means."""
    meant = {id(one.seen) for one in match(specs, found) if one.seen is not None}
    return [seen for seen in found.values() if isinstance(seen, Seen) and id(seen) not in meant]


def provision_all(desk: Desk, matches: Sequence[Match], yes: bool, say: Say, jobs: int = JOBS) -> list[Outcome]:
    """Make nodes of the boards; those that are done already are left alone. `say` is called from several threads."""

    def provision_one(one: Match) -> Outcome:
        outcome = _planned(desk, one, yes)
        if outcome.plan is None:
            return outcome
        try:
            done = provision.carry_out(desk, outcome.plan, lambda step: say(one.spec.node, step))
        except FleetError as error:
            return replace(outcome, action=FAILED, plan=None, error=error)
        return replace(outcome, plan=None, result=done)

    with ThreadPoolExecutor(jobs) as pool:
        return list(pool.map(provision_one, matches))


def preview(desk: Desk, matches: Sequence[Match]) -> list[Outcome]:
    """What `provision_all` would do, with what has to be agreed to as part of the plans."""
    return [_planned(desk, one, yes=True) for one in matches]


def _planned(desk: Desk, one: Match, yes: bool) -> Outcome:
    """The plan for one row, or why there is none."""
    spec, seen = one.spec, one.seen
    if seen is None:
        return unmatched(one)
    try:
        if provision.is_done(desk, seen, spec):
            return Outcome(spec, provision.DONE, seen.url)
        planned = provision.plan(desk, seen, spec)
        if planned.doubts and not yes:
            raise NotAllowedError(" ".join(planned.doubts), hint="add --yes")
    except FleetError as error:
        return Outcome(spec, FAILED, seen.url, error=error)
    return Outcome(spec, planned.action, seen.url, plan=planned)


def unmatched(one: Match) -> Outcome:
    """What becomes of a row that no board was found for."""
    spec = one.spec
    if one.error is not None:
        return Outcome(spec, FAILED, spec.port, error=one.error)
    where = f"at {spec.port}" if spec.port else f"with MAC address {spec.mac}"
    absent = UnreachableError(f"no board {where} is attached", hint="attach it and run the same again")
    return Outcome(spec, ABSENT, error=absent)


def _plain(url: str) -> str | Path:
    """A path without its links, so that two names of a port are one; a URL as it is."""
    return url if "://" in url else Path(url).resolve()
