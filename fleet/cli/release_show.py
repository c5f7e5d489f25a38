"""`fleet release list` and `show`."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fleet.cli import board_progress, human
from fleet.cli.base import Command
from fleet.cli.options import fleet_option, output_option
from fleet.cli.output import Column, Output, View, moment
from fleet.cli.session import Session, opened
from fleet.errors import NotFoundError

if TYPE_CHECKING:
    from fleet.releases.contents import Contents
    from fleet.releases.trust import RoleState
    from fleet.signing import Signature
    from fleet.store.releases import Published
    from protocol.trust import Root

_COLOURS = {"newest": "green", "yanked": "red", "expired": "yellow", "security": "magenta"}
_KINDS = {1: "feature", 2: "security"}


def _colour(value: Any) -> str:
    return _COLOURS.get(value, "")


def _day(then: Any) -> str:
    return f"{then:%Y-%m-%d}"


RELEASES = View(
    "releases",
    (
        Column("release", "RELEASE"),
        Column("state", "STATE", colour=_colour),
        Column("kind", "KIND", colour=_colour),
        Column("published", "AGE", right=True),
        Column("expires", "EXPIRES", _day),
        Column("signatures", "SIGNED", right=True),
        Column("remark", "REMARK", wrap=True),
        Column("sequence"),
        Column("size"),
        Column("product"),
        Column("version"),
        Column("digest"),
        Column("manifest"),
        Column("cves"),
        Column("yanked_reason"),
    ),
    id="release",
)
RELEASE = View(
    "release",
    (
        Column("release", "Release"),
        Column("state", "State", colour=_colour),
        Column("kind", "Kind", colour=_colour),
        Column("cves", "Mends", lambda cves: ", ".join(cves) or "-"),
        Column("sequence", "Sequence"),
        Column("floor", "Security floor", lambda floor: str(floor) if floor else "-"),
        Column("issued", "Dated", lambda then: f"{then:%Y-%m-%d %H:%M} UTC"),
        Column("expires", "Expires", _day),
        Column("support_until", "Support until", _day),
        Column("source", "Commit"),
        Column("boards", "Boards", ", ".join),
        Column("chips", "Chips", ", ".join),
        Column("mpy", "Format of .mpy"),
        Column("base_min", "MicroPython from"),
        Column("base_version", "  comes with"),
        Column("base_size", "  of size", lambda size: human.size(size) if size else "-"),
        Column("files", "Files"),
        Column("size", "Size", human.size),
        Column("full_bytes", "  whole download", human.size),
        Column("against", "Against"),
        Column("delta_bytes", "  download", human.size),
        Column("published", "Published", lambda then: f"{then:%Y-%m-%d %H:%M} UTC"),
        Column("published_by", "  by"),
        Column("yanked", "Yanked", lambda then: f"{then:%Y-%m-%d %H:%M} UTC"),
        Column("yanked_by", "  by"),
        Column("yanked_reason", "  because"),
        Column("digest", "Digest", bytes.hex),
        Column("manifest", "Manifest", bytes.hex),
        Column("sbom", "SBOM", bytes.hex),
        Column("product"),
        Column("version"),
    ),
    id="release",
)
ROLES = View(
    "roles",
    (
        Column("role", "ROLE"),
        Column("signed", "SIGNED", right=True),
        Column("threshold", "NEEDED", right=True),
        Column("report", "OVER A REPORT"),
        Column("met", "ENOUGH", colour=lambda met: "green" if met else "red"),
    ),
    id="role",
)
SIGNERS = View(
    "signatures",
    (
        Column("key", "KEY"),
        Column("roles", "ROLES", lambda roles: ", ".join(roles) or "unknown"),
        Column("holds", "HOLDS"),
        Column("report", "REPORT", lambda digest: digest.hex()[:16]),
    ),
    id="key",
)
CHANGES = View(
    "changes",
    (
        Column("change", "CHANGE", colour=lambda change: {"added": "green", "removed": "red"}.get(change, "")),
        Column("file", "FILE"),
        Column("before", "BEFORE", right=True),
        Column("after", "AFTER", right=True),
        Column("difference", "DIFFERENCE", lambda count: f"{count:+d}" if count else "0", right=True),
    ),
    id="file",
)


@click.command("list", cls=Command, examples=("fleet release list", "fleet release list --product light --json"))
@click.option("--product", metavar="NAME", type=click.Choice(("air", "light")), default=None, help="Only air or light.")
@output_option
@fleet_option
def show_all(product: str | None, out: Output, directory: Path) -> None:
    """List the releases that were published.

    The newest of each product comes first. STATE: newest, older, expired, or yanked (REMARK says why).
    """
    with opened(directory) as session:
        rows = session.store.releases.all(product or "")
    newest = _newest(rows)
    shown = [_listed(row, newest, out.now_s) for row in rows]
    out.rows(RELEASES, shown, empty="No release was published. `fleet release build` makes one.")


@click.command(
    "show",
    cls=Command,
    examples=(
        "fleet release show air-1.4.0",
        "fleet release show air-1.4.0 --against air-1.3.0",
        "fleet release show releases/air-1.4.1 --against air-1.4.0",
    ),
)
@click.argument("name", metavar="ID|DIR")
@click.option("--against", metavar="ID|DIR", help="What changed since that release, and what a node has to fetch.")
@output_option
@fleet_option
def show(name: str, against: str | None, out: Output, directory: Path) -> None:
    """Show what a release is, who signed it, and what changed.

    ID is as in the list, or the begin of a digest, at least 8 digits; DIR is what `build` made, published or not.
    """
    with opened(directory) as session, board_progress.awaited("Comparing", out):
        row, sections = _shown(session, name, against, out.now_s)
    out.record(RELEASE, row, sections)


def root_of(file: Path | None, directory: Path) -> "Root":
    """The root in a file, else the newest of the fleet."""
    from fleet import config, signing
    from fleet.releases import trust

    if file is not None:
        return trust.root_in(file)
    try:
        return signing.roots(config.load(directory)).current
    except NotFoundError as error:
        raise NotFoundError(error.message, hint="name whom to trust: --root keys/root-N.cbor") from None


def role_row(state: "RoleState") -> Mapping[str, Any]:
    """A row of ROLES."""
    return {
        "role": state.role,
        "signed": len(state.signers),
        "threshold": state.threshold,
        "report": state.needs_report,
        "met": state.is_met,
    }


def signer_row(signature: "Signature") -> Mapping[str, Any]:
    """A row of SIGNERS."""
    return {
        "key": signature.kid,
        "roles": signature.roles,
        "holds": signature.holds if signature.place is not None else None,
        "report": signature.report or None,
    }


def _shown(session: Session, name: str, against: str | None, now_s: int) -> tuple[Mapping[str, Any], Any]:
    from fleet import signing
    from fleet.releases import compare, trust

    found, release = _found(session, name)
    before = _found(session, against)[1] if against else None
    root = signing.roots(session.config).newest
    row = _row(found, release, _state_of(session, found, release, now_s))
    row |= {"full_bytes": compare.full_bytes(release), "against": before.id if before else None}
    row |= {"delta_bytes": compare.delta_bytes(release, before) if before else None}
    states = trust.roles(release.signed, release.release, root) if root else ()
    changes = compare.changes(release, before) if before else ()
    return row, (
        ("Roles", ROLES, map(role_row, states)),
        ("Signatures", SIGNERS, map(signer_row, trust.signers(release.signed, root))),
        ("Changes", CHANGES, map(_change, changes)),
    )


def _found(session: Session, name: str) -> "tuple[Published | None, Contents]":
    """What is named: a directory, and what the fleet knows of it if it was published; else one that was."""
    from fleet.releases import directory, trust
    from fleet.releases.archive import Archive

    if Path(name).is_dir():
        release = directory.load(Path(name))
        return session.store.releases.find(release.digest), release
    found = session.store.releases.get(name)
    return found, trust.published(found, Archive(session.config.releases_dir))


def _state_of(session: Session, found: "Published | None", release: "Contents", now_s: int) -> str:
    if found is not None:
        return _state(found, _newest(session.store.releases.all(found.product)), now_s)
    return "expired" if release.release.expires <= now_s else "not published"


def _change(one: Any) -> Mapping[str, Any]:
    return {
        "change": one.kind,
        "file": one.path,
        "before": one.before,
        "after": one.after,
        "difference": (one.after or 0) - (one.before or 0),
    }


def _newest(rows: "list[Published]") -> dict[str, bytes]:
    """{product: digest of the newest that may be used}; `rows` has the newest first."""
    return {row.product: row.digest for row in reversed(rows) if row.yanked_s is None}


def _state(row: "Published", newest: Mapping[str, bytes], now_s: int) -> str:
    from fleet.releases import contents

    if row.yanked_s is not None:
        return "yanked"
    if contents.opened(row.envelope)[1].expires <= now_s:
        return "expired"
    return "newest" if newest.get(row.product) == row.digest else "older"


def _listed(row: "Published", newest: Mapping[str, bytes], now_s: int) -> Mapping[str, Any]:
    from fleet.releases import contents

    signed, about = contents.opened(row.envelope)
    return {
        "release": row.id,
        "state": _state(row, newest, now_s),
        "kind": _KINDS[about.kind],
        "sequence": row.sequence,
        "size": row.size,
        "published": moment(row.published_s),
        "expires": moment(about.expires),
        "signatures": len(signed.signatures),
        "remark": row.yanked_reason or ", ".join(about.cves),
        "product": row.product,
        "version": row.version,
        "digest": row.digest,
        "manifest": row.manifest,
        "cves": about.cves,
        "yanked_reason": row.yanked_reason or None,
    }


def _row(row: "Published | None", release: "Contents", state: str) -> dict[str, Any]:
    about = release.release
    plain = ("product", "version", "sequence", "floor", "cves", "source", "boards", "chips", "mpy", "base_min", "sbom")
    return {
        **{name: getattr(about, name) for name in (*plain, "size", "manifest")},
        "release": release.id,
        "state": state,
        "kind": _KINDS[about.kind],
        "yanked": moment(row.yanked_s) if row else None,
        "yanked_by": (row and row.yanked_by) or None,
        "yanked_reason": (row and row.yanked_reason) or None,
        "issued": moment(about.issued),
        "expires": moment(about.expires),
        "support_until": moment(about.support_until),
        "base_version": about.base_version or None,
        "base_size": about.base_size,
        "files": len(release.files),
        "published": moment(row.published_s) if row else None,
        "published_by": row and row.published_by,
        "digest": release.digest,
    }
