"""Acceptance of the spine: whatever fails, every entry that a node made is stored, once. Real processes throughout."""

import asyncio
import random
import sqlite3
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tools.switchboard import WorldClock
from tools.testbed import Account, Testbed
from tools.testbed.bed import BROKER
from tools.testbed.node import Node, Seat

pytestmark = pytest.mark.slow

RATE = 60.0
DAY_S = 86400
MINUTE_S = 60
MINUTES = 60  # of real time that a test may take before its nodes would live in the future
PATIENCE_S = 120.0  # of a machine with much else to do
AIR = tuple(Seat(f"air-{number}", "air", "esp32_air", seed=7) for number in (1, 2))
BOTH = (*AIR, Seat("light-1", "light", "esp32_light", seed=7))


def with_bed(
    directory: Path,
    check: Callable[[Testbed], Awaitable[None]],
    seats: tuple[Seat, ...] = BOTH,
    back_s: float = 0,
    settings: Mapping[str, Mapping[str, Any]] | None = None,
) -> None:
    """Run `check` on a fleet whose world begins so far in the past that the test never reaches the present."""

    async def main() -> None:
        world = WorldClock(time.time() - RATE * MINUTES * 60 - back_s, RATE)
        async with Testbed(directory, seats, world, settings) as bed:
            await check(bed)

    asyncio.run(main())


async def started(bed: Testbed) -> None:
    """Every node is on and has records in the store."""
    await bed.power_on()
    assert await bed.until(lambda: len(bed.account().records) == len(bed.seats), PATIENCE_S), consoles(bed)


async def all_arrived(bed: Testbed) -> Account:
    """What was made until now is stored, once; nothing was refused."""
    account = await bed.drained(PATIENCE_S)
    assert not account.lost, f"{len(account.lost)} lost, first {min(account.lost)}\n{consoles(bed)}"
    assert account.duplicates == 0
    assert account.refused == 0
    return account


def consoles(bed: Testbed) -> str:
    """The last lines of every console, for the report of a failure."""
    return "\n".join(
        f"== {log}\n{log.read_text(errors='replace')[-1500:]}" for log in sorted(bed.directory.rglob("*.log"))
    )


def boots_of(node: Node) -> int:
    """How many boots of a node have made something."""
    return len({boot for boot, _, _ in node.ledger()})


async def busy(node: Node) -> bool:
    """True when the node waits for an acknowledgement."""
    found = await node.ask()
    return found["up"] and not found["idle"]


def test_a_broker_killed_with_records_in_flight_loses_none(tmp_path: Path) -> None:
    async def check(bed: Testbed) -> None:
        await started(bed)
        node = bed.nodes["air-1"]
        for _ in range(3):
            bed.links["air-1"].delay_s = 0.3  # so that an acknowledgement takes its time
            while not await busy(node):
                await asyncio.sleep(0.02)
            before = bed.service.broker_pid
            bed.service.kill_broker()
            assert await bed.until(lambda pid=before: bed.service.broker_pid != pid, PATIENCE_S)
            await bed.heal()
        assert await bed.until(lambda: bed.links["air-1"].connections >= 4, PATIENCE_S), consoles(bed)
        await all_arrived(bed)
        found = await node.ask()
        assert found["resends"] > 0

    with_bed(tmp_path, check)


def test_a_service_killed_between_delivery_and_commit_loses_none(tmp_path: Path) -> None:
    async def check(bed: Testbed) -> None:
        await started(bed)
        node = bed.nodes["air-1"]
        for _ in range(3):
            while (await node.ask())["acked"] <= stored(bed, "air-1"):
                await asyncio.sleep(0.02)
            await bed.service.kill()
            await asyncio.sleep(1)  # a minute of theirs without anybody
            await bed.service.start()
            assert await bed.until(lambda: bool(bed.account().records), PATIENCE_S)
        await all_arrived(bed)

    with_bed(tmp_path, check, settings={"ingest": {"batch_ms": 1500}})


