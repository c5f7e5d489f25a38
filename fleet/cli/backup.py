"""`fleet backup`."""

from datetime import UTC, datetime
from pathlib import Path

import click

from fleet.cli import human
from fleet.cli.base import Command
from fleet.cli.options import fleet_option, output_option
from fleet.cli.output import Column, Output, View
from fleet.cli.session import opened

BACKUP = View(
    "backup",
    (
        Column("path", "File"),
        Column("bytes", "Size", human.size),
        Column("records", "Records", human.number),
        Column("files", "Files"),
    ),
    id="path",
)


@click.command(
    "backup", cls=Command, examples=("fleet backup", "fleet backup /srv/backup/berlin.tar.gz --fleet /srv/berlin")
)
@click.argument("target", metavar="[FILE]", required=False, type=click.Path(dir_okay=False, path_type=Path))
@output_option
@fleet_option
def command(target: Path | None, out: Output, directory: Path) -> None:
    """Write configuration, keys and database to one file.

    The service may go on meanwhile. FILE defaults to fleet-backup-TIME.tar.gz in this directory. It holds the private
    keys of the fleet: keep it as safe as them. To restore, unpack it into a new directory.
    """
    from fleet import backup

    path = target or Path(f"fleet-backup-{datetime.fromtimestamp(out.now_s, UTC):%Y%m%dT%H%M%SZ}.tar.gz")
    with opened(directory) as session:
        made = backup.create(session.config, session.store, path)
    out.record(BACKUP, {"path": str(made.path), "bytes": made.bytes, "records": made.records, "files": made.files})
    out.note(f"Restore with: mkdir -m 700 DIR && tar -xpzf {path} -C DIR && fleet init DIR")
