"""`fleet board provision` on virtual boards: a board becomes a node, whatever happens in between."""

import io
import json
import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from fleet.boards import provision
from fleet.boards.unfinished import Note, Unfinished
from fleet.errors import UnreachableError
from fleet.flashing.console import Console
from fleet.flashing.remote import Remote
from fleet.provision import Provisioner
from fleet.tests import board_rig
from fleet.tests.bench_rig import MAC, PSK, WIFI, Bench, agreed, identity_of
from fleet.tests.cli_rig import run


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with Bench.create(tmp_path) as found:
        yield found


def test_a_board_becomes_a_node_and_its_key_is_nowhere_else(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LUMENAIR_WIFI_PSK", PSK)
    board = bench.board(board_rig.flash())
    found = bench.provision("air-1", "--kind", "air", *WIFI, "--site", "mitte", "--lat", "52.5", "pole=7", board=board)
    assert (found.code, found.err) == (0, "")
    (row,) = found.json["boards"]
    assert (row["action"], row["board"], row["mac"]) == ("new", "esp32_air", "240ac4000001")
    agreed(bench, board)
    identity, node = identity_of(board), bench.node()
    assert (identity.wifi_psk, identity.brokers) == (PSK, list(bench.config.node_brokers))
    assert dict(node.tags) == {"site": "mitte", "lat": "52.5", "pole": "7"}
    told = found.out.encode() + (board.directory / "serial.log").read_bytes()
    kept = b"".join(path.read_bytes() for path in bench.config.directory.rglob("*") if path.is_file())
    for secret in (identity.key, identity.key.hex().encode(), PSK.encode()):
        assert secret not in told + kept


def test_a_node_that_exists_gets_a_new_certificate_only_when_somebody_agrees(bench: Bench) -> None:
    board = bench.board(board_rig.flash())
    assert bench.provision("air-1", "--kind", "air", *WIFI, board=board).code == 0
    old = bench.node().cert_serial
    refused = bench.provision("air-1", *WIFI, board=board)
    assert (refused.code, "--yes" in refused.error["hint"]) == (2, True)
    assert bench.node().cert_serial == old
    done = bench.provision("air-1", *WIFI, "--yes", "site=wedding", board=board)
    assert done.json["boards"][0]["action"] == "renewed"
    assert old in bench.revoked()
    assert bench.node().tags["site"] == "wedding"
    agreed(bench, board)


def test_a_board_that_is_another_node_keeps_its_data(bench: Bench) -> None:
    board = bench.board(board_rig.flash())
    assert bench.provision("air-1", "--kind", "air", *WIFI, board=board).code == 0
    found = bench.provision("air-2", "--kind", "air", *WIFI, board=board)
    assert (found.code, bench.nodes()) == (4, ["air-1"])
    assert "--flash" in found.error["hint"]


def test_a_dry_run_changes_nothing(bench: Bench) -> None:
    board = bench.board(board_rig.flash())
    before = (board.directory / "flash.bin").read_bytes()
    found = bench.provision("air-1", "--kind", "air", *WIFI, "--dry-run", board=board)
    assert (found.code, found.json["boards"][0]["action"]) == (0, "new")
    assert (bench.nodes(), bench.unfinished()) == ([], [])
    assert (board.directory / "flash.bin").read_bytes() == before


# What goes wrong before anything is changed


def test_a_board_with_micropython_alone_has_to_be_flashed_first(bench: Bench) -> None:
    found = bench.provision("air-1", "--kind", "air", *WIFI, board=bench.board(board_rig.flash(files={})))
    assert (found.code, "--flash" in found.error["hint"]) == (4, True)


def test_a_blank_board_has_to_be_flashed_first(bench: Bench) -> None:
    found = bench.provision("air-1", "--kind", "air", *WIFI, board=bench.board(None))
    assert (found.code, found.error["cause"]) == (4, "there is no program in its flash")


def test_a_board_that_hangs_does_not_answer(bench: Bench) -> None:
    board = bench.board(board_rig.flash(), off=True)
    board.client.ask("trouble", name="hang", value=1)
    board.client.ask("power", on=True)
    found = bench.provision("air-1", "--kind", "air", *WIFI, board=board)
    assert found.code == 5
    assert "doctor" in found.error["hint"]


WRONG = {
    "no network": (("--kind", "air"), 2, "network"),
    "a pin map that is not there": (("--board", "esp32_ari", *WIFI), 2, "esp32_air"),
    "a pin map of another chip": (("--board", "esp32s3_air", *WIFI), 2, "esp32_air"),
    "a pin map of another kind": (("--board", "esp32_air", "--kind", "light", *WIFI), 2, "esp32_light"),
    "neither kind nor pin map": (WIFI, 2, "--kind"),
}


@pytest.mark.parametrize("mistake", WRONG)
def test_what_does_not_fit_the_board_is_refused(bench: Bench, mistake: str) -> None:
    words, code, hint = WRONG[mistake]
    found = bench.provision("air-1", *words, board=bench.board(board_rig.flash()))
    assert (found.code, bench.nodes()) == (code, [])
    assert hint in found.error["message"] + found.error["hint"]


def test_a_retired_id_is_never_used_again(bench: Bench) -> None:
    board = bench.board(board_rig.flash())
    assert bench.provision("air-1", "--kind", "air", *WIFI, board=board).code == 0
    assert run("node", "retire", "air-1", "--yes", "--fleet", bench.config.directory).code == 0
    assert bench.provision("air-1", *WIFI, "--yes", board=board).code == 4


# What goes wrong in the middle: the same again completes it, and nobody has to agree to anything


class Crash(BaseException):
    """kill -9."""


def crash(*_: object, **__: object) -> None:
    raise Crash


def after(call: Callable[..., object]) -> Callable[..., None]:
    """The call, and then the end."""

    def both(*args: object, **kwargs: object) -> None:
        call(*args, **kwargs)
        raise Crash

    return both


WINDOWS = {
    "before the note": (Unfinished, "begin", crash),
    "after the note": (Provisioner, "provision", crash),
    "after the register": (Provisioner, "provision", after(Provisioner.provision)),
    "before the write": (Remote, "write", crash),
    "after the write": (Remote, "write", after(Remote.write)),
    "before the start": (Remote, "restart", crash),
    "before the report": (Console, "wait_report", crash),
    "before the note goes": (Unfinished, "end", crash),
}


@pytest.mark.parametrize("window", WINDOWS)
def test_a_crash_anywhere_is_completed_by_the_same_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, window: str
) -> None:
    target, name, instead = WINDOWS[window]
    board = bench.board(board_rig.flash())
    words = ("air-1", "--kind", "air", *WIFI)
    with monkeypatch.context() as patched:
        patched.setattr(target, name, instead)
        with pytest.raises(Crash):
            bench.provision(*words, board=board)
    assert bench.nodes() == [] or bench.unfinished() == ["air-1"], "a node whose key nobody got would be an orphan"
    assert bench.provision(*words, board=board).code == 0
    agreed(bench, board)


