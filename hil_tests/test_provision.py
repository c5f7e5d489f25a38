"""How a board becomes a node of a fleet: given its identity on the bench, or asking for it in the field."""

from pathlib import Path

import pytest

from fleet.flashing.remote import Remote
from fleet.poll import until
from hil_tests.harness.board import BenchBoard
from hil_tests.harness.city import City, CommandError
from hil_tests.harness.console import Console
from hil_tests.harness.node import Node
from hil_tests.harness.wire import Wire
from protocol.report import CLAIMING, NODE, UNPROVISIONED

ONLINE_S = 240
TICKET = "/claim.cbor"
REPORT_S = 60

pytestmark = pytest.mark.crash_ok  # a program that is interrupted for its port says so with a traceback


def test_a_new_certificate_ends_the_old_one(node: Node, board: BenchBoard, city: City, console: Console) -> None:
    """Provisioned again, the node goes on with its records under another key."""
    before = node.shown()["certificate_sha256"]
    since = node.now()
    with console.lent("provision"), pytest.raises(CommandError) as refused:
        city.board(*board.provision_words(city, node.name))
    assert refused.value.code in ("usage", "not-allowed"), "a certificate must not be replaced without --yes"
    with console.lent("provision"):
        (row,) = city.board(*board.provision_words(city, node.name), "--yes")["boards"]
    assert (row["node"], row["action"]) == (node.name, "renewed")
    report = console.report(REPORT_S)
    assert (report.node, report.state) == (node.name, NODE)
    node.state(ONLINE_S, since, online=True, boot=report.boot)
    assert node.shown()["certificate_sha256"] != before
    assert node.settled(ONLINE_S).missing == 0


def test_a_board_is_not_made_another_node_by_mistake(
    node: Node, board: BenchBoard, city: City, console: Console
) -> None:
    with console.lent("provision as another node"), pytest.raises(CommandError) as refused:
        city.board(*board.provision_words(city, board.new_name()), "--yes")
    assert refused.value.code == "not-allowed"
    assert console.report(REPORT_S).node == node.name
    node.state(ONLINE_S, node.now(), online=True)


def test_a_board_in_the_field_asks_for_its_identity_and_waits_to_be_accepted(
    request: pytest.FixtureRequest, board: BenchBoard, city: City, wire: Wire, firmware: Path | None, tmp_path: Path
) -> None:
    board.spoil()
    name = board.new_name()
    (blank,) = city.board(*board.update_words(firmware), "--erase", "--yes")["boards"]
    assert (blank["node"], blank["state"]) == (None, UNPROVISIONED)
    words = ("--batch", "hil", "--kind", board.row.kind, "--board", board.pins, "--as", name, "--out", str(tmp_path))
    (ticket,) = city.fleet("node", "ticket", blank["mac"], *words, *board.wifi_words())["tickets"]
    remote = Remote(board.url)
    with board.real_time():
        remote.write(TICKET, Path(ticket["path"]).read_bytes())
        remote.restart()
    console: Console = request.getfixturevalue("console")
    assert console.report(REPORT_S).state == CLAIMING
    assert until(lambda: _standing(city, name) == "pending" or None, ONLINE_S / board.rate() + 30)
    city.fleet("node", "accept", name, "--yes")
    node = Node(name, board.row.kind, city, wire, board.rate())
    node.state(ONLINE_S, online=True)
    report = console.report(REPORT_S)
    assert (report.node, report.state) == (name, NODE)
    assert _standing(city, name) == "accepted"


def _standing(city: City, name: str) -> str:
    """What the register says of a node, "" when it does not know it."""
    found = city.fleet("node", "list", "--all")["nodes"]
    return next((str(row["standing"]) for row in found if row["id"] == name), "")
