"""`fleet node config`: what nodes shall be configured to, and whether they are."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fleet.cli.base import Group
from fleet.cli.options import confirm, dry_run_option, fleet_option, output_option, where_option, yes_option
from fleet.cli.output import Column, Output, View
from fleet.cli.session import opened
from fleet.cli.types import Span, split_words
from fleet.errors import UsageError

if TYPE_CHECKING:
    from fleet.configure import Change
    from fleet.model import NodeState

SETTINGS = View(
    "settings",
    (
        Column("name", "SETTING"),
        Column("value", "VALUE", right=True),
        Column("unit", "UNIT", str),
        Column("default", "DEFAULT", right=True),
        Column("set", "SET", lambda is_set: "set" if is_set else ""),
        Column("meaning", "MEANING", wrap=True),
        Column("restart"),
    ),
    id="name",
)
CHANGES = View(
    "changes",
    (
        Column("node", "NODE"),
        Column("setting", "SETTING"),
        Column("before", "BEFORE", right=True),
        Column("after", "AFTER", right=True),
        Column("rev", "REVISION", right=True),
    ),
    id="node",
)
WAIT_S = 60


@click.group("config", cls=Group)
def command() -> None:
    """Show and change what nodes shall be configured to."""


@command.command("show", examples=("fleet node config show air-1", "fleet node config show air-1 -o csv"))
@click.argument("node", metavar="NODE")
@output_option
@fleet_option
def show(node: str, out: Output, directory: Path) -> None:
    """Show every setting of a node: value, default, meaning."""
    from protocol.settings import SETTINGS as ROWS

    with opened(directory) as session:
        view = session.store.nodes.view(node)
        desired = session.store.configs.get(node)
    values = desired.values if desired else {}
    rows = [
        {
            "name": name,
            "value": values.get(key, default),
            "unit": "" if unit == "1" else unit,
            "default": default,
            "set": key in values,
            "meaning": meaning,
            "restart": restart,
        }
        for key, name, _, _, _, default, unit, restart, meaning in ROWS
    ]
    out.rows(SETTINGS, rows)
    error = error_text(view.state)
    out.note(
        f"Revision {view.config_rev}; the node has applied {view.state.config_applied if view.state else 'none yet'}."
    )
    out.note(f"The node says: {error}" if error else "")


@command.command(
    "set",
    examples=(
        "fleet node config set air-1 interval_s=30",
        "fleet node config set --where kind=light level_dim=60 --wait --yes",
    ),
)
@click.argument("words", metavar="NODE... SETTING=VALUE...", nargs=-1, required=True)
@where_option
@click.option("--wait", is_flag=True, help="Return when the nodes have applied it.")
@click.option("--timeout", type=Span(), default=WAIT_S, help="With --wait: how long; default 60s.")
@yes_option
@dry_run_option
@output_option
@fleet_option
def set_values(
    words: tuple[str, ...],
    where: str,
    wait: bool,
    timeout: int,
    yes: bool,
    dry_run: bool,
    out: Output,
    directory: Path,
) -> None:
    """Set settings of nodes.

    A node tries a new configuration and takes it back by itself when it loses the broker with it.
    """
    ids, pairs = split_words(words)
    if not pairs:
        raise UsageError("no setting is given", hint="for example: fleet node config set air-1 interval_s=30")
    _change(directory, out, (ids, where), (pairs, ()), timeout if wait else None, yes, dry_run)


@command.command(
    "unset",
    examples=("fleet node config unset air-1 interval_s", "fleet node config unset level_dim --where kind=light --yes"),
)
@click.argument("words", metavar="NODE... SETTING...", nargs=-1, required=True)
@where_option
@click.option("--wait", is_flag=True, help="Return when the nodes have applied it.")
@click.option("--timeout", type=Span(), default=WAIT_S, help="With --wait: how long; default 60s.")
@yes_option
@dry_run_option
@output_option
@fleet_option
def unset_values(
    words: tuple[str, ...],
    where: str,
    wait: bool,
    timeout: int,
    yes: bool,
    dry_run: bool,
    out: Output,
    directory: Path,
) -> None:
    """Take settings of nodes back to their default."""
    from protocol.settings import row_of

    names = [word for word in words if row_of(word) is not None]
    ids = [word for word in words if row_of(word) is None]
    if not names:
        raise UsageError("no setting is named", hint="`fleet node config show NODE` lists every setting")
    _change(directory, out, (ids, where), ({}, names), timeout if wait else None, yes, dry_run)


def _change(
    directory: Path,
    out: Output,
    chosen: tuple[list[str], str],
    wanted: tuple[dict[str, str], "list[str] | tuple[()]"],
    timeout_s: int | None,
    yes: bool,
    dry_run: bool,
) -> None:
    from fleet import configure, nodes

    ids, where = chosen
    if not (ids or where):
        raise UsageError("no node is named", hint="name nodes, or choose them with --where")
    with opened(directory) as session:
        found = [view.node.id for view in nodes.select(session.store, ids, where, out.now_s)]
        changes = configure.plan(session.store, found, *wanted)
        changed = [change for change in changes if change.names]
        if not dry_run and not ids and len(changed) > 1:
            confirm(f"Change the configuration of {len(changed)} nodes?", yes)
        revisions = {} if dry_run else configure.apply(session.store, changed, out.now_s)
        for node, rev in revisions.items():
            session.note(out.now_s, "configure", f"node {node}", revision=rev)
        rows = [row for change in changed for row in _rows(change, revisions.get(change.node))]
        if timeout_s is not None and revisions:
            configure.wait(session.store, revisions, timeout_s)
    out.rows(CHANGES, rows, empty="It is so already." if found else "No node fits.")
    if dry_run:
        out.note("Nothing was changed: this was a dry run.")


def _rows(change: "Change", rev: int | None) -> list[dict[str, Any]]:
    from fleet.configure import row_of

    rows = []
    for name in change.names:
        row = row_of(name)
        before, after = change.before.get(row[0], row[5]), change.after.get(row[0], row[5])
        rows.append({"node": change.node, "setting": name, "before": before, "after": after, "rev": rev})
    return rows


def error_text(state: "NodeState | None") -> str:
    """Why the node did not take its configuration; "" when it did."""
    from fleet.commands import CODES

    if state is None or not state.config_error:
        return ""
    text = CODES.get(state.config_error, f"code {state.config_error}")
    return f"{state.config_path}: {text}" if state.config_path else text
