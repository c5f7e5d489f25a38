"""`fleet node ticket` and `fleet node accept`: boards that ask for their identity in the field."""

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fleet.cli.base import Command
from fleet.cli.options import confirm, dry_run_option, fleet_option, output_option, where_option, yes_option
from fleet.cli.output import Column, Output, View, moment
from fleet.cli.session import actor, opened
from fleet.errors import FleetError, NotAllowedError, PartlyFailedError, UsageError

if TYPE_CHECKING:
    from fleet.claims import TicketRequest
    from fleet.model import Claimed
    from fleet.store.nodes import NodeView

_PSK_MAX = 256  # characters of a file that holds one line
_PSK_VARIABLE = "LUMENAIR_WIFI_PSK"
ACCEPTED = View(
    "nodes",
    (
        Column("id", "NODE"),
        Column("mac", "MAC"),
        Column("batch", "BATCH"),
        Column("kind", "KIND"),
        Column("board", "BOARD"),
        Column("asked", "ASKED", right=True),
        Column("firmware"),
    ),
    id="id",
)
TICKETS = View(
    "tickets",
    (
        Column("mac", "MAC"),
        Column("batch", "BATCH"),
        Column("kind", "KIND"),
        Column("board", "BOARD"),
        Column("until", "UNTIL", lambda then: f"{then:%Y-%m-%d}"),
        Column("path", "FILE", wrap=True),
    ),
    id="mac",
)


@click.command(
    "accept",
    cls=Command,
    examples=(
        "fleet node accept air-240ac4000001",
        "fleet node accept 24:0a:c4:00:00:01 --as air-17 --yes",
        "fleet node accept --where batch=b7 --yes --json",
    ),
)
@click.argument("names", metavar="[NODE|MAC]...", nargs=-1)
@click.option("--as", "name", metavar="NODE", help="The id that it gets, of one board; else the one that it asked for.")
@where_option
@yes_option
@dry_run_option
@output_option
@fleet_option
def accept(
    names: tuple[str, ...],
    name: str | None,
    where: str,
    yes: bool,
    dry_run: bool,
    out: Output,
    directory: Path,
) -> None:
    """Accept boards that claim an identity.

    `fleet node list --where standing=pending` shows who waits. An accepted board gets key and certificate when it asks
    the next time, which it does by itself. `fleet node retire` refuses one. Exit code 6 when some were not accepted.
    """
    from fleet import claims

    if not (names or where):
        raise UsageError("name at least one board, or use --where", hint="fleet node list --where standing=pending")
    now_s = int(time.time())
    with opened(directory) as session:
        found = claims.pending(session.store, names, where, now_s)
        if name and len(found) != 1:
            raise UsageError(f"--as names one node, and these are {len(found)}", hint="accept them one by one")
        rows = [_accepted(one, view, name) for one, view in found]
        failed = {}
        if found and not dry_run:
            confirm(f"Accept {', '.join(row['id'] for row in rows)}?", yes)
            for one, _ in found:
                try:
                    claims.accept(session.store, one, name or one.node, actor(), now_s)
                except FleetError as error:
                    if len(found) == 1:
                        raise
                    failed[one.node] = str(error)
    out.rows(ACCEPTED, [row for row in rows if row["id"] not in failed], empty="No board that waits fits.")
    out.note("Nothing was changed: this was a dry run." if dry_run else "")
    if failed:
        raise PartlyFailedError(f"{len(failed)} of {len(found)} could not be accepted", failed)


def _accepted(one: "Claimed", view: "NodeView", name: str | None) -> dict[str, Any]:
    return {
        "id": name or one.node,
        "mac": one.mac,
        "batch": one.batch,
        "kind": view.node.kind.value,
        "board": view.node.board,
        "asked": moment(one.last_s),
        "firmware": one.firmware,
    }


@click.command(
    "ticket",
    cls=Command,
    examples=(
        "fleet node ticket 24:0a:c4:00:00:01 --batch b7 --kind air --board esp32_air --out tickets",
        "fleet node ticket 240ac4000001 240ac4000002 --batch b7 --kind light --board esp32_light --out tickets "
        "--wifi-ssid city --wifi-psk-file psk.txt",
    ),
)
@click.argument("macs", metavar="MAC...", nargs=-1, required=True)
@click.option("--batch", metavar="NAME", required=True, help="The delivery that they belong to, to find them by.")
@click.option("--kind", type=click.Choice(("air", "light")), required=True, help="What they are to be.")
@click.option("--board", metavar="NAME", required=True, help="The pin map.")
@click.option("--as", "name", metavar="NODE", help="The id that it asks for, of one board; else KIND-MAC.")
@click.option(
    "--days", metavar="N", type=click.IntRange(1, 36500), help="How long they are valid; else as fleet.toml says."
)
@click.option("--wifi-ssid", metavar="NAME", default="", envvar="LUMENAIR_WIFI_SSID", help="The network.")
@click.option(
    "--wifi-psk-file",
    "psk_file",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help=f"Its key is the first line; else {_PSK_VARIABLE}.",
)
@click.option(
    "--out",
    "target",
    metavar="DIR",
    required=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Where to write them; made when it is missing.",
)
@output_option
@fleet_option
def ticket(
    macs: tuple[str, ...],
    batch: str,
    kind: str,
    board: str,
    name: str | None,
    days: int | None,
    wifi_ssid: str,
    psk_file: Path | None,
    target: Path,
    out: Output,
    directory: Path,
) -> None:
    """Write tickets with which boards can claim an identity.

    Each is one file MAC.cbor in DIR, for the flash of that one board, as /claim.cbor. It is a secret: whoever has it
    can ask in the board's name, though nobody becomes a node without `fleet node accept`.
    """
    from fleet import claims
    from fleet.boards import wish
    from fleet.model import Kind

    if name and len(macs) != 1:
        raise UsageError("--as names one node, and these are several boards", hint="leave it out")
    wish.pins(None, board, kind)  # refuses a pin map that is none, or is for another kind of node
    psk = _psk(psk_file)
    wanted = [
        claims.TicketRequest(claims.mac_of(mac), batch, Kind(kind), board, name or "", days or 0, wifi_ssid, psk)
        for mac in macs
    ]
    with opened(directory) as session:
        rows = [_write(claims.ticket(session.config, one, out.now_s), one, target) for one in wanted]
        listens = bool(session.config.claim.listen)
    out.rows(TICKETS, rows)
    if not listens:
        out.note("Nobody answers claims yet: set claim.listen in fleet.toml, and restart the service.")


def _write(made: Any, one: "TicketRequest", target: Path) -> dict[str, Any]:
    from fleet import files

    files.make_private_dir(target)
    path = target / f"{one.mac.hex()}.cbor"
    files.replace(path, made.encode())
    shown = {"batch": one.batch, "kind": one.kind.value, "board": one.board, "until": moment(made.until)}
    return {"mac": one.mac.hex(), "path": str(path), **shown}


def _psk(path: Path | None) -> str:
    if path is None:
        return os.environ.get(_PSK_VARIABLE, "")
    with path.open(encoding="utf-8") as file:
        line = file.readline(_PSK_MAX).rstrip("\r\n")
    if not line:
        raise NotAllowedError(f"{path} is empty", hint="its first line is the key of the network")
    return line
