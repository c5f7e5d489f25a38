"""`fleet audit ...`: who did or decided what, and why; and whether anybody has touched the log since."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fleet.cli import board_progress
from fleet.cli.base import Group
from fleet.cli.options import fleet_option, output_option
from fleet.cli.output import Column, Output, View, moment
from fleet.cli.session import opened

if TYPE_CHECKING:
    from fleet.store.audit import Audit, Entry

ACTOR = "fleet"  # the service
ENTRIES = View(
    "entries",
    (
        Column("seq", "NO", right=True),
        Column("time", "TIME", lambda then: f"{then:%Y-%m-%d %H:%M:%S}"),
        Column("actor", "WHO"),
        Column("action", "WHAT"),
        Column("object", "ON"),
        Column("why", "WHY", wrap=True),
        Column("hash"),
        Column("prev"),
    ),
    id="seq",
)
CHAIN = View(
    "chain",
    (
        Column("entries", "Entries"),
        Column("newest", "Newest", str),
        Column("holds", "Chain", lambda holds: "holds" if holds else "is broken"),
        Column("hash", "Hash", bytes.hex),
    ),
    id="hash",
)


@click.group("audit", cls=Group)
def command() -> None:
    """Show who did or decided what, and why; verify the log."""


@command.command(
    "list", examples=("fleet audit list", "fleet audit list 'rollout 7' --last 20", "fleet audit list --people --json")
)
@click.argument("about", metavar="[OBJECT]", default="")
@click.option("--last", metavar="N", type=click.IntRange(1), default=50, help="The newest so many; default 50.")
@click.option("--people", is_flag=True, help="Without what the service decided by itself.")
@output_option
@fleet_option
def show(about: str, last: int, people: bool, out: Output, directory: Path) -> None:
    """List entries, oldest first: who did what to which object, and why.

    OBJECT is as in the column ON, such as 'rollout 7' or 'node air-1'. What the service decides by itself is by
    *fleet*.
    """
    with opened(directory) as session:
        entries = _newest(session.store.audit, about, last, people)
    out.rows(ENTRIES, map(_row, entries), empty="Nothing was done yet.")


@command.command("verify", examples=("fleet audit verify", "fleet audit verify --json"))
@click.option("--hash", "known", metavar="HASH", default="", help="A newest hash that you kept: it has to be there.")
@output_option
@fleet_option
def verify(known: str, out: Output, directory: Path) -> None:
    """Check the chain of hashes over every entry.

    Exit code 7 when an entry was changed, taken out or put in between. Whoever replaces the end of the log as well
    makes a chain that holds: keep the newest hash elsewhere now and then, and ask for it with --hash.
    """
    from fleet.errors import VerificationError

    with opened(directory) as session, board_progress.awaited("Verifying", out):
        count = session.store.audit.verify()
        newest = session.store.audit.newest()
        there = not known or any(one.hash.hex() == known.lower() for one in session.store.audit.entries())
    if not there:
        raise VerificationError(
            f"no entry has the hash {known}", hint="the log was cut or made anew: compare with the newest backup"
        )
    row = {
        "entries": count,
        "newest": newest.seq if newest else 0,
        "holds": True,
        "hash": newest.hash if newest else b"",
    }
    out.record(CHAIN, row)


def _newest(audit: "Audit", about: str, count: int, people: bool) -> "list[Entry]":
    from collections import deque

    newest = audit.newest()
    after = max(0, newest.seq - count) if newest and not (about or people) else 0
    found = (one for one in audit.entries(about, after) if not people or one.actor != ACTOR)
    return list(deque(found, count))


def _row(entry: "Entry") -> dict[str, Any]:
    return {
        "seq": entry.seq,
        "time": moment(entry.at_s),
        "actor": entry.actor,
        "action": entry.action,
        "object": entry.object,
        "why": entry.why,
        "hash": entry.hash,
        "prev": entry.prev,
    }
