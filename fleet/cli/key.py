"""`fleet key ...`: the keys that nodes trust, and the root that names them."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fleet.cli import key_draft, key_root
from fleet.cli.base import Group
from fleet.cli.key_options import new_passphrase, passphrase_option
from fleet.cli.options import dry_run_option, fleet_option, output_option
from fleet.cli.output import Column, Output, View
from fleet.errors import NotAllowedError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from fleet.config import Config
    from fleet.signing import PublicKey

MADE = View(
    "keys",
    (
        Column("name", "NAME"),
        Column("key", "KEY"),
        Column("path", "PRIVATE", wrap=True),
        Column("public", "PUBLIC", wrap=True),
        Column("encrypted"),
    ),
    id="key",
)
_SMALL = ("root", "build", "bench")  # the offline keys of a fleet that one person looks after


@click.group("key", cls=Group)
def command() -> None:
    """Make the keys that nodes trust, and say who may sign what."""


@command.command(
    "create",
    examples=(
        "fleet key create build-anna",
        "fleet key create root-1 --out /media/stick/root-1.pem --passphrase-file pass.txt",
    ),
)
@click.argument("name", metavar="NAME")
@click.option(
    "--out",
    "target",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The private key; default NAME.pem. The public one lies beside it, as .pub.",
)
@passphrase_option
@click.option("--no-passphrase", is_flag=True, help="Do not encrypt it: whoever gets the file can sign.")
@dry_run_option
@output_option
def create(
    name: str, target: Path | None, passphrase_file: Path | None, no_passphrase: bool, dry_run: bool, out: Output
) -> None:
    """Make a key that signs.

    No fleet is needed: do it where the private key is to stay. What others need is NAME.pub.
    """
    from fleet.signing.public import check_name

    path = target or Path(f"{check_name(name)}.pem")
    _make(out, {name: path}, passphrase_file, no_passphrase, dry_run)


@command.command(
    "init",
    examples=(
        "fleet key init --out /media/stick",
        "fleet key init --out keys --passphrase-file pass.txt --require air=bench --require light=bench",
    ),
)
@click.option(
    "--out",
    "target",
    metavar="DIR",
    required=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Where the offline keys go; made when it is missing. Not into the fleet.",
)
@passphrase_option
@click.option("--no-passphrase", is_flag=True, help="Do not encrypt them: whoever gets the files can sign.")
@key_draft.content_options
@dry_run_option
@output_option
@fleet_option
def init(
    target: Path,
    passphrase_file: Path | None,
    no_passphrase: bool,
    dry_run: bool,
    out: Output,
    directory: Path,
    **values: Any,
) -> None:
    """Make the first root, and keys for root, build and bench.

    For a fleet that one person looks after. Where several people have to sign, each makes a key with `fleet key create`
    and the first root is made by `fleet key draft`, `sign` and `publish`. Carry DIR away afterwards: who has these
    files and their passphrase can put any program onto every node.
    """
    from fleet import config as settings
    from fleet.signing import roots

    config = settings.load(directory)
    if roots(config).version:
        raise NotAllowedError("the fleet has a root already", hint="`fleet key draft` makes the next one")
    if target.absolute().is_relative_to(config.directory.absolute()):
        raise NotAllowedError(
            f"{target} is in the fleet", hint="offline keys belong elsewhere: a stick, another machine"
        )
    contents = key_draft.contents(**values)
    online = key_draft.online(config)
    private = _make(out, {name: target / f"{name}.pem" for name in _SMALL}, passphrase_file, no_passphrase, dry_run)
    if not dry_run:
        path = _first_root(config, private, online, contents, out.now_s)
        out.note(f"Made {path}. Nodes that are provisioned from now on trust it.")
        out.note(f"Next: keep {target} where no network is, and a copy elsewhere.")


def _first_root(
    config: "Config",
    private: "Mapping[str, Ed25519PrivateKey]",
    online: "PublicKey",
    contents: "Mapping[str, Any]",
    now_s: int,
) -> Path:
    """Root 1 with these keys, drafted, signed and published at once."""
    from fleet.signing import draft, publish
    from fleet.signing.signers import PemSigner

    keys = {name: _public(name, key.public_key().public_bytes_raw()) for name, key in private.items()}
    changes = draft.Changes(add=[*keys.items(), ("campaign", online)], **contents)
    signed = publish.sign_draft(draft.draft(None, changes, now_s), PemSigner("root", "", private["root"]))
    publish.keep_names(config, keys.values())
    return publish.publish(config, [signed], now_s).path


def _public(name: str, public: bytes) -> "PublicKey":
    from fleet.signing import PublicKey

    return PublicKey(name, public)


def _make(
    out: Output, wanted: dict[str, Path], passphrase_file: Path | None, no_passphrase: bool, dry_run: bool
) -> "dict[str, Ed25519PrivateKey]":
    """Keys as files; all or none when a file exists."""
    from fleet import files
    from fleet.signing import make
    from fleet.signing.public import check_name

    for name, path in wanted.items():
        check_name(name)
        for one in (path, path.with_suffix(".pub")):
            if one.exists():
                raise NotAllowedError(f"{one} exists", hint="a key is never overwritten: name another file")
    passphrase = None if no_passphrase or dry_run else new_passphrase(passphrase_file)
    private, rows = {}, []
    for name, path in wanted.items():
        key = private[name] = make.new_key()
        public = _public(name, key.public_key().public_bytes_raw())
        shown = {"name": name, "key": None if dry_run else public.kid, "encrypted": not no_passphrase}
        rows.append({**shown, "path": str(path), "public": str(path.with_suffix(".pub"))})
        if not dry_run:
            files.make_private_dir(path.parent)
            files.write_new(path, make.private_pem(key, passphrase))
            public.save(path.with_suffix(".pub"))
    out.rows(MADE, rows)
    out.note("Nothing was made: this was a dry run." if dry_run else "")
    if no_passphrase:
        out.note("Not encrypted: whoever gets the file can sign.")
    return private


command.add_command(key_root.list_keys)
command.add_command(key_root.show)
command.add_command(key_draft.draft)
command.add_command(key_draft.sign)
command.add_command(key_draft.publish)
