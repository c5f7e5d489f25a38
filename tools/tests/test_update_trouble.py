"""Updates while things go wrong, by nobody's fault and by somebody's: real service, broker and MicroPython."""

import asyncio
import random
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from fleet.broker import binary
from fleet.broker.embedded import EmbeddedBroker
from fleet.releases import directory
from fleet.releases.contents import Contents
from fleet.signing.make import new_key
from fleet.signing.signers import PemSigner
from protocol import refusals as u
from protocol.trust import STOP, Signed
from protocol.update import CONFIRMED, DOWNLOADING, FAILED, PAYLOAD, REFUSED, STOPPED, Block, Status
from tools.testbed import Testbed
from tools.testbed.hostile import Hostile, honest
from tools.testbed.node import Node, Seat
from tools.testbed.press import BENCH, BUILD, Press
from tools.tests.test_outages import consoles, started
from tools.tests.test_update import PATIENCE_S, all_are, order, said, shown, with_bed

pytestmark = pytest.mark.slow

GOOD = "air-9.1.0"
LATER = "air-9.2.0"
OLD = "air-9.0.0"
UNTESTED = "air-9.3.0"
AWAY, LOSSY, CUT, FULL = NODES = ("away-1", "lossy-1", "cut-1", "full-1")
CUTS = 10
SLOW = 10_000  # bytes per second of real time: a download takes some of them
AWAY_S = 5.0


def press_all(press: Press) -> dict[str, Contents]:
    """An old release and a good one that raises the floor above it, a later one, and one that no bench has seen."""
    made = {}
    for name, words, roles in (
        (OLD, (), (BUILD, BENCH)),
        (GOOD, ("--floor", "102"), (BUILD, BENCH)),
        (LATER, (), (BUILD, BENCH)),
        (UNTESTED, (), (BUILD,)),
    ):
        release = press.build(name.removeprefix("air-"), {}, *words)
        for role in roles:
            press.sign(release, role)
        made[name] = directory.load(release)
        if BENCH in roles:
            press.publish(release)
    return made


async def power_fails(node: Node) -> None:
    """Ten times in a row, within flash operations, while the node updates itself."""
    chance = random.Random(5)
    for _ in range(CUTS):
        await node.order("cut", after=chance.randint(20, 250), keep=chance.randint(0, 300))
        await node.loses_power(PATIENCE_S)
        await node.power_on()


async def broker_fails(bed: Testbed) -> None:
    """It is killed in the midst of a download, and the node's network is away for some minutes more of its time."""
    assert await bed.until(lambda: said(bed).get(AWAY, (0, 0))[1] == DOWNLOADING, PATIENCE_S), consoles(bed)
    bed.links[AWAY].cut()
    before = bed.service.broker_pid
    bed.service.kill_broker()
    assert await bed.until(lambda: bed.service.broker_pid != before, PATIENCE_S)
    await asyncio.sleep(AWAY_S)
    await bed.links[AWAY].heal()


def test_an_update_survives_what_nobody_is_to_blame_for_and_refuses_what_somebody_is(tmp_path: Path) -> None:
    releases: dict[str, Contents] = {}

    async def check(bed: Testbed) -> None:
        await started(bed)
        bed.links[AWAY].bytes_per_s = SLOW
        await bed.nodes[LOSSY].ask(lose=25)
        await bed.nodes[FULL].ask(leave=65536)
        await order(bed, GOOD, *NODES)
        await asyncio.gather(broker_fails(bed), power_fails(bed.nodes[CUT]))
        await all_are(bed, CONFIRMED, AWAY, LOSSY, CUT)
        assert taken(bed, AWAY) == 1, "it went on where it was"
        for node in (AWAY, LOSSY, CUT):
            assert (await shown(bed, node))["node"]["release"] == GOOD
        await no_room(bed)
        await bed.service.stop()
        await asyncio.to_thread(attack, bed, releases)

    with_bed(
        tmp_path,
        tuple(Seat(node, "air", "esp32_air", seed=7) for node in NODES),
        lambda press: releases.update(press_all(press)),
        check,
    )


def taken(bed: Testbed, node: str) -> int:
    """How many campaigns a node has taken."""
    return (bed.nodes[node].directory / "serial.log").read_text(errors="replace").count(" taken")


