"""Flashing virtual boards with the real esptool: what is written, what is kept, what is believed."""

import functools
import re
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from fleet.boards import erase, flash, listing
from fleet.boards.flash import FLASHED, PLANNED, UNCHANGED, WRITTEN, Phase, Step
from fleet.boards.rescue import Rescue
from fleet.boards.wish import Belongings, Wish
from fleet.errors import FleetError, NotAllowedError, NotFoundError, TimedOutError, UsageError, VerificationError
from fleet.flashing import firmware as sources
from fleet.flashing import image, keep, pinmaps
from fleet.flashing.base import Shelf
from fleet.flashing.console import Report
from fleet.flashing.esptool import Options
from fleet.flashing.firmware import Firmware
from fleet.tests import board_rig
from fleet.tests.rig import wait_for
from protocol.identity import PATH, Identity
from tools.virtual_board.base import base_image
from tools.virtual_board.launch import BoardProcess

IDENTITY = Identity(
    node="air-1", kind="air", board="esp32_air", boot0=29_000_000, ca=b"ca", cert=b"c", key=b"k", brokers=["b.test:1"]
)
KEPT = {PATH: IDENTITY.encode(), "/data/q/a00000001": b"a record" * 300, "/data/note": b"\0" * 40}


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path / "run")}


@pytest.fixture
def base(tmp_path: Path) -> Path:
    path = tmp_path / "base.bin"
    path.write_bytes(base_image("esp32"))
    return path


@pytest.fixture
def wish(base: Path) -> Wish:
    return Wish(board_rig.program(), Shelf(base.parent, str(base)), report_s=10)


@pytest.fixture
def blank(tmp_path: Path) -> Iterator[BoardProcess]:
    with board_rig.board(tmp_path / "blank", None) as found:
        yield found


@pytest.fixture
def node(tmp_path: Path) -> Iterator[BoardProcess]:
    """A node with its identity and records, which finds no network."""
    files = image.files_of(board_rig.program().of("air"), IDENTITY) | KEPT
    with board_rig.board(tmp_path / "node", board_rig.flash(files=files), fit="air", wifi={}) as found:
        yield found


def files_on(board: BoardProcess) -> dict[str, bytes]:
    return image.read((board.directory / "flash.bin").read_bytes()[board_rig.VFS :])


def await_waiting(board: BoardProcess, environ: dict[str, str]) -> Report:
    """The report of a node as soon as it has something to deliver."""
    found: list[Report] = []

    def has() -> bool:
        report = listing.look(board.port, environ=environ).report
        found[:] = [report] if report and report.waiting else []
        return bool(found)

    wait_for(has, "entries in the outbox", 60)
    return found[0]


@functools.cache
def changed() -> Firmware:
    """Our firmware with one line more in one module."""
    name = "node/core/clock.py"
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "clock.py"
        path.write_text((sources.directory() / name).read_text() + "\nMORE = 'a line more'\n")
        return sources.load(extra={name: path})


def test_a_blank_board_becomes_one_that_reports(blank: BoardProcess, wish: Wish, environ: dict[str, str]) -> None:
    steps: list[Step] = []
    done = flash.flash(blank.port, wish, steps.append, environ)
    assert (done.result, done.chip, done.flash_size) == (FLASHED, "esp32", 4 << 20)
    assert done.report is not None
    assert (done.report.manifest, done.report.fw) == (wish.firmware.manifest, wish.firmware.version)
    assert (done.report.state, done.report.mac) == ("unprovisioned", done.mac)
    assert done.written == done.size
    assert files_on(blank) == image.files_of(wish.firmware)
    phases = list(dict.fromkeys(step.phase for step in steps))
    assert phases == [Phase.ASK, Phase.LOOK, Phase.WRITE, Phase.START]
    writing = [step for step in steps if step.phase is Phase.WRITE]
    assert [step.done for step in writing] == sorted(step.done for step in writing)
    assert writing[-1].done == writing[-1].total == done.size

    again = flash.flash(blank.port, wish, environ=environ)
    assert (again.result, again.written) == (UNCHANGED, 0)

    more = flash.flash(blank.port, replace(wish, firmware=changed()), environ=environ)
    assert more.result == FLASHED
    assert 0 < more.written * 100 < 15 * done.size

    every = flash.flash(blank.port, replace(wish, force=True), environ=environ)
    assert every.written == every.size > done.size // 2


