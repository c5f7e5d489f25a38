"""`fleet key draft`, `sign` and `publish`: from a change of who may sign what to a root that nodes follow."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from fleet.cli.base import Command
from fleet.cli.key_options import keys_option, passphrase_option, signers
from fleet.cli.key_root import nearby, present, read_draft
from fleet.cli.options import confirm, dry_run_option, fleet_option, output_option, yes_option
from fleet.cli.output import Column, Output, View
from fleet.cli.session import opened
from fleet.cli.types import Span
from fleet.errors import NotFoundError, UsageError

if TYPE_CHECKING:
    from fleet.config import Config
    from fleet.signing import PublicKey
    from fleet.signing.draft import Changes
    from protocol.trust import Root

F = TypeVar("F", bound=Callable[..., Any])
DAYS = 730
_KID_MIN = 4  # digits of a key's number that are enough to name it
CHANGES = View(
    "changes",
    (Column("what", "WHAT"), Column("before", "BEFORE", wrap=True), Column("after", "AFTER", wrap=True)),
    id="what",
)
PUBLISHED = View(
    "published",
    (
        Column("version", "Root"),
        Column("path", "File"),
        Column("expires", "Valid until", lambda then: f"{then:%Y-%m-%d}"),
        Column("is_new", "New"),
        Column("new_online_key", "New online key"),
    ),
    id="version",
)


def content_options(function: F) -> F:
    """What a root says besides its keys: `require`, `recovery`, `recovery_after`, `days`."""
    for option in (
        click.option(
            "--days", metavar="N", type=click.IntRange(1, 36500), default=DAYS, help=f"Valid; default {DAYS}."
        ),
        click.option("--recovery-after", metavar="TIME", type=Span(), help="How long a node has to have lost its own."),
        click.option(
            "--recovery", metavar="HOST:PORT", multiple=True, help="A broker for nodes that lost their own; '' = none."
        ),
        click.option(
            "--require",
            metavar="PRODUCT=ROLES",
            multiple=True,
            help="Who signs its releases besides build: light=bench; light= is build alone.",
        ),
    ):
        function = option(function)
    return function


@click.command(
    "draft",
    cls=Command,
    examples=(
        "fleet key draft root-1.draft --add root=anna.pub --add root=berta.pub --threshold root=2 --add build=ci.pub",
        "fleet key draft root-2.draft --remove ci --add build=ci-2027.pub",
        "fleet key draft root-2.draft --add bench=rack.pub --require air=bench --require light=bench",
        "fleet key draft root-3.draft --new-online-key",
    ),
)
@click.argument("file", metavar="FILE", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--add", metavar="ROLE=FILE.pub", multiple=True, help="A key into a role; a new role is made.")
@click.option("--remove", metavar="[ROLE=]KEY", multiple=True, help="A key by name or number, from one role or all.")
@click.option("--threshold", metavar="ROLE=N", multiple=True, help="How many keys of a role have to sign.")
@click.option("--report", metavar="ROLE", multiple=True, help="Its signatures have to name a bench report.")
@click.option("--no-report", metavar="ROLE", multiple=True, help="They need not.")
@click.option("--new-online-key", is_flag=True, help="The service gets a new key for campaigns; the old one ends.")
@content_options
@dry_run_option
@output_option
@fleet_option
def draft(file: Path, dry_run: bool, out: Output, directory: Path, **values: Any) -> None:
    """Write the next root, with what changes, as a draft.

    The draft counts for nothing until enough keys of the root before and of the new one have signed it (`fleet key
    sign`, here or on other machines) and it is published (`fleet key publish`). The first root begins with the online
    key of this fleet in the role campaign. Without any change the next root says the same, and is valid anew.
    """
    from fleet import config as settings
    from fleet import files
    from fleet.signing import publish, roots
    from fleet.signing.draft import draft as make
    from fleet.signing.roots import load_document

    config = settings.load(directory)
    if file.exists():
        raise UsageError(f"{file} exists", hint="name another file")
    old = roots(config).newest
    added = [_added(word) for word in values["add"]]
    made = make(old, _changes(config, old, added, values, dry_run), out.now_s)
    if not dry_run:
        publish.keep_names(config, [key for _, key in added])
        files.write_new(file, made.encode(), files.PUBLIC)
    out.rows(
        CHANGES, _differences(config, old, load_document(made), added), empty="It says the same, and is valid anew."
    )
    out.note(
        "Nothing was written: this was a dry run." if dry_run else f"Next: fleet key sign {file} --key ROOT-KEY.pem"
    )


@click.command(
    "sign",
    cls=Command,
    examples=(
        "fleet key sign root-2.draft --key /media/stick/root.pem",
        "fleet key sign root-2.draft --key hsm.toml --yes",
    ),
)
@click.argument("file", metavar="FILE", type=click.Path(dir_okay=False, path_type=Path))
@keys_option
@passphrase_option
@yes_option
@dry_run_option
@output_option
@fleet_option
def sign(
    file: Path,
    keys: Sequence[Path],
    passphrase_file: Path | None,
    yes: bool,
    dry_run: bool,
    out: Output,
    directory: Path,
) -> None:
    """Sign a draft with keys of the role root.

    No fleet and no network is needed. The draft is shown first: who signs it answers for it. Several people sign one
    after the other, or each a copy: `fleet key publish` takes them all.
    """
    from fleet import files
    from fleet.signing.publish import sign_draft
    from fleet.signing.roots import load_document
    from protocol import trust

    signed = read_draft(file)
    root = load_document(signed)
    config = nearby(directory)
    if out.form == "table":
        present(out, signed, config)
    confirm(f"Sign this as root {root.version}?", yes or dry_run)
    own = [root.keys[at] for at in trust.role_of(root, trust.ROOT).keys]
    for signer in signers(keys, passphrase_file, out):
        if signer.public not in own:
            out.note(f"{signer.name} is no root key of this draft: it counts only if the root before has it.")
        signed = sign_draft(signed, signer)
    if not dry_run:
        files.replace(file, signed.encode(), files.PUBLIC)
    if out.form != "table":
        present(out, signed, config)
    out.note("Nothing was written: this was a dry run." if dry_run else f"Signed. Next: fleet key publish {file}")


@click.command(
    "publish",
    cls=Command,
    examples=("fleet key publish root-2.draft", "fleet key publish from-anna.draft from-berta.draft --yes"),
)
@click.argument("drafts", metavar="FILE...", nargs=-1, required=True, type=click.Path(dir_okay=False, path_type=Path))
@yes_option
@dry_run_option
@output_option
@fleet_option
def publish(drafts: Sequence[Path], yes: bool, dry_run: bool, out: Output, directory: Path) -> None:
    """Make a signed draft the root of the fleet.

    It is checked as a node checks it: the next version, signed by enough keys of the root before and of its own. Nodes
    fetch it before the next update; it cannot be taken back, only followed by another.
    """
    from fleet import config as settings
    from fleet.cli.output import moment
    from fleet.signing import publish as work
    from fleet.signing import roots

    config = settings.load(directory)
    copies = [read_draft(file) for file in drafts]
    old = roots(config).newest
    planned = work.publish(config, copies, out.now_s, dry_run=True)
    if out.form == "table":
        present(out, work.merge(copies), config)
    for note in _warnings(config, old, planned.root, planned.has_new_online_key):
        out.note(note)
    if not dry_run:
        confirm(f"Publish root {planned.root.version}?", yes)
        planned = work.publish(config, copies, out.now_s)
        with opened(directory) as session:
            session.note(out.now_s, "publish", f"root {planned.root.version}", document=planned.root.encode())
    row = {"version": planned.root.version, "path": str(planned.path), "expires": moment(planned.root.expires)}
    if out.form != "table":
        out.record(PUBLISHED, {**row, "is_new": planned.is_new, "new_online_key": planned.has_new_online_key})
    if dry_run:
        out.note("It holds. Nothing was changed: this was a dry run.")
        return
    out.note(f"Published as {planned.path}." if planned.is_new else "It was published already.")
    out.note("Restart the service: it has a new online key." if planned.has_new_online_key else "")


def online(config: "Config") -> "PublicKey":
    """The online key of a fleet, for its first root; NotFoundError."""
    from fleet.signing import PublicKey, campaign_signer

    return PublicKey("campaign", campaign_signer(config).public)


def contents(require: Sequence[str], recovery: Sequence[str], recovery_after: int | None, days: int) -> dict[str, Any]:
    """What the options of `content_options` mean, as fields of Changes."""
    brokers = [one for one in recovery if one] if recovery else None  # one that is empty: none any more
    return {"require": _products(require), "recovery": brokers, "recovery_s": recovery_after, "days": days}


def _products(require: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """{product: roles} of `--require`."""
    from fleet.model import Kind

    found = {}
    for word in require:
        name, roles = _pair(word, "--require", "light=bench")
        if name not in set(Kind):
            raise UsageError(f"{name!r} is no product", hint=f"there are {', '.join(Kind)}")
        found[name] = tuple(role for role in roles.split(",") if role)
    return found


def _pair(word: str, option: str, example: str) -> tuple[str, str]:
    name, sign, value = word.partition("=")
    if not (sign and name):
        raise UsageError(f"{option} {word} is not of the form {example}")
    return name, value


def _added(word: str) -> "tuple[str, PublicKey]":
    from fleet.signing import load_public

    role, path = _pair(word, "--add", "build=anna.pub")
    return role, load_public(Path(path))


def _changes(
    config: "Config", old: "Root | None", added: "list[tuple[str, PublicKey]]", values: dict[str, Any], dry_run: bool
) -> "Changes":
    from fleet.signing import publish
    from fleet.signing.draft import Changes

    thresholds = {}
    for word in values["threshold"]:
        role, count = _pair(word, "--threshold", "root=2")
        if not count.isdecimal():
            raise UsageError(f"--threshold {word} is not of the form root=2")
        thresholds[role] = int(count)
    removed = [_removed(config, old, word) for word in values["remove"]]
    more = list(added)
    if old is None and not any(role == "campaign" for role, _ in added):
        more.append(("campaign", online(config)))
    if values["new_online_key"]:
        used = publish.online_key(config)
        removed += [("campaign", used)] if used and old and publish.is_online(old, used) else []
        more.append(("campaign", publish.new_online_key(config, dry_run)))
    return Changes(
        add=more,
        remove=removed,
        thresholds=thresholds,
        reports={**dict.fromkeys(values["report"], True), **dict.fromkeys(values["no_report"], False)},
        **contents(**{name: values[name] for name in ("require", "recovery", "recovery_after", "days")}),
    )


def _removed(config: "Config", old: "Root | None", word: str) -> tuple[str, bytes]:
    """(role or "", key) of `[ROLE=]KEY`; KEY is a name, or the beginning of a number."""
    from fleet.signing import publish
    from protocol import cose

    role, _, text = word.rpartition("=")
    known = publish.names(config)
    keys = old.keys if old else []
    found = [key for key in keys if text == known.get(key)]
    found = found or [key for key in keys if len(text) >= _KID_MIN and cose.kid(key).hex().startswith(text.lower())]
    if len(found) != 1:
        raise NotFoundError(f"{'several keys are' if found else 'no key is'} called {text}", hint="fleet key list")
    return role, found[0]


def _differences(
    config: "Config", old: "Root | None", new: "Root", added: "list[tuple[str, PublicKey]]"
) -> list[dict[str, Any]]:
    from fleet.signing import publish
    from fleet.signing.draft import outline

    names = publish.names(config) | {key.public: key.name for _, key in added}
    before, after = outline(old, names) if old else {}, outline(new, names)
    every = dict.fromkeys((*before, *after))
    rows = [{"what": what, "before": before.get(what), "after": after.get(what)} for what in every]
    return [row for row in rows if row["before"] != row["after"]]


def _warnings(config: "Config", old: "Root | None", new: "Root", has_new_online_key: bool) -> list[str]:
    """What whoever publishes a root should know."""
    from fleet.signing import publish
    from protocol import trust

    notes = []
    if not has_new_online_key and not publish.is_online(new, publish.online_key(config)):
        notes.append("It does not hold the online key of this fleet: the service could order no update any more.")
    if old is not None and trust.voids(old, new, trust.BUILD):
        notes.append("Its build keys are new ones: nodes that follow forget which older releases they refuse.")
    return notes
