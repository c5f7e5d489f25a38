"""`fleet board list`, `flash` and `erase` on virtual boards: tables, JSON, exit codes, and many at a time."""

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from fleet.boards import many
from fleet.boards.flash import Phase, Step
from fleet.cli import board_progress
from fleet.cli.output import Output
from fleet.flashing.ports import ENVIRONMENT, Port
from fleet.tests import board_rig
from fleet.tests.cli_rig import Screen, make_fleet, run
from fleet.tests.rig import wait_for
from tools.interpreter import version as interpreter_version
from tools.virtual_board.base import base_image
from tools.virtual_board.launch import BoardProcess


@pytest.fixture(autouse=True)
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A base image where downloads are looked for, and nothing of the user's own."""
    directory = tmp_path / "cache" / "micropython"
    directory.mkdir(parents=True)
    (directory / f"ESP32_GENERIC-20260824-v{interpreter_version()}.bin").write_bytes(base_image("esp32"))
    monkeypatch.setenv("FLEET_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    monkeypatch.setenv(ENVIRONMENT, str(tmp_path / "boards" / "*" / "port"))
    monkeypatch.delenv("LUMENAIR_WIFI_PSK", raising=False)
    return directory


@contextlib.contextmanager
def boards(tmp_path: Path, count: int) -> Iterator[list[BoardProcess]]:
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(board_rig.board(tmp_path / "boards" / f"b{n}", None)) for n in range(count)]


@pytest.mark.slow
def test_of_eight_boards_two_that_fail_stop_no_other_and_are_done_the_second_time(tmp_path: Path) -> None:
    with boards(tmp_path, 8) as found:
        found[2].client.ask("trouble", name="mute", value=1)
        found[5].client.ask("trouble", name="bad-md5", value=1000)
        first = run("board", "flash", "--all", "--json")
        assert first.code == 6
        results = [row["result"] for row in first.json["boards"]]
        assert results == ["flashed", "flashed", "failed", "flashed", "flashed", "failed", "flashed", "flashed"]
        failed = first.error["failed"]
        assert list(failed) == [found[2].port, found[5].port]
        assert "loader does not answer" in failed[found[2].port]["message"]
        assert "No serial data received" in failed[found[2].port]["cause"]
        assert failed[found[5].port]["code"] == "verification"
        assert all(why["hint"] for why in failed.values())

        for board in (found[2], found[5]):
            for name in ("mute", "bad-md5"):
                board.client.ask("trouble", name=name, value=0)
        second = run("board", "flash", "--all", "--json")
        assert second.code == 0
        rows = second.json["boards"]
        assert [n for n, row in enumerate(rows) if row["result"] == "unchanged"] == [0, 1, 3, 4, 6, 7]
        assert all(row["written"] for row in (rows[2], rows[5]))
        assert len({row["mac"] for row in rows}) == 8


def test_from_nothing_to_a_node_and_to_nothing_again(tmp_path: Path, shelf: Path) -> None:
    make_fleet(tmp_path / "fleet")
    with boards(tmp_path, 1) as (board,):
        listed = run("board", "list", "--json").json["boards"]
        assert [(row["port"], row["condition"], row["node"]) for row in listed] == [(board.port, "blank", None)]

        node = ("board", "flash", "--node", "air-7", "--wifi-ssid", "city", "--fleet", tmp_path / "fleet")
        assert run(*node, "--kind", "light", "--dry-run").code == 0
        assert run("node", "show", "air-7", "--fleet", tmp_path / "fleet").code == 3

        done = run(*node, "--kind", "air", "--json")
        assert done.code == 0, done.err
        (row,) = done.json["boards"]
        assert (row["node"], row["state"], row["result"], row["chip"]) == ("air-7", "node", "flashed", "esp32")
        assert row["micropython"] == interpreter_version()
        assert run("node", "show", "air-7", "--fleet", tmp_path / "fleet").code == 0

        (seen,) = run("board", "list", "--json").json["boards"]
        assert (seen["node"], seen["kind"], seen["board"]) == ("air-7", "air", "esp32_air")
        assert seen["manifest"] == row["manifest"]

        words = ("--kind", "air", "--wifi-ssid", "city", "--fleet", tmp_path / "fleet", "--flash", "--dry-run")
        planned = run("board", "provision", "air-8", *words, "--json")
        assert (planned.code, planned.json["boards"][0]["action"]) == (0, "planned"), planned.err
        assert run("node", "show", "air-8", "--fleet", tmp_path / "fleet").code == 3

        wrong = run("board", "flash", "--kind", "light", "--force", "--yes")
        assert wrong.code == 2
        assert "air-7" in wrong.err

        refused = run("board", "erase")
        assert refused.code == 2
        assert "air-7" in refused.err
        erased = run("board", "erase", "--yes", "--json")
        assert erased.json["boards"][0]["node"] == "air-7"
        assert (board.directory / "flash.bin").read_bytes() == b"\xff" * board_rig.FLASH


