"""What a rollout will cost: bytes that nodes fetch, and the time that it takes when nothing goes wrong."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from fleet.config import Config
from fleet.errors import FleetError
from fleet.releases.archive import Archive
from fleet.rollout import windows
from fleet.rollout.plan import Goal, Member, Plan, Target, Window
from protocol.trust import Release

NODE_S = 120  # from order to proof of one node, the download left out: install, restart, first record acknowledged
CONFIG_S = 30  # the same for settings
ROUNDS = 1000  # of a wave that are looked at, when there are windows; those beyond take as long
RATE = 8000  # bytes per second that a node fetches: 1 KiB blocks, four in flight, a link of half a second
PACKED = 550  # permille of a program that its full payload has, when none was built yet
FULL = b""  # in place of a manifest: a node of which nothing of use is known


@dataclass(frozen=True, slots=True)
class Payload:
    """What nodes fetch that run one program."""

    size: int
    exact: bool  # built and measured before, not estimated


@dataclass(frozen=True, slots=True)
class Passage:
    """When a wave would begin and end."""

    begin_s: int
    end_s: int


def payloads(
    config: Config, pairs: Iterable[tuple[Target, bytes]], releases: Mapping[bytes, Release]
) -> dict[tuple[bytes, bytes], Payload]:
    """{(release, manifest that runs): what is fetched}; the base image included. `releases` are by digest."""
    archive = Archive(config.releases_dir)
    return {
        (target.digest, runs): _payload(config, archive, target, runs, releases[target.digest])
        for target, runs in set(pairs)
    }


def _payload(config: Config, archive: Archive, target: Target, runs: bytes, release: Release) -> Payload:
    base = release.base_size if target.base else 0
    kept = _kept(config.releases_dir / "payloads", archive, target.digest, runs)
    if kept is not None:
        return Payload(kept + base, True)
    full = _kept(config.releases_dir / "payloads", archive, target.digest, FULL)
    return Payload((full if full is not None else release.size * PACKED // 1000) + base, False)


def _kept(directory: Path, archive: Archive, release: bytes, runs: bytes) -> int | None:
    """The size of the payload that was built for that pair (`fleet.blocks.shelf`); None when none was."""
    try:
        return archive.size((directory / f"{release.hex()}-{runs.hex() or 'full'}").read_bytes())
    except (OSError, FleetError, AssertionError):
        return None


def passages(plan: Plan, members: Mapping[str, Member], sizes: Mapping[str, int], now_s: int) -> list[Passage]:
    """When each wave would begin and end if it starts now, every node is online and none fails. An estimate.

    `sizes` are the bytes that each node fetches.
    """
    counts = Counter(one.wave for one in members.values())
    bytes_of: Counter[int] = Counter()
    for node, one in members.items():
        bytes_of[one.wave] += sizes.get(node, 0)
    found = []
    at = now_s
    for index, wave in enumerate(plan.waves):
        begin = _opens(plan.download, at)
        end = _end(plan, begin, counts[index], bytes_of[index])
        found.append(Passage(begin, end))
        at = end + wave.gate.soak_s
    return found


def _end(plan: Plan, begin_s: int, nodes: int, total: int) -> int:
    """When a wave is through: round by round, as many nodes as may be under way at a time."""
    fetch = total // max(1, nodes) // RATE
    switch = NODE_S if plan.goal is not Goal.CONFIG else CONFIG_S
    rounds = -(-nodes // plan.limits.in_flight)
    least = min(nodes, plan.limits.in_flight) * 60 // plan.limits.per_minute  # the rate allows no more
    if not (plan.download.cron or plan.switch.cron):
        return max(begin_s + rounds * max(fetch + switch, least), begin_s + plan.limits.jitter_s + fetch + switch)
    at = begin_s
    for _ in range(min(rounds, ROUNDS)):
        begun = _opens(plan.download, at)
        at = max(_opens(plan.switch, begun + fetch) + switch, begun + least)
    return at + (at - begin_s) * max(0, rounds - ROUNDS) // ROUNDS


def _opens(window: Window, at_s: int) -> int:
    """The first moment from `at_s` at which the window is open; `at_s` when it never is."""
    return windows.next_open(window, at_s) or at_s