def test_a_node_keeps_its_identity_and_records(node: BoardProcess, wish: Wish, environ: dict[str, str]) -> None:
    new = replace(wish, firmware=changed())
    before = await_waiting(node, environ)
    assert before.node == "air-1"
    with pytest.raises(NotAllowedError, match="entries that are not delivered yet"):
        flash.flash(node.port, new, environ=environ)
    done = flash.flash(node.port, replace(new, yes=True), environ=environ)
    assert done.report is not None
    assert (done.report.node, done.report.manifest) == ("air-1", new.firmware.of("air").manifest)
    assert done.report.boot > before.boot
    assert 0 < done.written * 100 < 15 * done.size
    found = files_on(node)
    assert KEPT.items() <= found.items()
    assert not Rescue.of(environ).load(done.mac)
    assert flash.flash(node.port, new, environ=environ).result == UNCHANGED


def test_a_node_whose_program_is_dead_keeps_them_too(node: BoardProcess, wish: Wish, environ: dict[str, str]) -> None:
    node.client.ask("trouble", name="hang", value=1)
    node.client.ask("reset")
    with pytest.raises(TimedOutError, match="no report"):
        flash.flash(node.port, replace(wish, report_s=4), environ=environ)
    node.client.ask("trouble", name="hang", value=0)
    assert KEPT.items() <= files_on(node).items()
    done = flash.flash(node.port, replace(wish, yes=True), environ=environ)
    assert done.report is not None
    assert done.report.node == "air-1"


def test_power_that_fails_while_files_are_written_costs_nothing(
    node: BoardProcess, wish: Wish, environ: dict[str, str]
) -> None:
    new = replace(wish, firmware=changed(), yes=True)
    mac = flash.flash(node.port, replace(wish, dry_run=True), environ=environ).mac

    def cut(step: Step) -> None:
        if step.phase is Phase.WRITE and not step.done:
            node.client.ask("cut", after=3, keep=100)

    with pytest.raises(FleetError):
        flash.flash(node.port, new, cut, environ)
    assert KEPT.items() <= Rescue.of(environ).load(mac).items()
    node.client.ask("power", on=True)
    done = flash.flash(node.port, new, environ=environ)
    assert done.report is not None
    assert done.report.node == "air-1"
    assert KEPT.items() <= files_on(node).items()
    assert not Rescue.of(environ).load(mac)


def test_what_an_attempt_that_broke_off_had_read_comes_back(
    blank: BoardProcess, wish: Wish, environ: dict[str, str]
) -> None:
    done = flash.flash(blank.port, wish, environ=environ)
    assert done.report is not None
    assert done.report.node == ""  # as after a cut within the very last write
    Rescue.of(environ).save(done.mac, KEPT)
    done = flash.flash(blank.port, wish, environ=environ)
    assert done.report is not None
    assert done.report.node == "air-1"
    assert KEPT.items() <= files_on(blank).items()
    assert not Rescue.of(environ).load(done.mac)