async def no_room(bed: Testbed) -> None:
    """A full file system refuses with a clear reason, and takes the same release once there is room."""
    assert await bed.until(lambda: said(bed)[FULL][1] in (REFUSED, FAILED), PATIENCE_S), consoles(bed)
    assert said(bed)[FULL][2] == u.U_SPACE
    about = (await shown(bed, FULL))["node"]
    assert "no room" in about["update"]["reason"]
    assert about["slot"] == "a"
    await bed.nodes[FULL].ask(leave=0)
    await order(bed, GOOD, FULL)
    await all_are(bed, CONFIRMED, FULL)


def flipped(block: Block) -> Block:
    if block.what == PAYLOAD and block.offset == 2048:
        block.data = block.data[:7] + bytes([block.data[7] ^ 1]) + block.data[8:]
    return block


def endless(block: Block) -> Block:
    if block.what == PAYLOAD:
        block.total = 0xFFFFFF
    return block


def attack(bed: Testbed, releases: dict[str, Contents]) -> None:
    """Everything that the owner of the manager and the broker can try on a node that runs GOOD; nothing changes."""
    broker = EmbeddedBroker(binary.find().path, bed.config)
    broker.start()
    broker.wait_ready()
    try:
        with Hostile(bed.config, AWAY) as hostile:
            attacks(hostile, releases)
    finally:
        broker.stop()


def attacks(hostile: Hostile, releases: dict[str, Contents]) -> None:
    """Each is refused with its own code, and the last one, which is honest, is taken."""

    def ends(what: str, release: Contents, envelope: bytes, stage: int, code: int) -> Status:
        hostile.offer(release)
        found = hostile.order(envelope, PATIENCE_S)
        assert (found.stage, found.code) == (stage, code), (what, found)
        return found

    later = releases[LATER]
    campaigns(hostile, later, ends)
    untested, old = releases[UNTESTED], releases[OLD]
    unsigned = replace(later, signed=Signed(document=later.signed.document))
    ends("a release that nobody has signed", unsigned, hostile.campaign(later.digest), REFUSED, u.U_UNSIGNED)
    ends("no bench", untested, hostile.campaign(untested.digest), REFUSED, u.U_ROLE_MISSING)
    before = ends("a release below the floor", old, hostile.campaign(old.digest), REFUSED, u.U_ROLLBACK)
    mixed = replace(later, signed=releases[GOOD].signed)
    ends("another release", mixed, hostile.campaign(later.digest), REFUSED, u.U_OTHER_RELEASE)
    hostile.spoil = flipped
    ends("a block that was tampered with", later, hostile.campaign(later.digest), FAILED, u.U_PAYLOAD)
    hostile.spoil = endless
    ends("data without an end", later, hostile.campaign(later.digest), FAILED, u.U_OVERSIZE)
    hostile.spoil = honest
    spoilt = {**later.files, "node/app.mpy": later.files["node/app.mpy"][:-1] + b"?"}
    other_files = replace(later, files=spoilt)
    ends("a file that was tampered with", other_files, hostile.campaign(later.digest), FAILED, u.U_FILE)
    other_files = replace(old, signed=later.signed)
    ends("files of another release", other_files, hostile.campaign(later.digest), FAILED, u.U_MIXED)
    done = ends("nothing wrong", later, hostile.campaign(later.digest), CONFIRMED, u.U_NONE)
    assert (done.floor, done.root, done.boot) == (before.floor, before.root, before.boot + 1)
    assert done.proof is not None
    assert (done.proof.nonce, done.proof.manifest) == (hostile.nonce, later.release.manifest)


def campaigns(hostile: Hostile, later: Contents, ends: Callable[..., Status]) -> None:
    """Orders that the node must not take, and one that was taken before."""
    online, past = hostile.signer, int(time.time()) - 30 * 86400
    first = hostile.campaign(later.digest)
    hostile.signer = PemSigner("stranger", "", new_key())
    ends("a forged campaign", later, hostile.campaign(later.digest), REFUSED, u.U_CAMPAIGN_FORGED)
    hostile.signer = online
    stale = hostile.campaign(later.digest, issued=past, expires=past + 86400)
    ends("a stale campaign", later, stale, REFUSED, u.U_CAMPAIGN_STALE)
    other = hostile.campaign(later.digest, nodes=[CUT])
    ends("a campaign for another node", later, other, REFUSED, u.U_NOT_ADDRESSED)
    ends("a stop, which raises the counter", later, hostile.campaign(b"", action=STOP), STOPPED, u.U_NONE)
    ends("a campaign that is replayed", later, first, REFUSED, u.U_CAMPAIGN_REPLAYED)
