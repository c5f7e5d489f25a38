"""`fleet key list` and `fleet key show`: whom the nodes trust."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fleet.cli.base import Command
from fleet.cli.options import fleet_option, output_option
from fleet.cli.output import Column, Output, View, moment
from fleet.errors import NotFoundError, VerificationError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fleet.config import Config
    from fleet.signing import Roots
    from protocol.trust import Root, Signed

KEYS = View(
    "keys",
    (
        Column("role", "ROLE"),
        Column("threshold", "NEEDS", right=True),
        Column("report", "REPORT", lambda needed: "yes" if needed else ""),
        Column("key", "KEY"),
        Column("name", "NAME"),
        Column("online", "WHERE", lambda online: "online" if online else "offline"),
        Column("public"),
        Column("root"),
        Column("expires"),
    ),
    id="key",
)
ROOT = View(
    "root",
    (
        Column("version", "Root"),
        Column("state", "State"),
        Column("lacks", "Lacks"),
        Column("issued", "Made"),
        Column("expires", "Valid until", lambda then: f"{then:%Y-%m-%d}"),
        Column("products", "Products"),
        Column("recovery", "Recovery", lambda brokers: ", ".join(brokers) or "-"),
        Column("recovery_s"),
        Column("sha256", "SHA-256"),
    ),
    id="version",
)
SIGNATURES = View(
    "signatures",
    (
        Column("key", "KEY"),
        Column("name", "NAME"),
        Column("holds", "HOLDS", lambda holds: "?" if holds is None else "yes" if holds else "NO"),
        Column("by", "COUNTS FOR"),
    ),
    id="key",
)


@click.command("list", cls=Command, examples=("fleet key list", "fleet key list --json"))
@output_option
@fleet_option
def list_keys(out: Output, directory: Path) -> None:
    """List who may sign what: roles, their thresholds, their keys."""
    from fleet import config as settings
    from fleet.signing import roots

    config = settings.load(directory)
    chain = roots(config)
    if chain.newest is None:
        out.rows(KEYS, [], empty="There is no root of trust, so nodes take no updates: fleet key init")
        return
    out.rows(KEYS, _keys(chain.newest, config))
    out.note(f"Root {chain.version}, valid until {moment(chain.newest.expires):%Y-%m-%d}.")


@click.command("show", cls=Command, examples=("fleet key show", "fleet key show root-2.draft", "fleet key show --json"))
@click.argument("file", metavar="[FILE]", required=False, type=click.Path(dir_okay=False, path_type=Path))
@output_option
@fleet_option
def show(file: Path | None, out: Output, directory: Path) -> None:
    """Show a root or a draft: what it says, and who signed it.

    And what a draft lacks, which has to be there before it can be published.
    FILE defaults to the newest root of the fleet. A draft can be shown without a fleet; names of keys and the root
    before are then unknown.
    """
    from fleet.signing import roots
    from fleet.signing.roots import load

    config = nearby(directory)
    if file is None:
        if config is None:
            raise NotFoundError(f"no fleet in {directory}", hint="name a file, or the fleet with --fleet")
        chain = roots(config)
        chain.current  # noqa: B018 - says it when there is none
        present(out, load(chain.envelopes[-1]), config)
        return
    present(out, read_draft(file), config)


def nearby(directory: Path) -> "Config | None":
    """The fleet, or None where there is none: drafts are looked at and signed without."""
    from fleet import config as settings

    try:
        return settings.load(directory)
    except NotFoundError:
        return None


def read_draft(file: Path) -> "Signed":
    """The envelope in a file; VerificationError when it holds no root."""
    from fleet.signing.public import read
    from fleet.signing.roots import load, load_document

    try:
        signed = load(read(file))
        load_document(signed)
    except VerificationError as error:
        raise VerificationError(f"{file} is no root and no draft of one", cause=error.cause) from error
    return signed


def present(out: Output, signed: "Signed", config: "Config | None") -> None:
    """A root or a draft in full."""
    from fleet.signing import roots
    from fleet.signing.roots import Roots, load_document
    from protocol import cose

    root = load_document(signed)
    chain = roots(config) if config else Roots()
    before = _before(chain, root)
    state, lacks = _state(signed, root, chain, before)
    row = {
        "version": root.version,
        "state": state,
        "lacks": lacks,
        "issued": moment(root.issued),
        "expires": moment(root.expires),
        "products": {product.name: " and ".join(product.roles) for product in root.products},
        "recovery": root.recovery,
        "recovery_s": root.recovery_s,
        "sha256": cose.digest(signed.document).hex(),
    }
    sections = [
        ("Roles", KEYS, _keys(root, config)),
        ("Signatures", SIGNATURES, _signatures(signed, root, before, config)),
    ]
    out.record(ROOT, row, sections)


def _before(chain: "Roots", root: "Root") -> "Root | None":
    """The root that has to have signed this one too, where it is known."""
    from fleet.signing.roots import load, load_document

    envelope = chain.envelope(root.version - 1)
    return load_document(load(envelope)) if envelope else None


def _state(signed: "Signed", root: "Root", chain: "Roots", before: "Root | None") -> tuple[str, str]:
    """(what it is, what it lacks)."""
    from fleet.signing import SignatureError, verify, verify_root
    from protocol import trust

    kept = chain.envelope(root.version)
    if kept and chain.documents[root.version - 1] == signed.document:
        return ("in force" if root.version == chain.version else "replaced"), ""
    try:
        if before is None:
            verify(signed, root, [trust.ROOT], trust.ROOT_TYPE)
        else:
            verify_root(signed, before)
    except SignatureError as error:
        return "draft", error.cause or error.message
    if before is None and root.version > 1:
        return "draft", "perhaps signatures of the root before, which is unknown here"
    return "draft", "" if root.version == chain.version + 1 or not chain.version else "a place: it is not the next one"


def _keys(root: "Root", config: "Config | None") -> list[dict[str, Any]]:
    from fleet.signing import publish
    from protocol import cose

    names = _names(config)
    online = publish.online_key(config) if config else None
    return [
        {
            "role": role.name,
            "threshold": role.threshold,
            "report": role.report,
            "key": cose.kid(root.keys[at]).hex(),
            "name": names.get(root.keys[at], ""),
            "online": role.name == "campaign" or root.keys[at] == online,
            "public": root.keys[at],
            "root": root.version,
            "expires": moment(root.expires),
        }
        for role in root.roles
        for at in role.keys
    ]


def _signatures(signed: "Signed", root: "Root", before: "Root | None", config: "Config | None") -> list[dict[str, Any]]:
    from fleet.signing import signatures
    from protocol import cose, trust

    names = {cose.kid(key).hex(): name for key, name in _names(config).items()}
    found: dict[str, dict[str, Any]] = {}
    for under, word in ((before, "the root before"), (root, "this root")):
        for one in signatures(signed, under, trust.ROOT_TYPE) if under else ():
            row = found.setdefault(one.kid, {"key": one.kid, "name": names.get(one.kid, ""), "holds": None, "by": []})
            if one.place is not None:
                row["holds"] = one.holds
            if one.holds and trust.ROOT in one.roles:
                row["by"].append(word)
    return [{**row, "by": ", ".join(row["by"])} for row in found.values()]


def _names(config: "Config | None") -> "Mapping[bytes, str]":
    from fleet.signing import publish

    return publish.names(config) if config else {}