def stored(bed: Testbed, node: str) -> int:
    """Entries of a node in the store."""
    made = bed.made()
    lost = bed.account(made).lost
    return sum(1 for entry in made - lost if entry[0] == node)


def test_a_node_whose_power_fails_loses_nothing_that_it_had_kept(tmp_path: Path) -> None:
    async def check(bed: Testbed) -> None:
        flashed = sum(map(boots_of, bed.nodes.values()))  # boots that ended before they had made something do not count
        await started(bed)
        chance = random.Random(3)
        for turn in range(10):
            node = bed.nodes[bed.seats[turn % len(bed.seats)].node]
            before = boots_of(node)
            if turn % 2:
                await asyncio.sleep(chance.uniform(0.1, 1.5))
                await node.power_off()
            else:
                await node.order("cut", after=chance.randint(1, 20), keep=chance.randint(0, 300))
                await node.loses_power(PATIENCE_S)
            await node.power_on()
            assert await bed.until(lambda at=node, then=before: boots_of(at) > then, PATIENCE_S), consoles(bed)
        await started(bed)
        account = await all_arrived(bed)
        boots = {(node, boot) for node, boot, _ in bed.made()}
        assert len(boots) == flashed + len(bed.seats) + 10
        assert len(account.strangers) <= 10  # killed between outbox and ledger

    with_bed(tmp_path, check, AIR)


def test_a_link_that_is_cut_for_a_day_costs_no_record(tmp_path: Path) -> None:
    async def check(bed: Testbed) -> None:
        await started(bed)
        bed.cut()
        began = int(bed.world.utc_s())
        await bed.leap(
            DAY_S + 3 * MINUTE_S, patience_s=500
        )  # more than the day that is looked at, whatever a node's clock is off
        await bed.heal()
        await bed.set_rate(RATE)
        await all_arrived(bed)
        with closing(sqlite3.connect(bed.database)) as store:
            for seat in bed.seats:
                first = (began // MINUTE_S + 2) * MINUTE_S
                within = [ts for ts, _ in records(store, seat.node) if first <= ts < first + DAY_S]
                assert within == list(range(first, first + DAY_S, MINUTE_S)), seat.node  # 1440 of 1440, in order

    with_bed(tmp_path, check, AIR, DAY_S)


def records(store: sqlite3.Connection, node: str) -> list[tuple[int, int]]:
    """(time, quality) of the records of a node, in the order in which it made them."""
    query = "SELECT ts, tq FROM record JOIN node ON node.key = record.node WHERE id = ? ORDER BY boot, seq"
    return store.execute(query, (node,)).fetchall()


def test_nodes_follow_the_broker_to_another_address(tmp_path: Path) -> None:
    async def check(bed: Testbed) -> None:
        await started(bed)
        for link in bed.links.values():
            link.cut()
        bed.names.names[BROKER] = ["127.0.0.2"]
        for link in bed.links.values():
            await link.move("127.0.0.2")
            await link.heal()
        before = {node: link.connections for node, link in bed.links.items()}
        assert await bed.until(
            lambda: all(link.connections > before[node] for node, link in bed.links.items()), PATIENCE_S
        ), consoles(bed)
        await all_arrived(bed)

    with_bed(tmp_path, check)


def test_records_from_before_the_clock_was_known_are_dated_when_it_is(tmp_path: Path) -> None:
    async def check(bed: Testbed) -> None:
        bed.times.silent = True
        began = bed.world.utc_s()
        await started(bed)
        assert bed.account().undated > 0
        bed.times.silent = False
        assert await bed.until(lambda: bed.account().undated == 0, PATIENCE_S), consoles(bed)
        await all_arrived(bed)
        with closing(sqlite3.connect(bed.database)) as store:
            for seat in bed.seats:
                rows = records(store, seat.node)
                assert abs(rows[0][0] - began) < 300, (
                    seat.node
                )  # the world runs fast, and boards start slowly under load
                assert all(later > ts for (ts, _), (later, _) in pairwise(rows))
                assert all(quality >= 2 for _, quality in rows)

    with_bed(tmp_path, check)


pytestmark = pytest.mark.slow
