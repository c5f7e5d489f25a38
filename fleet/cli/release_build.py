"""`fleet release build`."""

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fleet.cli import board_progress, human
from fleet.cli.base import Command
from fleet.cli.options import dry_run_option, output_option
from fleet.cli.output import Column, Output, View, moment

if TYPE_CHECKING:
    from fleet.releases.contents import Contents

_DAYS = re.compile(r"\d{1,5}")
_ALL = 100  # per cent
_DAYS_END = 100_000
_SECONDS = re.compile(r"\d{6,11}")
_PATH = click.Path(path_type=Path)
BUILT = View(
    "releases",
    (
        Column("release", "RELEASE"),
        Column("sequence", "SEQUENCE", right=True),
        Column("expires", "EXPIRES", lambda then: f"{then:%Y-%m-%d}"),
        Column("size", "FLASH", human.size, right=True),
        Column(
            "used",
            "BUDGET",
            lambda share: f"{share} %",
            right=True,
            colour=lambda share: "red" if share > _ALL else "",
        ),
        Column("blocks", "BLOCKS", right=True),
        Column("directory", "DIRECTORY", wrap=True),
        Column("files"),
        Column("written"),
        Column("digest"),
        Column("manifest"),
        Column("issued"),
        Column("source"),
        Column("boards"),
        Column("chips"),
        Column("base_version"),
    ),
    id="directory",
)


class _Date(click.ParamType[int]):
    """A moment as seconds since 1970 UTC: an ISO 8601 date or time (UTC unless it says otherwise), or these seconds."""

    name = "date"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """The seconds."""
        if isinstance(value, int):
            return value
        if _SECONDS.fullmatch(value.strip()):
            return int(value)
        try:
            found = datetime.fromisoformat(value.strip())
        except ValueError:
            self.fail(f"{value!r} is no date; write 2028-12-31", param, ctx)
        return int((found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp())


class _DaysOrDate(_Date):
    """A number of days as it is, below _DAYS_END; or a date as seconds since 1970."""

    name = "days or date"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """The days, or the seconds."""
        is_days = isinstance(value, str) and _DAYS.fullmatch(value.strip())
        return int(value) if is_days else super().convert(value, param, ctx)


@click.command(
    "build",
    cls=Command,
    examples=(
        "fleet release build --out releases",
        "fleet release build --out releases --product light --security --cve CVE-2026-12345 --expires 365",
        "fleet release build --out releases --firmware ../lumenair/firmware --support-until 2030-12-31 --json",
    ),
)
@click.option(
    "--out", "top", metavar="DIR", required=True, type=_PATH, help="Where the directory of each release goes."
)
@click.option(
    "--product",
    "products",
    metavar="NAME",
    multiple=True,
    type=click.Choice(("air", "light")),
    help="air or light; default both.",
)
@click.option("--firmware", metavar="DIR", type=_PATH, help="Its sources; else those of fleet itself.")
@click.option(
    "--time",
    "time_s",
    metavar="DATE",
    type=_Date(),
    envvar="SOURCE_DATE_EPOCH",
    help="What the release is dated; else SOURCE_DATE_EPOCH, else as the commit.",
)
@click.option("--source", metavar="COMMIT", default="", help="What it is built from; else git is asked.")
@click.option(
    "--sequence",
    metavar="N",
    type=click.IntRange(1, 0xFFFFFFFF),
    help="Grows with every release; default: minutes from 2020 to its date.",
)
@click.option(
    "--floor",
    metavar="N",
    type=click.IntRange(0, 0xFFFFFFFF),
    default=0,
    help="Nodes that run it refuse lower sequences from then on.",
)
@click.option(
    "--expires",
    metavar="DAYS|DATE",
    type=_DaysOrDate(),
    default="730",
    help="No node installs it later; days count from its date; default 730.",
)
@click.option("--security", is_flag=True, help="It is a security release.")
@click.option("--cve", "cves", metavar="CVE", multiple=True, help="What it mends, which makes it a security release.")
@click.option("--support-until", "support_until_s", metavar="DATE", type=_Date(), default=0, help="End of support.")
@click.option("--base", metavar="FILE", type=_PATH, help="An .app-bin of MicroPython that comes along, for one chip.")
@click.option("--base-version", metavar="VERSION", default="", help="Its version, when it does not say it.")
@dry_run_option
@output_option
def command(top: Path, firmware: Path | None, expires: int, dry_run: bool, out: Output, **values: Any) -> None:
    """Compile the firmware into releases, ready to be signed.

    The same sources and tools give the same bytes, in any directory and at any time. No fleet is needed. Each release
    becomes a directory with its files, their digests, a bill of materials (CycloneDX) and a report on its size.
    """
    from fleet.releases import build

    days, expires_s = (expires, None) if expires < _DAYS_END else (build.DAYS, expires)
    products = tuple(dict.fromkeys(values.pop("products"))) or build.PRODUCTS
    order = build.Order(products, firmware, days=days, expires_s=expires_s, **values)
    with board_progress.awaited("Compiling", out):
        found = list(build.build(order))
    made = [(one, top / one.id, False) for one in found] if dry_run else build.write(top, found)
    out.rows(BUILT, [_row(*one) for one in made])
    if not dry_run and not any(written for _, _, written in made):
        out.note("All of it was there already, the same to the byte.")
    _notes(found, made[0][1], dry_run, out)


def _row(release: "Contents", directory: Path, written: bool) -> Mapping[str, Any]:
    size = json.loads(release.size)
    about = release.release
    return {
        "release": release.id,
        "sequence": about.sequence,
        "expires": moment(about.expires),
        "files": len(release.files),
        "size": about.size,
        "used": -(-_ALL * size["flash_bytes"] // size["flash_budget"]),
        "blocks": size["blocks"],
        "directory": str(directory),
        "written": written,
        "digest": release.digest,
        "manifest": about.manifest,
        "issued": moment(about.issued),
        "source": about.source,
        "boards": about.boards,
        "chips": about.chips,
        "base_version": about.base_version,
    }


def _notes(releases: "list[Contents]", directory: Path, dry_run: bool, out: Output) -> None:
    from fleet.releases import origin

    for one in releases:
        size = json.loads(one.size)
        if size["flash_bytes"] > size["flash_budget"]:
            over = size["flash_bytes"] - size["flash_budget"]
            out.note(f"{one.id} is {over} bytes above the budget of a slot: nodes may have no room for it.")
    source = releases[0].release.source
    if source.endswith(origin.DIRTY):
        out.note(
            f"The sources differ from commit {source.removesuffix(origin.DIRTY)[:12]}: nobody can build this again."
        )
    if dry_run:
        out.note("Nothing was written: this was a dry run.")
    else:
        out.note(f"Sign it where the key is: fleet release sign {directory} --role build --key FILE")
