"""`fleet release verify`, `publish` and `yank`: whether a release holds, and what the fleet may use."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fleet.cli import human
from fleet.cli.base import Command
from fleet.cli.options import confirm, dry_run_option, fleet_option, output_option, yes_option
from fleet.cli.output import Column, Output, View, moment
from fleet.cli.release_show import ROLES, SIGNERS, role_row, root_of, signer_row
from fleet.cli.session import actor, opened
from fleet.errors import NotAllowedError, UsageError

if TYPE_CHECKING:
    from fleet.releases.contents import Contents
    from protocol.trust import Root

_PATH = click.Path(path_type=Path)
_REASON_MAX = 200  # characters
VERIFIED = View(
    "verified",
    (
        Column("release", "Release"),
        Column("root", "Holds under root"),
        Column("sequence", "Sequence"),
        Column("files", "Files"),
        Column("size", "Size", human.size),
        Column("expires", "Expires", lambda then: f"{then:%Y-%m-%d}"),
        Column("digest", "Digest", bytes.hex),
        Column("manifest", "Manifest", bytes.hex),
    ),
    id="release",
)
PUBLISHED = View(
    "releases",
    (
        Column("release", "RELEASE"),
        Column("result", "RESULT", colour=lambda result: "green" if result == "published" else ""),
        Column("sequence", "SEQUENCE", right=True),
        Column("signatures", "SIGNATURES", right=True),
        Column("expires", "EXPIRES", lambda then: f"{then:%Y-%m-%d}"),
        Column("digest", "DIGEST", lambda digest: digest.hex()[:16]),
        Column("manifest"),
    ),
    id="release",
)
YANKED = View(
    "releases",
    (Column("release", "RELEASE"), Column("result", "RESULT"), Column("reason", "REASON", wrap=True), Column("digest")),
    id="release",
)


@click.command(
    "verify",
    cls=Command,
    examples=(
        "fleet release verify releases/air-1.4.0",
        "fleet release verify releases/air-1.4.0 --root root-1.cbor",
        "fleet release verify air-1.4.0 --json",
    ),
)
@click.argument("name", metavar="DIR|ID")
@click.option("--root", "root_file", metavar="FILE", type=_PATH, help="Whom to trust; else the fleet's newest root.")
@output_option
@fleet_option
def verify(name: str, root_file: Path | None, out: Output, directory: Path) -> None:
    """Check every byte and signature of a release, as a node would.

    Exit code 7 when a file, a signature or a date does not hold; the message names each. DIR is what `build` made, ID
    one that was published. With DIR and --root no fleet is needed.
    """
    from fleet.releases import trust

    release, remark = _release(name, directory)
    root = root_of(root_file, directory)
    trust.verify(release.signed, release.release, root, out.now_s)
    sections = (
        ("Roles", ROLES, map(role_row, trust.roles(release.signed, release.release, root))),
        ("Signatures", SIGNERS, map(signer_row, trust.signers(release.signed, root))),
    )
    out.record(VERIFIED, _verified(release, root), sections)
    out.note(remark)


@click.command(
    "publish",
    cls=Command,
    examples=("fleet release publish releases/air-1.4.0", "fleet release publish releases/air-1.4.0 --dry-run --json"),
)
@click.argument("place", metavar="DIR", type=_PATH)
@click.option("--older", is_flag=True, help="Though a newer one of its product was published.")
@dry_run_option
@output_option
@fleet_option
def publish(place: Path, older: bool, dry_run: bool, out: Output, directory: Path) -> None:
    """Take a signed release into the fleet, for good.

    It has to hold under the fleet's root, with every role that its product needs. Doing it again changes nothing, or
    adds the signatures that are new. Nodes are told nothing: `fleet node update` does that.
    """
    from fleet.releases import contents, trust
    from fleet.releases import directory as directories
    from fleet.releases.archive import Archive
    from fleet.signing import roots

    release = directories.load(place)
    with opened(directory) as session:
        archive = None if dry_run else Archive(session.config.releases_dir)
        row, is_new = trust.publish(release, roots(session.config), session.store, archive, out.now_s, actor(), older)
        signed, _ = contents.opened(row.envelope)
    result = ("would be published" if dry_run else "published") if is_new else "was published before"
    out.rows(
        PUBLISHED,
        [
            {
                "release": row.id,
                "result": result,
                "sequence": row.sequence,
                "signatures": len(signed.signatures),
                "expires": moment(release.release.expires),
                "digest": row.digest,
                "manifest": row.manifest,
            }
        ],
    )
    out.note("Nothing was changed: this was a dry run." if dry_run else "")


@click.command(
    "yank",
    cls=Command,
    examples=('fleet release yank air-1.4.0 --reason "lamps flicker below 5 %" --yes',),
)
@click.argument("name", metavar="ID")
@click.option("--reason", metavar="TEXT", required=True, help="Why; everybody who looks at the release reads it.")
@yes_option
@dry_run_option
@output_option
@fleet_option
def yank(name: str, reason: str, yes: bool, dry_run: bool, out: Output, directory: Path) -> None:
    """Withdraw a release: no new update may use it.

    It is not deleted, and nodes that run it go on. This cannot be taken back: the next one is a new release.
    """
    reason = " ".join(reason.split())
    if not 0 < len(reason) <= _REASON_MAX:
        raise UsageError(f"a reason has 1 to {_REASON_MAX} characters", hint="say in one line what is wrong with it")
    with opened(directory) as session:
        row = session.store.releases.get(name)
        if row.yanked_s is not None:
            raise NotAllowedError(f"{row.id} was yanked before", cause=f"by {row.yanked_by}: {row.yanked_reason}")
        if not dry_run:
            confirm(f"Yank {row.id} for good?", yes)
            row = session.store.releases.yank(row.digest, out.now_s, actor(), reason)
    result = "would be yanked" if dry_run else "yanked"
    out.rows(YANKED, [{"release": row.id, "result": result, "reason": reason, "digest": row.digest}])
    out.note("Nothing was changed: this was a dry run." if dry_run else "")


def _release(name: str, directory: Path) -> "tuple[Contents, str]":
    """What is named, a directory, else a release that was published; and what speaks against using it all the same."""
    from fleet.releases import directory as directories
    from fleet.releases import trust
    from fleet.releases.archive import Archive

    if Path(name).is_dir():
        return directories.load(Path(name)), ""
    with opened(directory) as session:
        row = session.store.releases.get(name)
        remark = f"It was yanked, so no new update may use it: {row.yanked_reason}" if row.yanked_s else ""
        return trust.published(row, Archive(session.config.releases_dir)), remark


def _verified(release: "Contents", root: "Root") -> Mapping[str, Any]:
    about = release.release
    return {
        "release": release.id,
        "root": root.version,
        "sequence": about.sequence,
        "files": len(release.files),
        "size": about.size,
        "expires": moment(about.expires),
        "digest": release.digest,
        "manifest": about.manifest,
    }
