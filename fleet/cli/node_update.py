"""`fleet node update`: order nodes to run another program; and what `fleet node show` says of updates."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from fleet.cli import board_progress, human
from fleet.cli.base import Command
from fleet.cli.options import confirm, dry_run_option, fleet_option, output_option, where_option, yes_option
from fleet.cli.output import Column, Output, View, moment
from fleet.cli.session import Session, actor, opened
from fleet.cli.types import Span
from fleet.errors import UsageError

if TYPE_CHECKING:
    from fleet.campaigns import Plan, Progress, Wish
    from fleet.model import NodeUpdate, Ordered
    from fleet.store import Store
    from fleet.store.journal import EventView
    from fleet.store.nodes import NodeView

WAIT_S = 900
LIFETIME_S = 86400
BARS = 20  # more nodes than this share one bar
_TOLD = 2  # events of one update at most: that it is on trial, and how it ended
_PROVED = "proved"
_COLOURS = {_PROVED: "green", "stopped": "green", "refused": "red", "failed": "red", "reverted": "red"}


def _colour(value: Any) -> str:
    return _COLOURS.get(value, "")


UPDATES = View(
    "updates",
    (
        Column("node", "NODE"),
        Column("runs", "RUNS"),
        Column("wanted", "WANTED"),
        Column("order", "ORDER", right=True),
        Column("stage", "STAGE", colour=_colour),
        Column("reason", "REASON", wrap=True),
        Column("done"),
        Column("total"),
        Column("expires"),
    ),
    id="node",
)
HISTORY = View(
    "update_history",
    (
        Column("time", "AGE", right=True),
        Column("order", "ORDER", right=True),
        Column("stage", "STAGE", colour=_colour),
        Column("release", "RELEASE"),
        Column("reason", "REASON", wrap=True),
        Column("code"),
        Column("manifest"),
    ),
    id="order",
)


@click.command(
    "update",
    cls=Command,
    examples=(
        "fleet node update air-1 --release air-1.4.0 --wait",
        "fleet node update --where 'kind=light and site=mitte' --release light-1.4.0 --yes",
        "fleet node update light-7 --previous --now",
        "fleet node update air-1 --stop",
    ),
)
@click.argument("ids", metavar="[NODE]...", nargs=-1)
@where_option
@click.option("--release", metavar="ID", default="", help="Install this release: an id, or the begin of its digest.")
@click.option("--previous", is_flag=True, help="Boot the program in the other slot, without a download.")
@click.option("--stop", is_flag=True, help="Go no further; leave a program on trial.")
@click.option("--now", is_flag=True, help="Restart at once, also a lamp that is wanted.")
@click.option("--force", is_flag=True, help="Also what failed on the node before.")
@click.option("--expires", type=Span(), default=LIFETIME_S, help="Not begun later than this; default 24h.")
@click.option("--wait", is_flag=True, help="Return when every node has proved what it runs, or failed.")
@click.option("--timeout", type=Span(), default=WAIT_S, help="With --wait: how long; default 15min.")
@yes_option
@dry_run_option
@output_option
@fleet_option
def command(
    ids: tuple[str, ...], where: str, out: Output, directory: Path, yes: bool, dry_run: bool, **options: Any
) -> None:
    """Order nodes to run another program.

    A node that is away gets the order when it comes back, unless it has expired by then; a newer order takes the place
    of an older one. What a node would refuse is refused here, as far as it is known, and the others are ordered.

    Success is a proof by the program that runs. With --wait the exit code is 0 when every node has proved it, 1 when it
    failed or was reverted, 6 when some did, 8 when time was up first.
    """
    from fleet import campaigns, nodes

    if not (ids or where):
        raise UsageError("no node is named", hint="name nodes, or choose them with --where")
    with opened(directory) as session:
        wish = _wish(session.store, options)
        views = nodes.select(session.store, ids, where, out.now_s)
        plans = campaigns.plan(session.store, session.config, views, wish, out.now_s)
        names = _Names(session.store)
        orders: Mapping[str, Ordered] = {}
        if not dry_run:
            count = sum(not one.refusal for one in plans)
            if not ids and count > 1:
                confirm(f"Order {count} nodes to {_words(wish)}?", yes)
            orders = campaigns.order(session.store, session.config, plans, wish, actor(), out.now_s)
        found = _watched(session, orders, options["timeout"] if options["wait"] else None, out)
        rows = [_row(one, orders.get(one.node), found.get(one.node), names) for one in plans]
    out.rows(UPDATES, rows, empty="No node fits.")
    if dry_run:
        out.note("Nothing was ordered: this was a dry run.")
    elif plans:
        campaigns.require_done(plans, list(found.values()) if options["wait"] else [])


def _wish(store: "Store", options: Mapping[str, Any]) -> "Wish":
    from fleet.campaigns import Wish
    from protocol.trust import BOOT, INSTALL, STOP

    given = [name for name in ("release", "previous", "stop") if options[name]]
    if len(given) != 1:
        raise UsageError("say what the nodes shall do", hint="one of --release ID, --previous and --stop")
    action = {"release": INSTALL, "previous": BOOT, "stop": STOP}[given[0]]
    release = store.releases.get(options["release"]) if options["release"] else None
    if options["expires"] < 1:
        raise UsageError("--expires has to be longer than nothing")
    return Wish(action, release, options["now"], options["force"], options["expires"])


def _words(wish: "Wish") -> str:
    if wish.release is not None:
        return f"install {wish.release.id}"
    return {"previous": "boot the program before", "stop": "stop"}[_action(wish.action)]


def _action(action: int) -> str:
    from fleet.campaigns import ACTIONS

    return ACTIONS.get(action, f"action {action}")


class _Names:
    """What people call the program of a manifest: the id of its release, else the begin of its digest."""

    def __init__(self, store: "Store") -> None:
        rows = store.releases.all()
        self._names = {row.manifest: row.id for row in rows}
        self._bases = {row.base: row for row in rows if row.base}
        self._brought = {row.digest: row.base for row in rows}

    def base(self, release: bytes) -> bytes:
        """The digest of the base image that comes with a release, or b""."""
        return self._brought.get(release, b"")

    def of(self, manifest: bytes) -> str | None:
        """The name; None when nobody knows what runs."""
        return self._names.get(manifest) or manifest.hex()[:12] or None

    def micropython(self, base: bytes) -> str | None:
        """The version of the base image with that digest, as the release says that brought it; None when none did."""
        from fleet.releases import contents

        row = self._bases.get(base)
        return contents.opened(row.envelope)[1].base_version if row else None


def _row(plan: "Plan", order: "Ordered | None", now: "Progress | None", names: _Names) -> dict[str, Any]:
    return {
        "node": plan.node,
        "runs": names.of(plan.manifest if now and now.stage == _PROVED else plan.runs),
        "wanted": names.of(plan.manifest),
        "order": order.counter if order else None,
        "stage": "refused" if plan.refusal else now.stage if now else "ordered" if order else "-",
        "reason": plan.refusal or (now.reason if now else ""),
        "done": now.done if now else 0,
        "total": now.total if now else 0,
        "expires": moment(order.expires_s) if order else None,
    }


class _Step(NamedTuple):
    """What the bars of `board_progress` show."""

    phase: str
    done: int
    total: int


def _watched(
    session: Session, orders: "Mapping[str, Ordered]", timeout_s: int | None, out: Output
) -> "dict[str, Progress]":
    """How the orders stand when all have ended, or after `timeout_s`; nothing when that is None."""
    from fleet import campaigns, status

    if not orders:
        return {}
    if not status.service_runs(session.store, out.now_s):
        out.note("The service does not run: the orders stay in the database until `fleet serve` sends them.")
    if timeout_s is None:
        return {}
    with _bars(list(orders), out) as tell:
        found = campaigns.watch(session.store, orders, timeout_s, tell)
    return {one.node: one for one in found}


@contextmanager
def _bars(nodes: Sequence[str], out: Output) -> "Iterator[Any]":
    """What tells a person how far each node is; many of them share one bar."""
    from fleet.campaigns import Verdict

    if len(nodes) > BARS:
        ended: set[str] = set()
        with board_progress.shown([f"{len(nodes)} nodes"], out) as bars:

            def count(one: "Progress") -> None:
                if one.verdict is not Verdict.OPEN:
                    ended.add(one.node)
                bars.step(f"{len(nodes)} nodes", _Step("updating", len(ended), len(nodes)))

            yield count
        return
    with board_progress.shown(nodes, out) as bars:

        def each(one: "Progress") -> None:
            if one.verdict is Verdict.OPEN:
                bars.step(one.node, _Step(one.stage, one.done, one.total if one.done else 0))
            else:
                bars.end(one.node, one.stage)

        yield each


class About(NamedTuple):
    """What `fleet node show` says of a node's program: fields of its card, and how updates ended."""

    fields: dict[str, Any]
    history: list[dict[str, Any]]


