"""A board in the field: with a ticket and no identity, to a node whose records are stored, over the real service."""

import time
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from fleet import claims
from fleet.claims import TicketRequest
from fleet.config import Config
from fleet.flashing import firmware, image
from fleet.flashing.console import Console
from fleet.model import Kind, Standing
from fleet.store import Store
from fleet.tests.claim_rig import MAC, fleet_that_takes_claims
from fleet.tests.cli_rig import run
from fleet.tests.rig import wait_for
from fleet.tests.service_rig import serving, stored
from protocol.console import parse
from protocol.identity import PATH, TICKET_PATH
from tools.virtual_board.base import base_image
from tools.virtual_board.chips import CHIPS
from tools.virtual_board.launch import BoardProcess

PATIENCE_S = 120.0
CHIP = "esp32"
VFS_AT = 0x200000
RATE = 10
PROBE = """
def before(board):
    lamp, board.driven = board.bench.pwm["lamp"], []
    keep = lamp.duty_u16
    def drive(duty):
        board.driven.append(duty)
        keep(duty)
    lamp.duty_u16 = drive
def ask(board, values):
    return {"driven": board.driven}
"""


class Field:
    """A fleet that takes claims, and a board with a ticket of it."""

    def __init__(self, directory: Path, kind: Kind) -> None:
        self.kind = kind
        self.config: Config = fleet_that_takes_claims(directory / "fleet")
        self.directory = directory / "board"
        self.directory.mkdir()

    def flash(self, **changes: Any) -> None:
        """Our program, and a ticket instead of an identity."""
        values = {"mac": MAC, "batch": "b7", "kind": self.kind, "board": f"esp32_{self.kind}", "ntp": ()}
        ticket = claims.ticket(self.config, TicketRequest(**{**values, **changes}), int(time.time()))
        files = {**image.files_of(firmware.load()), TICKET_PATH: ticket.encode()}
        chip = bytearray(b"\xff" * (4 << 20))
        base = base_image(CHIP)
        start = CHIPS[CHIP].bootloader_at
        chip[start : start + len(base)] = base
        chip[VFS_AT:] = image.build(files)
        (self.directory / "flash.bin").write_bytes(chip)

    def board(self) -> BoardProcess:
        mac = ":".join(f"{byte:02x}" for byte in MAC)
        probe = None
        if self.kind is Kind.LIGHT:
            probe = self.directory / "probe.py"
            probe.write_text(PROBE)
        return BoardProcess(self.directory, chip=CHIP, mac=mac, fit=self.kind.value, rate=RATE, probe=probe)

    def reports(self) -> list[dict[str, Any]]:
        """What the board said about itself so far; the log puts a time before each line."""
        lines = (self.directory / "serial.log").read_text(errors="replace").splitlines()
        found = [parse(line[line.find("@lumenair") :]) for line in lines if "@lumenair" in line]
        return [report for report in found if report]

    def files(self) -> dict[str, bytes]:
        """What lies in the board's flash."""
        return image.read((self.directory / "flash.bin").read_bytes()[VFS_AT:])

    def standing(self) -> dict[str, Standing]:
        with Store.open(self.config.store_url) as store:
            return {node.id: node.standing for node in store.nodes.all()}


def accepted(field: Field, *words: str) -> None:
    words = ("node", "accept", MAC.hex(), *words, "--yes", "--fleet", str(field.config.directory))
    assert run(*words).code == 0


def waits(field: Field) -> None:
    wait_for(lambda: "pending" in field.standing().values(), "a board that waits", PATIENCE_S)


@pytest.fixture
def field(tmp_path: Path) -> Field:
    return Field(tmp_path, Kind.AIR)


@pytest.mark.slow
def test_a_board_in_the_field_becomes_a_node_whose_records_are_stored(field: Field) -> None:
    field.flash()
    directory = field.config.directory
    with serving(field.config) as service, field.board() as board:
        waits(field)
        assert [report["state"] for report in field.reports()][:1] == ["claiming"]
        with Console(board.port) as console:
            answer = console.identify()
        assert answer.report is not None
        assert (answer.report.state, answer.report.mac) == ("claiming", MAC.hex())
        accepted(field, "--as", "pole-9")
        wait_for(lambda: stored(field.config) > 0, "records of the new node", PATIENCE_S)
        last = field.reports()[-1]
        assert (last["state"], last["node"], last["mac"]) == ("node", "pole-9", MAC.hex())
        shown = run("node", "show", "pole-9", "--json", "--fleet", directory).json["node"]
        assert (shown["state"], shown["standing"], shown["version"]) == ("online", "accepted", last["fw"])
    found = field.files()
    assert PATH in found
    assert TICKET_PATH not in found
    assert any("waits to be accepted" in line for line in service.errors)
    assert any("gets the identity of pole-9" in line for line in service.errors)


@pytest.mark.slow
@pytest.mark.parametrize("after", [1, 3])
def test_a_light_node_shines_while_it_claims_and_survives_the_power_cut_that_its_identity_meets(
    tmp_path: Path, after: int
) -> None:
    field = Field(tmp_path, Kind.LIGHT)
    field.flash()
    with serving(field.config) as service, field.board() as board:
        waits(field)
        assert board.client.ask("probe")["driven"] == [65535]
        board.client.ask("cut", after=after, keep=1)
        accepted(field)
        wait_for(lambda: board.client.ask("status")["state"] == "off", "the power cut", PATIENCE_S)
        board.client.ask("power", on=True)
        wait_for(lambda: field.reports()[-1]["state"] == "node", "a node", PATIENCE_S)
    assert TICKET_PATH not in field.files()
    issued = sum("gets the identity" in line for line in service.errors)
    revoked = x509.load_pem_x509_crl((field.config.ca_dir / "crl.pem").read_bytes())
    assert len(list(revoked)) == issued - 1, "only the newest certificate counts"


@pytest.mark.slow
def test_a_board_whose_ticket_was_tampered_with_is_refused_and_goes_on_asking(tmp_path: Path) -> None:
    field = Field(tmp_path, Kind.AIR)
    field.flash(mac=bytes(6))
    with serving(field.config) as service, field.board():
        log = field.directory / "serial.log"
        wait_for(lambda: log.exists() and "refused: not proved" in log.read_text(), "a refusal", PATIENCE_S)
    assert field.standing() == {}
    assert any("without proof" in line for line in service.errors)
