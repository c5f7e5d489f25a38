"""`fleet node ticket` and `accept`, and what the other commands say about boards that wait."""

import stat
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from fleet.model import Kind, Standing
from fleet.tests.claim_rig import Board, Office
from fleet.tests.cli_rig import Result, run
from protocol import claim
from protocol.claim import Ticket

OTHER = bytes.fromhex("240ac4000002")
LIGHT = "light-240ac4000002"


class Desk(Office):
    """An office with a command line."""

    def fleet(self, *args: str | Path) -> Result:
        return run(*args, "--fleet", self.config.directory)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path / "fleet")
    made.now_s = int(time.time())
    yield made
    made.store.close()


@pytest.fixture
def waiting(desk: Desk) -> Desk:
    """Two boards of batch b7 wait: air-17 and light-240ac4000002."""
    desk.ask(desk.board(node="air-17"))
    desk.ask(desk.board(OTHER, kind=Kind.LIGHT))
    return desk


def standings(desk: Desk) -> dict[str, str]:
    return {node.id: node.standing.value for node in desk.store.nodes.all()}


def test_who_waits_is_in_the_list_and_can_be_found(waiting: Desk) -> None:
    rows = waiting.fleet("node", "list", "--json").json["nodes"]
    assert [(row["id"], row["state"], row["standing"]) for row in rows] == [
        ("air-17", "pending", "pending"),
        (LIGHT, "pending", "pending"),
    ]
    found = waiting.fleet("node", "list", "--where", "standing=pending and batch=b7 and kind=air", "-o", "name")
    assert found.out == "air-17\n"
    assert waiting.fleet("node", "show", "air-17", "--json").json["node"]["tags"]["mac"] == "240ac4000001"
    assert "pending" in waiting.fleet("node", "list").out


def test_the_doctor_tells_who_waits(waiting: Desk) -> None:
    checks = {row["check"]: row["text"] for row in waiting.fleet("doctor", "--json").json["checks"]}
    assert checks["claims"] == f"air-17, {LIGHT} wait to be accepted"


def test_a_board_is_accepted_by_id_or_by_mac_under_a_name_of_ours(waiting: Desk) -> None:
    found = waiting.fleet("node", "accept", "24:0A:C4:00:00:01", "--as", "pole-9", "--yes", "--json")
    assert found.code == 0, found.err
    assert found.json["nodes"][0]["id"] == "pole-9"
    assert found.json["nodes"][0]["mac"] == "240ac4000001"
    assert waiting.fleet("node", "accept", LIGHT, "--yes").code == 0
    assert standings(waiting) == {"pole-9": "accepted", LIGHT: "accepted"}
    assert waiting.fleet("node", "list", "--json").json["nodes"][1]["state"] == "never"


def test_a_whole_batch_is_accepted_at_once(waiting: Desk) -> None:
    assert waiting.fleet("node", "accept", "--where", "batch=b7", "--yes", "-o", "name").out == f"air-17\n{LIGHT}\n"
    assert set(standings(waiting).values()) == {"accepted"}
    again = waiting.fleet("node", "accept", "--where", "batch=b7", "--yes")
    assert (again.code, again.out, again.err) == (0, "", "No board that waits fits.\n")


def test_a_dry_run_accepts_nobody(waiting: Desk) -> None:
    found = waiting.fleet("node", "accept", "--where", "kind=air", "--dry-run")
    assert "air-17" in found.out
    assert set(standings(waiting).values()) == {"pending"}


