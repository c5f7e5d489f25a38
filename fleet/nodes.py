"""Use cases about nodes: selecting them, showing where each stands, naming where they are."""

import difflib
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace

from fleet import selection
from fleet.errors import UsageError
from fleet.model import Kind, Node, Standing
from fleet.store import Store
from fleet.store.nodes import NodeView
from protocol import messages

PRESENCE = ("online", "offline", "unknown", "never")  # of nodes that are trusted, in the order of reports
MAX_TAGS = 32
MAX_TAG = 128  # characters of a value
_TAG_NAME = re.compile(r"[a-z][a-z0-9_.-]{0,31}")


TRUSTED = frozenset({Standing.ACCEPTED})
PRESENT = frozenset({Standing.ACCEPTED, Standing.PENDING})
EVERY = frozenset(Standing)


def select(
    store: Store, ids: Iterable[str], where: str, now_s: int, standings: Collection[Standing] = TRUSTED
) -> list[NodeView]:
    """The nodes that are named and fit, by id; when none is named, all of these standings that fit.

    NotFoundError for an id that does not exist; SelectionError for a wrong expression or an attribute no node has.
    """
    wanted = set(ids)
    if wanted and not where:
        return [store.nodes.view(node) for node in sorted(wanted)]
    views = store.nodes.views()
    for missing in sorted(wanted.difference(view.node.id for view in views)):
        store.nodes.view(missing)  # raises NotFoundError, with the ids that look like it
    fits = fitting(where, views, now_s) if where else lambda view: True
    return [
        view
        for view in views
        if (view.node.id in wanted or (not wanted and view.node.standing in standings)) and fits(view)
    ]


def fitting(where: str, views: Collection[NodeView], now_s: int) -> Callable[[NodeView], bool]:
    """Whether one of these nodes fits `where`; SelectionError as `select` says."""
    chosen = selection.parse(where)
    _refuse_unknown(chosen, where, RESERVED.union(*(view.node.tags for view in views)))
    return lambda view: selection.matches(chosen, attributes(view, now_s))


def attributes(view: NodeView, now_s: int) -> dict[str, selection.Value]:
    """What `--where` can name: tags, what the node reported, and `seen`, the seconds since it was last heard."""
    seen = None if view.last_seen_ms is None else max(0, now_s - view.last_seen_ms // 1000)
    return {**view.attributes(), "seen": seen}


RESERVED = frozenset(attributes(NodeView(Node("", Kind.AIR, ""), None, None, 0), 0))  # names that no tag can have


def presence(view: NodeView, service_runs: bool) -> str:
    """ "online", "offline", "never" (not heard of yet), "pending" (not accepted yet) or "retired"; "unknown" while no
    service listens."""
    if view.node.standing is not Standing.ACCEPTED:
        return view.node.standing.value
    if view.state is None:
        return "never"
    if not service_runs:
        return "unknown"
    return "online" if view.state.online else "offline"


def config_status(view: NodeView) -> str:
    """ "default", "pending", "applied" or "refused": how far the desired configuration got."""
    if view.config_rev == 0:
        return "default"
    if view.state is None or view.state.config_desired < view.config_rev:
        return "pending"
    if view.state.config_applied == view.config_rev:
        return "applied"
    return "refused" if view.state.config_error != messages.E_NONE else "pending"


def tag(store: Store, node: str, changes: Mapping[str, str | None], dry_run: bool = False) -> Node:
    """Give a node tags, or take away those whose value is None; returns the node as it is then."""
    for name, value in changes.items():
        if value is not None:
            check_tag(name, value)

    def changed(tags: Mapping[str, str]) -> Mapping[str, str]:
        found = {name: value for name, value in {**tags, **changes}.items() if value is not None}
        if len(found) > MAX_TAGS:
            raise UsageError(f"{node} would have {len(found)} tags", hint=f"{MAX_TAGS} are the most")
        return dict(sorted(found.items()))

    if dry_run:
        before = store.nodes.get(node)
        return replace(before, tags=changed(before.tags))
    return store.nodes.set_tags(node, changed)


def check_tag(name: str, value: str) -> None:
    """Refuse what cannot be a tag or its value: UsageError."""
    if not _TAG_NAME.fullmatch(name):
        raise UsageError(f"{name!r} is not the name of a tag", hint="up to 32 of a-z, 0-9, _, . and -, like site=mitte")
    if name in RESERVED:
        raise UsageError(f"{name} is not a tag", cause="the node reports it itself", hint="choose another name")
    if not value or len(value) > MAX_TAG or not value.isprintable():
        raise UsageError(
            f"{value!r} is not a value for the tag {name}",
            hint=f"1 to {MAX_TAG} printable characters, or `unset {name}`",
        )


def _refuse_unknown(chosen: selection.Selection, where: str, names: Collection[str]) -> None:
    for comparison in selection.comparisons(chosen):
        if comparison.name not in names:
            near = difflib.get_close_matches(comparison.name, sorted(names), 1)
            also = f"; did you mean {near[0]}?" if near else ""
            raise selection.SelectionError(where, comparison.at, f"no node has {comparison.name!r}{also}")
