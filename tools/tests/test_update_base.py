"""Acceptance of updates of MicroPython itself: boards with two application partitions, a bootloader that goes back."""

from hashlib import sha256
from pathlib import Path

import pytest

from node import VERSION
from protocol import refusals as u
from protocol.update import CONFIRMED, DOWNLOADING, REFUSED, REVERTED
from tools.testbed import Testbed
from tools.testbed.node import FLASH, Node, Seat
from tools.testbed.press import Press
from tools.tests.test_outages import consoles, started
from tools.tests.test_update import BAD, PATIENCE_S, all_are, order, said, shown, with_bed
from tools.virtual_board.base import app_image
from tools.virtual_board.boot import physical_size
from tools.virtual_board.chips import CHIPS

pytestmark = pytest.mark.slow

CUT, PANIC, MUTE, HANG, SINGLE = NODES = ("cut-1", "panic-1", "mute-1", "hang-1", "single-1")
FIRST, NEXT = f"air-{VERSION}", "air-9.1.0"
SIZE = 160 << 10  # of an image: progress is kept every 64 KiB
CUTS = 6
NO_CODE = 0  # the entry of an image that panics
# node: (release, the size and the entry of its image, what stands in its program instead, code)
REVERTS = {
    PANIC: ("air-9.2.0", 8192, NO_CODE, None, u.U_BASE_REVERTED),
    MUTE: ("air-9.3.0", 12288, None, BAD["mute-1"][1:4], u.U_UNCONFIRMED),
    HANG: ("air-9.4.0", 16384, None, BAD["hang-1"][1:4], u.U_HUNG),
}


def image(size: int, entry: int | None = None, version: str = "") -> bytes:
    """MicroPython of that size, which makes it another one; by default it says that it has the version of the first."""
    return app_image(CHIPS["esp32"], physical_size(FLASH[True]), size, version, entry)


NEWER = image(4096, version="1.99.0")


def press_all(press: Press, directory: Path) -> None:
    """The program that the boards were flashed with, on another base image; a newer one; and each that fails."""

    def release(name: str, data: bytes, patch: tuple[str, str, str] | None = None) -> None:
        file = directory / f"{name}.app-bin"
        file.write_bytes(data)
        patches = {patch[0]: patch[1:]} if patch else {}
        assert press.release(name.removeprefix("air-"), patches, "--base", str(file)) == name

    release(FIRST, image(SIZE))
    release(NEXT, NEWER)
    for name, size, entry, patch, _ in REVERTS.values():
        release(name, image(size, entry), patch)


async def power_fails(bed: Testbed, node: Node) -> None:
    """Again and again while the image comes, and around the restart into it."""
    assert await bed.until(lambda: said(bed).get(CUT, (0, 0))[1] == DOWNLOADING, PATIENCE_S), consoles(bed)
    for after in range(CUTS):
        await node.order("cut", after=30 + 7 * after, keep=50 * after)
        await node.loses_power(PATIENCE_S)
        await node.power_on()


async def runs(bed: Testbed, node: str, release: str, slot: str, data: bytes) -> None:
    """The node has proved that it runs that release from that slot, on that base image."""
    about = (await shown(bed, node))["node"]
    assert (about["release"], about["slot"]) == (release, slot), node
    assert about["update"]["stage"] == "proved"
    assert about["proof"]["base"] == sha256(data).hexdigest()


def test_micropython_is_updated_with_its_program_and_goes_back_with_it(tmp_path: Path) -> None:
    async def check(bed: Testbed) -> None:
        await started(bed)
        two = tuple(node for node in NODES if node != SINGLE)
        await order(bed, FIRST, *two)
        await power_fails(bed, bed.nodes[CUT])
        await all_are(bed, CONFIRMED, *two)
        for node in two:
            await runs(bed, node, FIRST, "b", image(SIZE))
        await order(bed, NEXT, CUT, SINGLE)
        for node, (name, *_) in REVERTS.items():
            await order(bed, name, node)
        await all_are(bed, CONFIRMED, CUT)
        await runs(bed, CUT, NEXT, "a", NEWER)
        await all_are(bed, REVERTED, *REVERTS)
        assert not (await bed.drained(PATIENCE_S)).lost, consoles(bed)
        for node, (name, _, _, _, code) in REVERTS.items():
            about = (await shown(bed, node))["node"]
            last = about["update_history"][0]
            assert (last["release"], last["stage"], last["code"]) == (name, "reverted", code), node
            assert (about["release"], about["slot"]) == (FIRST, "b"), node
            await order(bed, FIRST, node)
        await all_are(bed, CONFIRMED, *REVERTS)
        for node in REVERTS:
            await runs(bed, node, FIRST, "b", image(SIZE))
        await all_are(bed, REFUSED, SINGLE)
        assert said(bed)[SINGLE][2] == u.U_NO_PARTITION

    seats = tuple(Seat(node, "air", "esp32_air", seed=7, ota=node != SINGLE) for node in NODES)
    with_bed(tmp_path, seats, lambda press: press_all(press, tmp_path), check)
