"""`fleet node tail`, `logs` and `command`: what happens at nodes now."""

import itertools
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fleet.cli.base import Command
from fleet.cli.options import confirm, dry_run_option, fleet_option, output_option, where_option, yes_option
from fleet.cli.output import Column, Output, View, moment
from fleet.cli.session import Session, actor, opened
from fleet.cli.types import Span, plain_value, split_words
from fleet.errors import UsageError

if TYPE_CHECKING:
    from fleet.store.commands import CommandView
    from fleet.store.journal import LogLine
    from fleet.tail import Line

_LEVEL_COLOURS = {"error": "red", "warning": "yellow", "refused": "red", "failed": "red", "done": "green"}


def _clock(then: Any) -> str:
    return f"{then:%H:%M:%S}"


def _colour(value: Any) -> str:
    return _LEVEL_COLOURS.get(value, "")


TAIL = View(
    "messages",
    (
        Column("received", "RECEIVED", _clock),
        Column("node", "NODE", lambda node: f"{node:<8}"),
        Column("what", "WHAT", lambda what: f"{what:<7}", colour=_colour),
        Column("text", "TEXT", wrap=True),
        Column("time"),
        Column("fields"),
    ),
    id="node",
)
LOGS = View(
    "logs",
    (
        Column("received", "RECEIVED", lambda then: f"{then:%m-%d %H:%M:%S}"),
        Column("level", "LEVEL", lambda level: f"{level:<7}", colour=_colour),
        Column("tag", "TAG", lambda tag: f"{tag:<8}"),
        Column("text", "TEXT", wrap=True),
        Column("node"),
        Column("boot"),
        Column("up_ms"),
        Column("dropped"),
    ),
    id="node",
)
ORDERS = View(
    "commands",
    (
        Column("node", "NODE"),
        Column("name", "COMMAND"),
        Column("status", "STATUS", colour=_colour),
        Column("answer", "ANSWER", wrap=True),
        Column("result", "RESULT", wrap=True),
        Column("id"),
        Column("args"),
        Column("expires"),
    ),
    id="id",
)
WAIT_S = 30
LIFETIME_S = 3600
_POLL_S = 0.5


@click.command(
    "tail",
    cls=Command,
    examples=(
        "fleet node tail air-1",
        "fleet node tail --where kind=light --for 10min",
        "fleet node tail air-1 --json",
    ),
)
@click.argument("ids", metavar="[NODE]...", nargs=-1)
@where_option
@click.option("--for", "span", type=Span(), help="Stop after this time; default: only with Ctrl-C.")
@click.option("-n", "--count", metavar="N", type=click.IntRange(min=1), help="Stop after so many lines.")
@output_option
@fleet_option
def tail(ids: tuple[str, ...], where: str, span: int | None, count: int | None, out: Output, directory: Path) -> None:
    """Follow what nodes say, as it comes from the broker.

    Records, events, states, log lines and replies. Begins with the last state of each node. `!` marks a value that
    the node itself doubts. With --json one object per line.
    """
    from fleet import nodes, watch

    with opened(directory) as session:
        chosen = {view.node.id for view in nodes.select(session.store, ids, where, out.now_s)}
        for line in itertools.islice(watch.follow(session.config, chosen, span), count):
            out.item(TAIL, _line(line))


@click.command("logs", cls=Command, examples=("fleet node logs air-1", "fleet node logs air-1 -n 500 --follow"))
@click.argument("node", metavar="NODE")
@click.option(
    "-n", "--lines", metavar="N", type=click.IntRange(min=1), default=100, help="The newest lines; default 100."
)
@click.option("-f", "--follow", is_flag=True, help="Go on with new lines until Ctrl-C.")
@output_option
@fleet_option
def logs(node: str, lines: int, follow: bool, out: Output, directory: Path) -> None:
    """Show the log lines of a node, oldest first.

    With --follow and --json one object per line.
    """
    with opened(directory) as session:
        found = session.store.journal.logs(node, limit=lines)
        if not follow:
            out.rows(LOGS, map(_log, found), empty=f"{node} has sent no log lines yet.")
            return
        last = 0
        while True:
            for line in found:
                out.item(LOGS, _log(line))
                last = line.key
            time.sleep(_POLL_S)
            found = session.store.journal.logs(node, after=last)


