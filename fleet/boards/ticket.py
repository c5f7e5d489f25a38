"""Prepares boards for the field: a ticket in place of an identity, with which a board claims one where it hangs.

Nothing is registered here. The board asks the fleet when it has a network, and waits as pending until somebody accepts
it (`fleet node accept`).
"""

from dataclasses import dataclass

from fleet import claims
from fleet.boards import probe
from fleet.boards.provision import Desk, chip_of, look
from fleet.boards.spec import NodeSpec
from fleet.errors import NotAllowedError, UsageError, VerificationError
from fleet.flashing import pinmaps
from fleet.flashing.console import Console, Report
from fleet.flashing.pinmaps import PinMap
from fleet.flashing.remote import Remote
from protocol.identity import TICKET_PATH
from protocol.report import CLAIMING


@dataclass(frozen=True)
class Ticketed:
    """A board that claims its identity from now on. `report` is missing for a plan."""

    url: str
    mac: str
    pin_map: PinMap
    until_s: int
    report: Report | None = None


def write(desk: Desk, url: str, spec: NodeSpec, batch: str, dry_run: bool = False) -> Ticketed:
    """Give the board at `url` a ticket of `batch`, and believe its own report; the errors say what is wrong with it.

    A board that has an identity is refused: it would never ask for another.
    """
    seen = look(url)
    facts = seen.facts
    if facts.node or facts.identity == probe.DAMAGED:
        hint = f"erase it first: fleet board erase --port {url}"
        raise NotAllowedError(f"the board at {url} has an identity", cause=facts.node, hint=hint)
    if not facts.mac:
        raise NotAllowedError(f"the board at {url} does not say its MAC address", hint="flash it: fleet board flash")
    if not spec.wifi_ssid:
        raise UsageError("there is no network to claim over", hint="name one with --wifi-ssid")
    pin_map = pinmaps.choose(desk.catalogue, spec.board, spec.kind, chip_of(desk, seen))
    now_s = desk.now_s()
    wanted = claims.TicketRequest(
        mac=bytes.fromhex(facts.mac),
        batch=batch,
        kind=pin_map.kind,
        board=pin_map.name,
        node=spec.node,
        wifi_ssid=spec.wifi_ssid,
        wifi_psk=spec.wifi_psk,
        ntp=spec.ntp,
    )
    ticket = claims.ticket(desk.config, wanted, now_s)
    if dry_run:
        return Ticketed(url, facts.mac, pin_map, ticket.until)
    remote = Remote(url)
    remote.write(TICKET_PATH, ticket.encode())
    remote.restart()
    with Console(url) as console:
        report = console.wait_report()
    if report.state != CLAIMING:
        cause = f"it reports {report.state}"
        raise VerificationError(f"the board at {url} does not claim an identity", cause=cause, hint="run it again")
    return Ticketed(url, facts.mac, pin_map, ticket.until, report)