@pytest.mark.parametrize("operations", [1, 2, 4])
def test_a_power_cut_while_it_is_written_says_how_to_go_on(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, operations: int
) -> None:
    monkeypatch.setattr(provision, "Remote", partial(Remote, timeout_s=4))
    board = bench.board(board_rig.flash(), off=True)
    words = ("air-1", "--kind", "air", *WIFI)
    board.client.ask("cut", after=operations, keep=10)
    board.client.ask("power", on=True)
    found = bench.provision(*words, board=board)
    assert found.code in (1, 5, 8)
    assert "run the same again to complete it" in found.error["hint"]
    assert (bench.nodes(), bench.unfinished()) == (["air-1"], ["air-1"])
    lost = bench.node().cert_serial
    board.client.ask("power", on=True)
    assert bench.provision(*words, board=board).json["boards"][0]["action"] == "renewed"
    assert lost in bench.revoked()
    agreed(bench, board)


def test_an_unfinished_node_is_completed_on_its_own_board_only(bench: Bench) -> None:
    board = bench.board(board_rig.flash())
    assert bench.provision("air-1", "--kind", "air", *WIFI, board=board).code == 0
    Unfinished(bench.config.directory).begin(Note("air-1", "240ac4000009", "x", 1))
    assert bench.provision("air-1", *WIFI, board=board).code == 2


def test_an_interruption_says_that_something_is_open(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    board = bench.board(board_rig.flash())
    monkeypatch.setattr(Remote, "restart", interrupt)
    words = ("air-1", "--kind", "air", *WIFI, "--port", board.port, "--fleet", bench.config.directory)
    found = run("board", "provision", *words)
    assert found.code == 130
    assert "run the same again" in found.err


def test_a_node_that_reports_something_else_is_no_success(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    board = bench.board(board_rig.flash())
    monkeypatch.setattr(Remote, "write", lambda *_: None)
    found = bench.provision("air-1", "--kind", "air", *WIFI, board=board)
    assert (found.code, found.error["code"]) == (7, "verification")
    assert bench.unfinished() == ["air-1"]


# Keys of networks


def test_the_key_of_the_network_comes_from_a_file_or_stdin_and_no_argument(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    board = bench.board(board_rig.flash())
    (bench.tmp_path / "psk").write_text(f"{PSK}\nmore\n")
    words = ("air-1", "--kind", "air", *WIFI, "--wifi-psk-file")
    assert bench.provision(*words, bench.tmp_path / "psk", board=board).code == 0
    assert identity_of(board).wifi_psk == PSK
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"another secret\n")))
    assert bench.provision(*words, "-", "--yes", board=board).code == 0
    assert identity_of(board).wifi_psk == "another secret"
    assert run("board", "provision", "air-1", "--wifi-psk", PSK).code == 2