@click.command(
    "command",
    cls=Command,
    examples=(
        "fleet node command ping air-1",
        "fleet node command set_level light-1 light-2 level=100 seconds=3600",
        "fleet node command reboot --where 'kind=air and version<1.4' --yes --no-wait",
    ),
)
@click.argument("name", metavar="NAME")
@click.argument("words", metavar="NODE... [ARGUMENT=VALUE...]", nargs=-1)
@where_option
@click.option("--wait/--no-wait", default=True, help="Return when the nodes have answered (default), or at once.")
@click.option("--timeout", type=Span(), default=WAIT_S, help="How long to wait; default 30s.")
@click.option(
    "--expires", type=Span(), default=LIFETIME_S, help="A node that is away longer does not do it; default 1h."
)
@yes_option
@dry_run_option
@output_option
@fleet_option
def order(
    name: str,
    words: tuple[str, ...],
    where: str,
    wait: bool,
    timeout: int,
    expires: int,
    yes: bool,
    dry_run: bool,
    out: Output,
    directory: Path,
) -> None:
    """Order nodes to do something, and wait for their answers.

    Every node knows ping, identify, reboot (delay_s), read_config, heartbeat and log_level (level, seconds); a light
    node also set_level (level in steps of 0.5 %, seconds) and clear_override. A node that is not connected gets the
    command when it comes back, unless it has expired by then.
    """
    from fleet import commands, nodes

    ids, pairs = split_words(words)
    if not (ids or where):
        raise UsageError("no node is named", hint="name nodes, or choose them with --where")
    args = {key: plain_value(value) for key, value in pairs.items()}
    with opened(directory) as session:
        found = [view.node.id for view in nodes.select(session.store, ids, where, out.now_s)]
        if dry_run:
            out.rows(ORDERS, [_planned(node, name, args) for node in found], empty="No node fits.")
            out.note("Nothing was sent: this was a dry run.")
            return
        if not ids and len(found) > 1:
            confirm(f"Send {name} to {len(found)} nodes?", yes)
        sent = commands.send(session.store, found, name, args, expires, actor(), out.now_s)
        if wait and sent:
            _warn_when_nobody_sends(session, out)
            sent = commands.wait(session.store, sent, timeout)
        out.rows(ORDERS, map(_order, sent), empty="No node fits.")
        if wait:
            commands.require_done(sent)


def _warn_when_nobody_sends(session: Session, out: Output) -> None:
    from fleet.status import service_runs

    if not service_runs(session.store, out.now_s):
        out.note("The service does not run: the command stays in the database until `fleet serve` sends it.")


def _line(line: "Line") -> dict[str, Any]:
    received = moment(int(time.time()))
    shown = {"received": received, "node": line.node, "what": line.what, "text": line.text, "fields": line.fields}
    return {**shown, "time": moment(line.t_s)}


def _log(line: "LogLine") -> dict[str, Any]:
    from fleet.tail import level_name

    same = {key: getattr(line, key) for key in ("tag", "text", "node", "boot", "up_ms", "dropped")}
    return {**same, "received": moment(line.received_ms // 1000), "level": level_name(line.level)}


def _planned(node: str, name: str, args: dict[str, Any]) -> dict[str, Any]:
    """A row of ORDERS for what a dry run did not send."""
    return {
        "node": node,
        "name": name,
        "status": "-",
        "answer": "",
        "result": {},
        "id": "",
        "args": args,
        "expires": None,
    }


def _order(command: "CommandView") -> dict[str, Any]:
    from fleet import commands

    same = {key: getattr(command, key) for key in ("node", "name", "id", "args", "result")}
    answer = command.text if commands.STATUS[command.status] == "done" else commands.reason(command)
    return {**same, "status": commands.STATUS[command.status], "answer": answer, "expires": moment(command.expires_s)}