def test_accepting_one_of_several_that_fails_is_told(waiting: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    from fleet import claims
    from fleet.errors import NotAllowedError

    honest = claims.accept

    def accept(store: object, one: object, name: str, *rest: object) -> None:
        if name == "air-17":
            raise NotAllowedError("air-17 does not wait to be accepted")
        honest(store, one, name, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(claims, "accept", accept)
    found = waiting.fleet("node", "accept", "air-17", LIGHT, "--yes", "--json")
    assert found.code == 6
    assert found.error["failed"] == {"air-17": "air-17 does not wait to be accepted"}
    assert [row["id"] for row in found.json["nodes"]] == [LIGHT]


REFUSED: dict[str, tuple[tuple[str, ...], int]] = {
    "nobody is named": (("accept", "--yes"), 2),
    "one name for two boards": (("accept", "air-17", LIGHT, "--as", "x-1", "--yes"), 2),
    "a script without a yes": (("accept", "air-17"), 2),
    "a board that never asked": (("accept", "240ac4000009", "--yes"), 3),
    "a name that is none": (("accept", "air-17", "--as", "A B", "--yes"), 2),
    "a name that is taken": (("accept", "air-17", "--as", LIGHT, "--yes"), 4),
    "a filter that is none": (("accept", "--where", "batch=", "--yes"), 2),
    "a command to a board that waits": (("command", "identify", "air-17"), 4),
    "a configuration of a board that waits": (("config", "set", "air-17", "interval_s=30", "--yes"), 4),
    "a ticket for a kind that the pin map is not for": (
        ("ticket", "240ac4000001", "--batch", "b", "--kind", "air", "--board", "esp32_light", "--out", "t"), 2,
    ),
    "a ticket for no chip": (("ticket", "x", "--batch", "b", "--kind", "air", "--board", "b", "--out", "t"), 2),
    "one id for two tickets": (
        ("ticket", "240ac4000001", "240ac4000002", "--as", "a-1", "--batch", "b", "--kind", "air", "--board", "b",
         "--out", "t"),
        2,
    ),
}  # fmt: skip


@pytest.mark.parametrize("sentence", REFUSED)
def test_refused(waiting: Desk, sentence: str) -> None:
    words, code = REFUSED[sentence]
    found = waiting.fleet("node", *words)
    assert found.code == code, found.err
    assert "Error: " in found.err
    assert "pending" in standings(waiting)["air-17"]


def test_retiring_a_board_that_waits_refuses_it(waiting: Desk) -> None:
    assert waiting.fleet("node", "retire", "air-17", "--yes").code == 0
    assert standings(waiting)["air-17"] == Standing.RETIRED
    rows = waiting.fleet("node", "list", "-o", "name").out
    assert rows == f"{LIGHT}\n"
    assert waiting.fleet("node", "accept", "air-17", "--yes").code == 4


def test_a_ticket_opens_the_door_to_its_board(desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    psk = tmp_path / "psk.txt"
    psk.write_text("hush\n")
    target = tmp_path / "tickets"
    shared = ("--batch", "b7", "--kind", "air", "--board", "esp32_air", "--out", target)
    found = desk.fleet(
        "node", "ticket", "24:0a:c4:00:00:01", "240ac4000002", *shared, "--wifi-ssid", "city", "--wifi-psk-file", psk,
        "--days", "30", "--json",
    )  # fmt: skip
    assert found.code == 0, found.err
    assert [row["mac"] for row in found.json["tickets"]] == ["240ac4000001", "240ac4000002"]
    assert "hush" not in found.out + found.err
    path = target / "240ac4000001.cbor"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(target.stat().st_mode) == 0o700
    ticket = Ticket.decode(path.read_bytes())
    assert (ticket.wifi_ssid, ticket.wifi_psk, ticket.until - ticket.made) == ("city", "hush", 30 * 86400)
    assert desk.ask(Board(ticket)).status == claim.PENDING
    monkeypatch.setenv("LUMENAIR_WIFI_PSK", "other")
    assert desk.fleet("node", "ticket", "240ac4000001", *shared).code == 0
    assert Ticket.decode(path.read_bytes()).wifi_psk == "other"
    psk.write_text("")
    assert desk.fleet("node", "ticket", "240ac4000001", *shared, "--wifi-psk-file", psk).code == 4


def test_a_fleet_that_does_not_listen_says_so_with_the_ticket(tmp_path: Path) -> None:
    desk = Desk(tmp_path / "fleet", listen="")
    words = ("--batch", "b7", "--kind", "air", "--board", "esp32_air", "--out", tmp_path)
    assert "claim.listen" in desk.fleet("node", "ticket", "240ac4000001", *words).err
    desk.store.close()


def test_the_claim_key_is_in_the_backup_and_an_old_fleet_gets_one(desk: Desk, tmp_path: Path) -> None:
    target = tmp_path / "b.tar.gz"
    assert desk.fleet("backup", target).code == 0
    with tarfile.open(target) as archive:
        assert "certs/claim.key" in archive.getnames()
    desk.config.claim_key_file.unlink()
    checks = desk.fleet("doctor", "--json").json
    assert any("claim.key" in row["text"] for row in checks["checks"])
    assert run("init", desk.config.directory).code == 0
    assert stat.S_IMODE(desk.config.claim_key_file.stat().st_mode) == 0o600