OTHER = Identity(node="air-2", kind="air", board="esp32_air", boot0=1, ca=b"a", cert=b"c", key=b"k", brokers=["b:1"])
COMPLETED: dict[str, tuple[dict[str, bytes], dict[str, bytes], dict[str, bytes]]] = {
    "nothing was read earlier": ({"/data/a": b"1"}, {}, {"/data/a": b"1"}),
    "the board lost everything": ({}, KEPT, KEPT),
    "its identity is empty": ({PATH: b""}, KEPT, KEPT),
    "its identity is damaged": ({PATH: b"\xa1\x01"}, KEPT, KEPT),
    "what the board has is newer": (
        {PATH: KEPT[PATH], "/data/note": b"new", "/data/more": b"2"},
        KEPT,
        {**KEPT, "/data/note": b"new", "/data/more": b"2"},
    ),
    "a file that is empty is not": ({PATH: KEPT[PATH], "/data/note": b""}, KEPT, KEPT),
    "it has become another node": ({PATH: OTHER.encode()}, KEPT, {PATH: OTHER.encode()}),
    "it has claimed its identity since": (KEPT, {"/claim.cbor": b"ticket"}, KEPT),
}


@pytest.mark.parametrize("sentence", COMPLETED)
def test_what_a_board_has_is_completed(sentence: str) -> None:
    kept, rescued, wanted = COMPLETED[sentence]
    assert keep.completed(kept, rescued) == wanted


def test_erase_gives_all_of_it_up(node: BoardProcess, wish: Wish, environ: dict[str, str]) -> None:
    done = flash.flash(node.port, replace(wish, erase=True, yes=True), environ=environ)
    assert done.report is not None
    assert done.report.state == "unprovisioned"
    assert files_on(node) == image.files_of(wish.firmware)


def test_a_board_becomes_a_node_in_the_same_run(blank: BoardProcess, wish: Wish, environ: dict[str, str]) -> None:
    given = Belongings("air-1", lambda found: {PATH: IDENTITY.encode()})
    done = flash.flash(blank.port, replace(wish, belongings=given), environ=environ)
    assert done.report is not None
    assert (done.report.node, done.report.state) == ("air-1", "node")
    assert done.report.manifest == wish.firmware.of("air").manifest
    other = Belongings("air-2", lambda found: {PATH: b"never asked for"})
    with pytest.raises(NotAllowedError):
        flash.flash(blank.port, replace(wish, belongings=other), environ=environ)
    assert Identity.decode(files_on(blank)[PATH]) == IDENTITY


def test_a_dry_run_writes_nothing_and_says_how_much_it_would(
    blank: BoardProcess, wish: Wish, environ: dict[str, str]
) -> None:
    done = flash.flash(blank.port, replace(wish, dry_run=True), environ=environ)
    assert done.result == PLANNED
    assert 0 < done.written == done.size
    assert (blank.directory / "flash.bin").read_bytes() == b"\xff" * board_rig.FLASH


def test_a_board_that_shall_stay_in_its_loader_is_not_waited_for(
    blank: BoardProcess, wish: Wish, environ: dict[str, str]
) -> None:
    stays = replace(wish, options=Options(after="no-reset"))
    done = flash.flash(blank.port, stays, environ=environ)
    assert (done.result, done.report) == (WRITTEN, None)


def test_the_loader_in_rom_alone_does_it_too(blank: BoardProcess, wish: Wish, environ: dict[str, str]) -> None:
    done = flash.flash(blank.port, replace(wish, options=Options(no_stub=True)), environ=environ)
    assert done.report is not None
    assert done.report.manifest == wish.firmware.manifest
    again = replace(wish, options=Options(no_stub=True), firmware=changed())
    more = flash.flash(blank.port, again, environ=environ)
    assert 0 < more.written * 100 < 15 * done.written


def test_without_a_base_image_the_one_on_the_board_stays(
    blank: BoardProcess, wish: Wish, environ: dict[str, str], tmp_path: Path
) -> None:
    bare = replace(wish, shelf=Shelf(tmp_path / "nothing"))
    with pytest.raises(NotFoundError, match="no MicroPython for esp32"):
        flash.flash(blank.port, bare, environ=environ)
    flash.flash(blank.port, wish, environ=environ)
    done = flash.flash(blank.port, replace(bare, firmware=changed()), environ=environ)
    assert (done.result, done.base) == (FLASHED, "")