def about(store: "Store", view: "NodeView", limit: int, now_s: int) -> About:
    """Which release runs, whether that is proved, how the newest order stands, and how those before it ended."""
    from protocol import events
    from protocol.update import TRIAL

    node = view.node.id
    ordered, said = store.campaigns.orders([node]).get(node), store.campaigns.updates([node]).get(node)
    names = _Names(store)
    runs = view.state.manifest if view.state else b""
    fields = {
        "release": names.of(runs),
        "manifest": runs,
        "proof": _proof(said, runs, names),
        "update": _update(ordered, said, names, now_s),
    }
    told = store.journal.events([node], limit=limit * _TOLD, code=events.UPDATE)
    return About(fields, [_ended(one, names) for one in told if one.attrs.get(2) != TRIAL][:limit])


def _proof(said: "NodeUpdate | None", runs: bytes, names: _Names) -> dict[str, Any]:
    """The proof of what runs now; empty when there is none."""
    proved = said.proved if said else None
    if proved is None or proved.manifest != runs:
        return {}
    return {
        "time": moment(proved.at_ms // 1000),
        "boot": proved.boot,
        "slot": proved.slot,
        "base": proved.base,
        "micropython": names.micropython(proved.base),
    }


def proof_text(proof: Mapping[str, Any]) -> str:
    """`proved 2026-11-22 08:05 UTC by boot 123, on MicroPython 1.26.1`, or `not proved`."""
    then: datetime | None = proof.get("time")
    if not then:
        return "not proved"
    below = f", on MicroPython {proof['micropython'] or proof['base'].hex()[:12]}" if proof["base"] else ""
    return f"proved {then:%Y-%m-%d %H:%M} UTC by boot {proof['boot']}{below}"


def _update(ordered: "Ordered | None", said: "NodeUpdate | None", names: _Names, now_s: int) -> dict[str, Any]:
    from fleet.campaigns import progress

    known = {"root": said.root, "floor": said.floor, "other_slot": names.of(said.spare)} if said else {}
    if ordered is None:
        return known
    now = progress(ordered, said, now_s, names.base(ordered.release))
    return {
        "order": ordered.counter,
        "action": _action(ordered.action),
        "release": names.of(ordered.manifest),
        "stage": now.stage,
        "verdict": now.verdict,
        "reason": now.reason,
        "done": now.done,
        "total": now.total,
        "issued": moment(ordered.issued_s),
        "expires": moment(ordered.expires_s),
        "actor": ordered.actor,
        **known,
    }


def update_text(found: Mapping[str, Any]) -> str:
    """`order 7, install air-1.4.0: downloading, 12 kB of 36 kB`."""
    if "order" not in found:
        return "-"
    wanted = f"{found['action']} {found['release'] or ''}".strip()
    text = f"order {found['order']}, {wanted}: {found['stage']}"
    if found["verdict"] == "open" and found["done"]:
        text += f", {human.size(found['done'])} of {human.size(found['total'])}"
    return f"{text}: {found['reason']}" if found["reason"] else text


def _ended(event: "EventView", names: _Names) -> dict[str, Any]:
    from fleet.tail import refusal, stage_name

    counter, stage, code, words, manifest = (event.attrs.get(key) for key in range(1, 6))
    known = manifest if isinstance(manifest, bytes) else b""
    return {
        "time": moment(event.t_s if event.tq else event.received_ms // 1000),
        "order": counter,
        "stage": stage_name(stage) if isinstance(stage, int) else None,
        "release": names.of(known),
        "reason": refusal(code if isinstance(code, int) else 0, words if isinstance(words, str) else ""),
        "code": code,
        "manifest": known,
    }