@pytest.mark.parametrize("text", ["short", "passwörter", ""])
def test_a_key_that_is_none_is_refused_and_not_repeated(bench: Bench, text: str) -> None:
    (bench.tmp_path / "psk").write_text(text)
    found = bench.provision("air-1", *WIFI, "--wifi-psk-file", bench.tmp_path / ("psk" if text else "none"))
    assert found.code == (2 if text else 3)
    assert not text or text not in found.err


# Several


def write_batch(bench: Bench, *rows: str) -> Path:
    path = bench.tmp_path / "boards.csv"
    path.write_text("\n".join(("node,mac,port,kind,site", *rows)) + "\n")
    return path


def test_a_batch_does_what_can_be_done_and_the_next_run_does_the_rest(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    boards = [bench.board(board_rig.flash(), number, off=number == 2) for number in (1, 2, 3)]
    boards[1].client.ask("trouble", name="hang", value=1)
    boards[1].client.ask("power", on=True)
    monkeypatch.setenv("FLEET_PORTS", " ".join(board.port for board in boards))
    file = write_batch(
        bench,
        f"air-1,{MAC},,air,mitte",
        f"air-2,,{boards[1].port},air,mitte",
        "light-3,240ac4000003,,light,wedding",
        "air-4,240ac4000009,,air,",
    )
    first = bench.provision("--from", file, *WIFI)
    assert (first.code, set(first.error["failed"])) == (6, {"air-2", "air-4"})
    assert [row["action"] for row in first.json["boards"]] == ["new", "failed", "new", "absent"]
    serials = bench.node("air-1").cert_serial, bench.node("light-3").cert_serial
    boards[1].client.ask("trouble", name="hang", value=0)
    boards[1].client.ask("reset")
    second = bench.provision("--from", write_batch(bench, *file.read_text().splitlines()[1:-1]), *WIFI)
    assert (second.code, [row["action"] for row in second.json["boards"]]) == (0, ["done", "new", "done"])
    assert serials == (bench.node("air-1").cert_serial, bench.node("light-3").cert_serial)
    for name, board in zip(("air-1", "air-2", "light-3"), boards, strict=True):
        agreed(bench, board, name)


def test_a_batch_with_a_mistake_does_nothing_at_all(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    board = bench.board(board_rig.flash())
    monkeypatch.setenv("FLEET_PORTS", board.port)
    file = write_batch(bench, f"air-1,{MAC},,air,", "air-2,240ac4,,air,")
    found = bench.provision("--from", file, *WIFI)
    assert (found.code, bench.nodes()) == (2, [])
    assert "line 3, column 2: mac" in found.error["cause"]


def test_a_board_that_no_line_means_is_named(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    board = bench.board(board_rig.flash())
    monkeypatch.setenv("FLEET_PORTS", board.port)
    file = write_batch(bench, "air-1,240ac4000009,,air,")
    found = run("board", "provision", "--from", file, *WIFI, "--fleet", bench.config.directory)
    assert found.code == 6
    assert f"{board.port} (240ac4000001) is in no line" in found.err


def test_one_node_or_one_file() -> None:
    assert run("board", "provision").code == 2
    assert run("board", "provision", "air-1", "air-2").code == 2
    assert run("board", "provision", "air-1", "--from", "x.csv").code == 2


# Notes


def test_a_note_survives_and_a_damaged_one_is_none(tmp_path: Path) -> None:
    notes = Unfinished(tmp_path)
    note = Note("air-1", "240ac4000001", "/dev/ttyUSB0", 7)
    notes.begin(note)
    assert (notes.get("air-1"), notes.all()) == (note, [note])
    path = next((tmp_path / "unfinished").iterdir())
    assert os.stat(path).st_mode & 0o777 == 0o600
    for text in ("", "[]", json.dumps({"node": "air-1"}), "{"):
        path.write_text(text)
        assert (notes.get("air-1"), notes.all()) == (None, [])
    notes.end("air-1")
    notes.end("air-1")


def test_what_fails_after_the_registration_keeps_its_kind() -> None:
    error = provision.unfinished("air-1", UnreachableError("gone", hint="plug it in"))
    assert isinstance(error, UnreachableError)
    assert error.hint.startswith("plug it in; air-1 is registered")