@pytest.mark.filterwarnings("ignore:set(Daemon|Name):DeprecationWarning")  # of pyserial's rfc2217
@pytest.mark.parametrize("door", ["socket", pytest.param("rfc2217", marks=pytest.mark.slow)])
def test_any_url_of_pyserial_is_a_port(door: str, wish: Wish, environ: dict[str, str], tmp_path: Path) -> None:
    with board_rig.board(tmp_path / "far", None, **{door: True}) as board:
        done = flash.flash(board.urls[door], wish, environ=environ)
        assert done.report is not None
        assert done.report.manifest == wish.firmware.manifest


def test_another_kind_of_board_is_refused(blank: BoardProcess, wish: Wish, environ: dict[str, str]) -> None:
    known = pinmaps.catalogue(sources.directory())
    with pytest.raises(UsageError, match="the chip is esp32, and what was asked for is for esp32s3"):
        flash.flash(blank.port, replace(wish, pins=(known["esp32s3_air"],)), environ=environ)


@pytest.mark.parametrize("kind", ["air", "light"])
def test_a_board_of_a_known_kind_gets_the_program_of_that_kind_alone(
    kind: str, blank: BoardProcess, wish: Wish, environ: dict[str, str]
) -> None:
    pins = (pinmaps.catalogue(sources.directory())[f"esp32_{kind}"],)
    done = flash.flash(blank.port, replace(wish, pins=pins), environ=environ)
    assert done.report is not None
    assert done.report.manifest == wish.firmware.of(kind).manifest != wish.firmware.manifest
    assert files_on(blank) == image.files_of(wish.firmware.of(kind))
    assert flash.flash(blank.port, replace(wish, pins=pins), environ=environ).result == UNCHANGED


TROUBLES: dict[str, tuple[str, object, type[FleetError], str]] = {
    "a mute loader": ("mute", 1, FleetError, "loader does not answer"),
    # what the loader says once is heard only by who has the port open again by then
    "a strap that is held down": ("stuck-boot", 1, TimedOutError, "loader|no report"),
    "digests that are wrong": ("bad-md5", 1000, VerificationError, "something else than was written"),
    "a supply that is too weak": ("brownout-boot", 1, TimedOutError, "voltage fell too low"),
    "a program that says nothing": ("hang", 1, TimedOutError, "no report"),
    "a flash that is too small": ("flash-id", "1MB", VerificationError, "needs 2 MB of flash"),
}


@pytest.mark.parametrize("case", TROUBLES)
def test_what_is_wrong_is_named(case: str, blank: BoardProcess, wish: Wish, environ: dict[str, str]) -> None:
    name, value, kind, text = TROUBLES[case]
    blank.client.ask("trouble", name=name, value=value)
    report_s = 30 if name == "stuck-boot" else 4  # what the loader says comes late on a loaded machine
    with pytest.raises(kind) as caught:
        flash.flash(blank.port, replace(wish, report_s=report_s), environ=environ)
    assert re.search(text, str(caught.value))
    assert caught.value.hint


def test_an_erased_board_holds_nothing(node: BoardProcess, environ: dict[str, str]) -> None:
    asked = erase.ask(node.port)
    assert asked is not None
    assert asked.node == "air-1"
    erase.erase(node.port, Options(), asked, environ)
    assert (node.directory / "flash.bin").read_bytes() == b"\xff" * board_rig.FLASH
    assert listing.look(node.port, environ=environ).condition == "blank"


def test_asking_a_node_resets_nothing(node: BoardProcess, environ: dict[str, str]) -> None:
    boots = node.client.ask("status")["boots"]
    seen = listing.look(node.port, environ=environ)
    assert (seen.runs, seen.chip, seen.report and seen.report.node) == ("Lumenair 0.1.0", "esp32", "air-1")
    assert node.client.ask("status")["boots"] == boots
    probed = listing.look(node.port, Options(), environ)
    assert (probed.chip, probed.flash_size) == ("esp32", 4 << 20)
