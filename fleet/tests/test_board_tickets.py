"""`fleet board provision --flash` and `--claim`: blank boards, and boards that find their fleet by themselves."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from fleet import claims
from fleet.boards import flash
from fleet.boards.unfinished import Unfinished
from fleet.flashing import image
from fleet.flashing.console import Console
from fleet.tests import board_rig
from fleet.tests.bench_rig import MAC, WIFI, Bench, agreed
from fleet.tests.cli_rig import run
from protocol.claim import Ticket
from tools.virtual_board.base import base_image
from tools.virtual_board.launch import BoardProcess


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    monkeypatch.setenv("FLEET_CACHE", str(tmp_path / "cache"))
    (tmp_path / "base.bin").write_bytes(base_image("esp32", size=65536))
    with Bench.create(tmp_path) as found:
        yield found


def ticket_of(board: BoardProcess) -> Ticket:
    files = image.read((board.directory / "flash.bin").read_bytes()[board_rig.VFS :])
    assert "/id.cbor" not in files
    return Ticket.decode(files["/claim.cbor"])


# Blank boards


def test_a_blank_board_becomes_a_node_in_one_command(bench: Bench) -> None:
    board = bench.board(None)
    base = ("--flash", "--micropython", bench.tmp_path / "base.bin")
    found = bench.provision("air-1", "--kind", "air", *WIFI, *base, "--site", "mitte", board=board)
    assert (found.code, found.json["boards"][0]["action"]) == (0, "new")
    assert bench.node().tags == {"site": "mitte"}
    agreed(bench, board)


def test_flashing_that_fails_after_the_registration_is_completed_by_the_same_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    board = bench.board(None)
    words = ("air-1", "--kind", "air", *WIFI, "--flash", "--micropython", bench.tmp_path / "base.bin")
    with monkeypatch.context() as patched:

        def crash(*_: object, **__: object) -> None:
            raise KeyboardInterrupt

        patched.setattr(flash.Esptool, "write", crash)
        assert bench.provision(*words, board=board).code == 130
    assert (bench.nodes(), bench.unfinished()) == (["air-1"], ["air-1"])
    found = bench.provision(*words, board=board)
    assert (found.code, found.json["boards"][0]["action"]) == (0, "renewed")
    agreed(bench, board)


def test_a_file_of_blank_boards_is_flashed_and_provisioned_side_by_side(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    boards = [bench.board(None, number) for number in (1, 2)]
    monkeypatch.setenv("FLEET_PORTS", " ".join(board.port for board in boards))
    file = bench.tmp_path / "boards.toml"
    file.write_text(
        f'[defaults]\nkind = "air"\nwifi_ssid = "city"\n[[board]]\nnode = "air-1"\nmac = "{MAC}"\n'
        f'[[board]]\nnode = "air-2"\nport = "{boards[1].port}"\n'
    )
    words = ("--from", file, "--flash", "--micropython", bench.tmp_path / "base.bin")
    found = bench.provision(*words)
    assert (found.code, found.err) == (0, "")
    assert [row["action"] for row in found.json["boards"]] == ["new", "new"]
    for name, board in zip(("air-1", "air-2"), boards, strict=True):
        agreed(bench, board, name)
    again = bench.provision(*words)
    assert [row["action"] for row in again.json["boards"]] == ["done", "done"]


# Tickets


def test_a_ticket_in_place_of_an_identity(bench: Bench) -> None:
    board = bench.board(board_rig.flash())
    found = bench.provision("air-7", "--claim", "b7", "--kind", "air", *WIFI, board=board)
    assert (found.code, found.json["boards"][0]["action"]) == (0, "ticket")
    ticket, key = ticket_of(board), claims.claim_key(bench.config)
    assert (ticket.batch, ticket.node, ticket.kind, ticket.board) == ("b7", "air-7", "air", "esp32_air")
    assert ticket.secret == claims.secret_of(key, "b7", claims.mac_of(MAC), ticket.until)
    assert (bench.nodes(), bench.unfinished()) == ([], []), "nothing is registered before the board asks"
    with Console(board.port) as console:
        assert console.wait_report().state == "claiming"


def test_a_dry_run_writes_no_ticket(bench: Bench) -> None:
    board = bench.board(board_rig.flash())
    found = bench.provision("--claim", "b7", "--kind", "air", *WIFI, "--dry-run", board=board)
    assert found.code == 0
    with pytest.raises(KeyError):
        ticket_of(board)


def test_every_board_that_is_attached_gets_its_own(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    boards = [bench.board(board_rig.flash() if number < 3 else None, number) for number in (1, 2, 3)]
    monkeypatch.setenv("FLEET_PORTS", " ".join(board.port for board in boards))
    found = bench.provision("--claim", "b7", "--all", "--kind", "air", *WIFI)
    assert (found.code, list(found.error["failed"])) == (6, [boards[2].port])
    assert ticket_of(boards[0]).secret != ticket_of(boards[1]).secret


REFUSED = {
    "no network": (("--claim", "b7", "--kind", "air"), "network"),
    "a batch that is no name": (("--claim", "b 7", "--kind", "air", *WIFI), "batch"),
    "tags": (("--claim", "b7", "--kind", "air", *WIFI, "--site", "mitte"), "tags"),
    "flashing in the same step": (("--claim", "b7", "--flash", *WIFI), "two steps"),
}


@pytest.mark.parametrize("mistake", REFUSED)
def test_what_makes_no_sense_is_refused(bench: Bench, mistake: str) -> None:
    words, message = REFUSED[mistake]
    found = bench.provision(*words, board=bench.board(board_rig.flash()))
    assert (found.code, message in found.error["message"]) == (2, True)


def test_a_board_with_an_identity_gets_no_ticket(bench: Bench) -> None:
    board = bench.board(board_rig.flash())
    assert bench.provision("air-1", "--kind", "air", *WIFI, board=board).code == 0
    found = bench.provision("--claim", "b7", "--kind", "air", *WIFI, board=board)
    assert (found.code, found.error["cause"]) == (4, "air-1")


def test_a_board_that_claims_already_can_be_provisioned_after_all(bench: Bench) -> None:
    board = bench.board(board_rig.flash())
    assert bench.provision("--claim", "b7", "--kind", "air", *WIFI, board=board).code == 0
    found = bench.provision("air-1", "--kind", "air", *WIFI, board=board)
    assert (found.code, found.json["boards"][0]["action"]) == (0, "new")
    agreed(bench, board)
    assert not list((bench.config.directory / "unfinished").glob("*"))
    with contextlib.suppress(KeyError):
        assert "/claim.cbor" not in image.read((board.directory / "flash.bin").read_bytes()[board_rig.VFS :])
    assert run("node", "list", "--fleet", bench.config.directory, "-o", "name").out == "air-1\n"
    assert Unfinished(bench.config.directory).all() == []
