"""`fleet node`: who is there, and what each said last."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fleet.cli import human, node_claim, node_config, node_explain, node_live, node_update
from fleet.cli.base import Group
from fleet.cli.options import confirm, dry_run_option, fleet_option, output_option, where_option, yes_option
from fleet.cli.output import Column, Output, View, moment, pairs
from fleet.cli.session import opened
from fleet.cli.types import split_words
from fleet.errors import UsageError
from protocol import reasons

if TYPE_CHECKING:
    from fleet.store.commands import CommandView
    from fleet.store.journal import EventView
    from fleet.store.nodes import NodeView
    from fleet.store.readings import Account

_COLOURS = {
    "online": "green",
    "offline": "yellow",
    "unknown": "yellow",
    "retired": "bright_black",
    "never": "bright_black",
    "refused": "red",
    "pending": "yellow",  # a board, or a configuration
    "failed": "red",
    "expired": "red",
    "done": "green",
    "error": "red",
    "warning": "yellow",
}


_HEALTH = (
    ("up_s", "up {}", human.span),
    ("heap_free", "{} of heap free", human.size),
    ("outbox_used", "{} in the outbox", human.size),
    ("rssi_dbm", "{} dBm", str),
    ("loop_lag_p95_ms", "loop lag {} ms", str),
    ("ack_p95_ms", "acknowledged in {} ms", str),
    ("mqtt_connects", "connection no. {}", str),
    (
        "mqtt_last_reason",
        "the one before ended: {}",
        lambda code: reasons.TEXTS.get(code, f"reason {code}") if code else "",
    ),
    ("task_restarts", "{} task restarts", str),
    ("sensor_errors", "{} sensor errors", str),
)


def _colour(value: Any) -> str:
    return _COLOURS.get(value, "")


def _health_text(health: Mapping[str, Any]) -> str:
    """The figures of the last heartbeat that a person asks for first."""
    found = ((form, show(health[key])) for key, form, show in _HEALTH if health.get(key) is not None)
    return ", ".join(form.format(text) for form, text in found if text) or "-"


# What numbers in the attributes of events mean; scripts get the numbers.
_WORDS: dict[str, Mapping[int, str]] = {
    "cause": {
        1: "power-on",
        2: "reset",
        3: "watchdog",
        4: "deep-sleep",
        5: "soft-reset",
    },  # RESET_* of protocol.messages
    "quality": {1: "bound", 2: "rtc", 3: "ntp-day", 4: "ntp-hour"},  # TQ_* of protocol.records
    "reason": reasons.TEXTS,
}


def _in_words(attributes: Mapping[str, Any]) -> str:
    """Attributes of an event as a person reads them: no empty ones, and of a digest the begin."""
    from fleet.tail import STAGES

    words = {**_WORDS, "stage": STAGES}

    def word(name: str, value: Any) -> Any:
        if isinstance(value, bytes):
            return value.hex()[:12]
        return words.get(name, {}).get(value, value) if isinstance(value, int) else value

    return pairs({name: word(name, value) for name, value in attributes.items() if value != ""})


_BASE = (
    Column("id", "NODE"),
    Column("kind", "KIND"),
    Column("state", "STATE", colour=_colour),
    Column("version", "VERSION"),
    Column("config", "CONFIG", colour=_colour),
    Column("seen", "SEEN", right=True),
    Column("tags", "TAGS", wrap=True),
)
_MORE = ("board", "standing", "boot", "slot", "safe_mode", "config_rev", "config_applied", "config_error")
NODES = View("nodes", (*_BASE, *(Column(key) for key in _MORE)), id="id")
NODE = View(
    "node",
    (
        Column("id", "Node"),
        Column("kind", "Kind"),
        Column("board", "Board"),
        Column("state", "State", colour=_colour),
        Column("seen", "Last heard", lambda then: f"{then:%Y-%m-%d %H:%M:%S} UTC"),
        Column("tags", "Tags"),
        Column("version", "Firmware"),
        Column("release", "Release"),
        Column("manifest"),
        Column("proof", "Proof", node_update.proof_text),
        Column("update", "Update", node_update.update_text),
        Column("slot", "Slot"),
        Column("safe_mode", "Safe mode"),
        Column("boot", "Boot"),
        Column("config", "Configuration", colour=_colour),
        Column("config_rev", "  desired"),
        Column("config_applied", "  applied"),
        Column("config_error", "  error"),
        Column("standing", "Standing"),
        Column("added", "Provisioned", lambda then: f"{then:%Y-%m-%d}"),
        Column("certificate_sha256"),
        Column("certificate_until", "Certificate until", lambda then: f"{then:%Y-%m-%d}"),
        Column("health", "Health", _health_text),
    ),
    id="id",
)
BOOTS = View(
    "boots",
    (
        Column("boot", "BOOT", right=True),
        Column("stored", "STORED", human.number, right=True),
        Column("missing", "MISSING", human.number, right=True),
        Column("pruned", "PRUNED", human.number, right=True),
        Column("last_seq", "NEWEST", right=True),
    ),
    id="boot",
)
EVENTS = View(
    "events",
    (
        Column("time", "AGE", right=True),
        Column("severity", "SEVERITY", colour=_colour),
        Column("event", "EVENT"),
        Column("phase", "PHASE"),
        Column("attributes", "ATTRIBUTES", _in_words, wrap=True),
        Column("boot"),
        Column("seq"),
    ),
    id="event",
)
COMMANDS = View(
    "commands",
    (
        Column("issued", "AGE", right=True),
        Column("name", "COMMAND"),
        Column("status", "STATUS", colour=_colour),
        Column("answer", "ANSWER", wrap=True),
        Column("actor", "BY"),
        Column("id"),
    ),
    id="id",
)
TAGGED = View("nodes", (Column("id", "NODE"), Column("tags", "TAGS", wrap=True)), id="id")
RETIRED = View("retired", (Column("id", "NODE"), Column("kind", "KIND"), Column("tags", "TAGS", wrap=True)), id="id")
_RECENT = 5  # events and commands in `node show`


@click.group("node", cls=Group)
def command() -> None:
    """List, show, order, configure, update, accept and retire nodes."""


@command.command("list", examples=("fleet node list", "fleet node list --where 'kind=air and version<1.4' -o name"))
@click.option("--all", "retired", is_flag=True, help="Retired nodes too.")
@where_option
@output_option
@fleet_option
def list_nodes(retired: bool, where: str, out: Output, directory: Path) -> None:
    """List nodes and what each said last.

    STATE is online, offline, never (not heard of yet), pending (not accepted yet), or unknown while the service does
    not run. CONFIG is default, pending, applied or refused.
    """
    from fleet import nodes, status

    with opened(directory) as session:
        found = nodes.select(session.store, (), where, out.now_s, nodes.EVERY if retired else nodes.PRESENT)
        runs = status.service_runs(session.store, out.now_s)
    rows = [_row(view, runs) for view in found]
    out.rows(NODES, rows, empty="No node fits." if where else "No nodes yet.")
    _explain_unknown(rows, out)


@command.command("show", examples=("fleet node show air-1", "fleet node show air-1 --json"))
@click.argument("node", metavar="NODE")
@output_option
@fleet_option
def show(node: str, out: Output, directory: Path) -> None:
    """Show everything about one node.

    Its state and health, the program that it runs and whether it proved that, how complete its data is, its recent
    events and commands."""
    from fleet import status

    with opened(directory) as session:
        view = session.store.nodes.view(node)
        runs = status.service_runs(session.store, out.now_s)
        accounts = session.store.readings.accounts([node])
        events = session.store.journal.events([node], limit=_RECENT)
        commands = session.store.commands.of(node, limit=_RECENT)
        about = node_update.about(session.store, view, _RECENT, out.now_s)
    more = {
        **about.fields,
        "added": moment(view.node.added_s),
        "certificate_sha256": view.node.cert_sha256,
        "certificate_until": moment(view.node.cert_until_s),
        "health": view.state.health if view.state else {},
    }
    sections = (
        ("Records and events by boot", BOOTS, [_boot(account) for account in accounts]),
        ("Updates that ended", node_update.HISTORY, about.history),
        ("Recent events", EVENTS, [_event(event) for event in events]),
        ("Recent commands", COMMANDS, [_command(one) for one in commands]),
    )
    row = _row(view, runs)
    out.record(NODE, {**row, **more}, sections)
    _explain_unknown([row], out)


@command.command(
    "set", examples=("fleet node set air-1 site=mitte street='Unter den Linden'", "fleet node set air-1 street=")
)
@click.argument("words", metavar="NODE... TAG=VALUE...", nargs=-1, required=True)
@where_option
@dry_run_option
@output_option
@fleet_option
def set_tags(words: tuple[str, ...], where: str, dry_run: bool, out: Output, directory: Path) -> None:
    """Give nodes tags, such as the place where they hang.

    TAG= takes a tag away. Every tag can be used in --where.
    """
    from fleet import nodes

    ids, pairs = split_words(words)
    if not pairs or not (ids or where):
        raise UsageError("name at least one node and one tag", hint="for example: fleet node set air-1 site=mitte")
    changes = {name: value or None for name, value in pairs.items()}
    with opened(directory) as session:
        found = nodes.select(session.store, ids, where, out.now_s)
        changed = [nodes.tag(session.store, view.node.id, changes, dry_run) for view in found]
    out.rows(TAGGED, [{"id": node.id, "tags": node.tags} for node in changed], empty="No node fits.")
    if dry_run:
        out.note("Nothing was changed: this was a dry run.")


@command.command("retire", examples=("fleet node retire air-1", "fleet node retire air-1 air-2 --yes"))
@click.argument("ids", metavar="NODE...", nargs=-1, required=True)
@yes_option
@dry_run_option
@output_option
@fleet_option
def retire(ids: tuple[str, ...], yes: bool, dry_run: bool, out: Output, directory: Path) -> None:
    """Trust nodes no more.

    Their certificates are revoked and their connections end; there is no way back. Their data stays; the id is never
    used again. A board that waits to be accepted is refused.
    """
    from fleet import nodes
    from fleet.provision import Provisioner

    with opened(directory) as session:
        found = nodes.select(session.store, ids, "", int(time.time()))
        if not dry_run:
            confirm(f"Retire {', '.join(ids)} for ever?", yes)
            Provisioner(session.config, session.store.nodes).retire(*ids)
            for node in ids:
                session.note(int(time.time()), "retire", f"node {node}")
    out.rows(RETIRED, [{"id": view.node.id, "kind": view.node.kind, "tags": view.node.tags} for view in found])
    out.note("Nothing was changed: this was a dry run." if dry_run else "")


def _explain_unknown(rows: Sequence[Mapping[str, Any]], out: Output) -> None:
    if any(row["state"] == "unknown" for row in rows):
        out.note("The service does not run, so nobody knows who is online: `fleet serve` starts it.")


def _row(view: "NodeView", service_runs: bool) -> dict[str, Any]:
    from fleet import nodes

    state = view.state
    return {
        "id": view.node.id,
        "kind": view.node.kind.value,
        "state": nodes.presence(view, service_runs),
        "version": state.firmware if state else None,
        "config": nodes.config_status(view),
        "seen": moment(view.last_seen_ms and view.last_seen_ms // 1000),
        "tags": view.node.tags,
        "board": view.node.board,
        "standing": view.node.standing.value,
        "boot": state.boot if state else None,
        "slot": state.slot if state else None,
        "safe_mode": state.safe_mode if state else None,
        "config_rev": view.config_rev,
        "config_applied": state.config_applied if state else None,
        "config_error": node_config.error_text(state),
    }


def _boot(account: "Account") -> Mapping[str, Any]:
    return {key: getattr(account, key) for key in ("boot", "stored", "missing", "pruned", "last_seq")}


def _event(event: "EventView") -> Mapping[str, Any]:
    from fleet import tail

    return {
        **tail.event_fields(event.code, event.phase, event.attrs),
        "time": moment(event.t_s if event.tq else event.received_ms // 1000),
        "boot": event.boot,
        "seq": event.seq,
    }


def _command(one: "CommandView") -> Mapping[str, Any]:
    from fleet import commands

    return {
        "issued": moment(one.issued_s),
        "name": one.name,
        "status": commands.STATUS[one.status],
        "answer": one.result or commands.reason(one) if one.replied_ms else {},
        "actor": one.actor,
        "id": one.id,
    }


command.add_command(node_explain.command)
command.add_command(node_live.tail)
command.add_command(node_live.logs)
command.add_command(node_live.order)
command.add_command(node_config.command)
command.add_command(node_update.command)
command.add_command(node_claim.accept)
command.add_command(node_claim.ticket)