def test_what_cannot_be_done_has_its_exit_code_and_its_next_step(tmp_path: Path, shelf: Path) -> None:
    nothing = run("board", "flash")
    assert (nothing.code, "no board is attached" in nothing.err) == (5, True)
    assert run("board", "list").code == 0
    with boards(tmp_path, 2) as (one, _):
        assert run("board", "flash").code == 2
        assert run("board", "flash", "--all", "--node", "air-1", "--fleet", tmp_path).code == 2
        assert run("board", "flash", "--port", one.port, "--chip", "esp8266").code == 2
        assert run("board", "flash", "--port", one.port, "--board", "esp32_ari").code == 2
        assert run("board", "flash", "--port", one.port, "--micropython", "x.bin").code == 3
        missing = run("board", "flash", "--port", one.port, "--micropython", "1.24.0", "--json")
        assert missing.code == 3
        assert "https://micropython.org/download/ESP32_GENERIC/" in missing.error["hint"]
        assert str(shelf) in missing.error["message"]
        image = next(shelf.iterdir())
        assert run("board", "flash", "--port", one.port, "--micropython", image, "--sha256", "0" * 64).code == 7
        assert run("board", "flash", "--port", one.port, "--micropython", image, "--sha256", "00").code == 2
        idle = run("board", "flash", "--port", one.port, "--wifi-ssid", "city")
        assert (idle.code, "--wifi-ssid without --node" in idle.err) == (2, True)
        assert "--all" not in run("board", "doctor").err
    assert run("board", "flash", "--port", one.port).code == 5


def test_off_a_terminal_each_step_is_one_line_and_a_script_sees_none(capsys: pytest.CaptureFixture[str]) -> None:
    for form in ("table", "json"):
        with (
            board_progress.shown(["ttyUSB0"], Output(form)) as progress,
            board_progress.awaited("asking", Output(form)),
        ):
            for done in range(3):
                progress.step("ttyUSB0", Step(Phase.WRITE, done, 3))
            progress.end("ttyUSB0", "flashed")
    assert capsys.readouterr().err == "ttyUSB0: writing\nttyUSB0: flashed\n"


def _terminal(monkeypatch: pytest.MonkeyPatch) -> Screen:
    """stderr is one from now on; not from a fixture, since pytest changes it between fixture and test."""
    screen = Screen()
    monkeypatch.setattr("sys.stderr", screen)
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    return screen


def test_on_a_terminal_each_board_has_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = _terminal(monkeypatch)
    with board_progress.shown(["ttyUSB0", "ttyUSB1"], Output("table")) as progress:
        progress.step("ttyUSB0", Step(Phase.WRITE, 50, 100))
        progress.end("ttyUSB1", "failed")
    shown = screen.getvalue()
    assert all(text in shown for text in ("ttyUSB0", "ttyUSB1", "writing", "50%", "failed"))


def test_what_takes_long_shows_a_sign_of_life_and_what_does_not_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = _terminal(monkeypatch)
    with board_progress.awaited("asking them", Output("table")):
        pass
    assert screen.getvalue() == ""
    monkeypatch.setattr(board_progress, "PATIENCE_S", 0)
    with board_progress.awaited("asking them", Output("table")):
        wait_for(lambda: "asking them ..." in screen.getvalue(), "a sign of life")


def test_an_error_of_our_own_in_one_board_is_told_and_stops_no_other() -> None:
    def work(port: Port) -> str:
        if port.url == "a":
            raise ZeroDivisionError("of our own")
        return port.url

    stop = threading.Event()
    outcomes = {one.port.url: one for one in many.each([Port("a"), Port("b")], work, stop)}
    assert outcomes["b"].result == "b"
    assert outcomes["a"].error is not None
    assert "ZeroDivisionError" in outcomes["a"].error.cause


def test_whoever_has_enough_stops_all() -> None:
    begun, stop = threading.Event(), threading.Event()
    ended: list[str] = []

    def work(port: Port) -> str:
        if port.url == "a":
            begun.wait(30)
        else:
            begun.set()
            stop.wait(30)
        ended.append(port.url)
        return port.url

    running = many.each([Port("a"), Port("b")], work, stop)
    assert next(running).result == "a"
    running.close()  # type: ignore[attr-defined]  # a generator
    assert sorted(ended) == ["a", "b"]
