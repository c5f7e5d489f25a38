"""`fleet release sign`."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from fleet.cli import human
from fleet.cli.base import Command
from fleet.cli.key_options import keys_option, passphrase_option, signers
from fleet.cli.options import dry_run_option, output_option
from fleet.cli.output import Column, Output, View
from fleet.errors import NotAllowedError

if TYPE_CHECKING:
    from fleet.releases.contents import Contents

_PATH = click.Path(path_type=Path)
SIGNED = View(
    "signatures",
    (
        Column("release", "RELEASE"),
        Column("role", "ROLE"),
        Column("key", "KEY"),
        Column("signer", "SIGNER"),
        Column("report", "REPORT", lambda digest: digest.hex()[:16]),
        Column("signatures", "SIGNATURES", right=True),
        Column("digest"),
        Column("directory"),
    ),
    id="key",
)


@click.command(
    "sign",
    cls=Command,
    examples=(
        "fleet release sign releases/air-1.4.0 --role build --key build.pem",
        "fleet release sign releases/air-1.4.0 --role bench --key bench.toml --report results/run.json "
        "--root root-1.cbor",
    ),
)
@click.argument("directory", metavar="DIR", type=_PATH)
@click.option("--role", metavar="NAME", required=True, help="What the key stands for: build, bench or another.")
@keys_option
@passphrase_option
@click.option(
    "--report", metavar="FILE", type=_PATH, help="The run.json of `fleet hil run` that the signature is to name."
)
@click.option("--root", "root_file", metavar="FILE", type=_PATH, help="Check that the key may: keys/root-N.cbor.")
@click.option("--force", is_flag=True, help="Sign though the report is of a failed run, or of another program.")
@dry_run_option
@output_option
def command(
    directory: Path,
    role: str,
    keys: Sequence[Path],
    passphrase_file: Path | None,
    report: Path | None,
    root_file: Path | None,
    force: bool,
    dry_run: bool,
    out: Output,
) -> None:
    """Sign a release that was built.

    This needs the directory and the key, no fleet and no network: do it on a machine that has none. Everything in the
    directory is checked first, and what is signed is shown. Several signers sign one after the other.
    """
    from fleet.releases import directory as directories
    from fleet.releases import trust

    release = directories.load(directory)
    root = trust.root_in(root_file) if root_file else None
    _show(release, out)
    digest = _vouched(report, release, force, out) if report else b""
    rows = []
    for signer in signers(keys, passphrase_file, out):
        release = trust.sign(release, signer, role, digest, root)
        about = {"release": release.id, "role": role, "key": trust.kid(signer), "signer": signer.name}
        rows.append({**about, "report": digest or None, "signatures": len(release.signed.signatures)})
    if not dry_run:
        directories.replace_envelope(directory, release.signed)
    out.rows(SIGNED, [{**row, "digest": release.digest, "directory": str(directory)} for row in rows])
    out.note("" if root else f"Nobody checked that the key is one of role {role}: --root FILE does.")
    out.note("Nothing was changed: this was a dry run." if dry_run else "")


def _show(release: "Contents", out: Output) -> None:
    """What is about to be signed, before any key is opened."""
    about = release.release
    out.note(
        f"{release.id}: product {about.product}, version {about.version}, sequence {about.sequence}, "
        f"{len(release.files)} files, {human.size(about.size)}\n"
        f"release  {release.digest.hex()}\nmanifest {about.manifest.hex()}\nsource   {about.source or '-'}"
    )


def _vouched(report: Path, release: "Contents", force: bool, out: Output) -> bytes:
    """The SHA-256 of a report; NotAllowedError when it does not vouch for the release, unless that is forced."""
    from fleet.hil import vouch

    digest, run = vouch.load(report)
    faults = vouch.faults(run, release.release.product, release.release.manifest.hex())
    if faults and not force:
        raise NotAllowedError(
            f"{report} does not vouch for {release.id}",
            cause="\n".join(faults),
            hint="run the bench on boards with this release, or sign all the same with --force",
        )
    for fault in faults:
        out.note(f"Signed all the same: {fault}.")
    return digest
