"""Nodes: who was provisioned, and what each said last about itself."""

import difflib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, Row, Select, Text, insert, select, type_coerce, update

from fleet.errors import NotAllowedError, NotFoundError
from fleet.model import Kind, Node, NodeState, Standing
from fleet.store import schema
from fleet.store.dialect import reading, writing

_NODE = schema.node.c
_STATE = schema.node_state.c
_CONFIG = schema.node_config.c
# In the order of the fields of Node and NodeState, so that a row becomes one of them without looking for names.
_NODE_COLUMNS = (
    *(_NODE[field.name] for field in fields(Node) if field.name != "tags"),
    type_coerce(_NODE.tags, Text),  # JSON that is the same for many nodes: see _tags
)
_SAID_COLUMNS = tuple(_STATE[field.name] for field in fields(NodeState) if field.name not in ("node", "health"))
_KINDS = {kind.value: kind for kind in Kind}
_STANDINGS = {standing.value: standing for standing in Standing}
_TAGS_KEPT = 4096
FEW = 100  # more nodes than this are not named in a query of what has many rows a node: those are picked out
NAMED = 2000  # the same of what has one row a node


@dataclass(frozen=True, slots=True)
class NodeView:
    """A node with everything a list of nodes shows."""

    node: Node
    state: NodeState | None
    last_seen_ms: int | None
    config_rev: int  # desired; 0 = the defaults

    def attributes(self) -> dict[str, str | int | bool | None]:
        """What `--where` can name: tags, and over them the fields below."""
        state = self.state
        return {
            **self.node.tags,
            "id": self.node.id,
            "kind": self.node.kind.value,
            "board": self.node.board,
            "standing": self.node.standing.value,
            "online": state is not None and state.online,
            "version": state.firmware if state else None,
            "slot": state.slot if state else None,
            "boot": state.boot if state else None,
            "safe_mode": state.safe_mode if state else None,
            "config_rev": self.config_rev,
            "config_applied": state.config_applied if state else None,
            "config_error": state.config_error if state else None,
        }


class Nodes:
    """Queries about nodes."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def add(self, node: Node) -> None:
        """Keep a new node; NotAllowedError when its id was ever used."""
        with writing(self._engine) as connection:
            if connection.scalar(select(_NODE.key).where(_NODE.id == node.id)) is not None:
                raise NotAllowedError(
                    f"there is a node {node.id} already", hint="choose another id: ids are never used again"
                )
            connection.execute(insert(schema.node).values(**columns_of(node)))

    def replace(self, node: Node) -> None:
        """Keep new values of a node that exists: certificate, standing, board. Its tags are `set_tags`'s."""
        values = columns_of(node)
        del values["tags"]
        with writing(self._engine) as connection:
            key = key_of(connection, node.id)
            connection.execute(update(schema.node).where(_NODE.key == key).values(**values))

    def set_tags(self, node: str, change: Callable[[Mapping[str, str]], Mapping[str, str]]) -> Node:
        """Give a node the tags that `change` makes of those it has; nobody else changes them meanwhile."""
        with writing(self._engine) as connection:
            key = key_of(connection, node)
            found = _node(tuple(connection.execute(select(*_NODE_COLUMNS).where(_NODE.key == key)).one()))
            changed = replace(found, tags=dict(change(found.tags)))
            connection.execute(update(schema.node).where(_NODE.key == key).values(tags=changed.tags))
        return changed

    def get(self, node: str) -> Node:
        """The node with that id."""
        return self.view(node).node

    def boot0(self, node: str) -> int:
        """Its `boot0` alone, which is asked for with each proof; NotFoundError."""
        with reading(self._engine) as connection:
            found = connection.scalar(select(_NODE.boot0).where(_NODE.id == node))
            return int(found) if found is not None else self.get(node).boot0

    def all(self) -> list[Node]:
        """Every node, retired ones too, by id."""
        with reading(self._engine) as connection:
            return [_node(row) for row in connection.execute(select(*_NODE_COLUMNS).order_by(_NODE.id))]

    def view(self, node: str) -> NodeView:
        """The node with that id and what is known about it."""
        with reading(self._engine) as connection:
            key = key_of(connection, node)
            return _view(connection.execute(_views(_STATE.health).where(_NODE.key == key)).one())

    def views(self) -> list[NodeView]:
        """Every node and what is known about it but its health, by id."""
        with reading(self._engine) as connection:
            return [_view(row) for row in connection.execute(_views().order_by(_NODE.id))]

    def keys(self) -> dict[str, int]:
        """{id: integer key} of every node, for the writer of the hot path."""
        with reading(self._engine) as connection:
            return {row.id: row.key for row in connection.execute(select(_NODE.id, _NODE.key))}


def key_of(connection: Connection, node: str) -> int:
    """The integer key of a node id; NotFoundError names ids that look like it."""
    key = connection.scalar(select(_NODE.key).where(_NODE.id == node))
    if key is not None:
        return int(key)
    near = difflib.get_close_matches(node, connection.scalars(select(_NODE.id)).all(), 3)
    raise NotFoundError(
        f"no node {node}", hint=f"did you mean {' or '.join(near)}?" if near else "`fleet node list` shows every node"
    )


def keys_of(connection: Connection, nodes: Iterable[str] | None) -> dict[int, str]:
    """{integer key: id} of some nodes, or of all; NotFoundError when one does not exist."""
    wanted = None if nodes is None else list(nodes)
    query = select(_NODE.id, _NODE.key).order_by(_NODE.id)
    if wanted is not None and len(wanted) <= NAMED:
        query = query.where(_NODE.id.in_(wanted))
    every: dict[str, int] = {row.id: row.key for row in connection.execute(query)}
    for missing in () if wanted is None else set(wanted) - every.keys():
        key_of(connection, missing)  # raises, and says what is like it
    return {every[node]: node for node in (every if wanted is None else wanted)}


def columns_of(node: Node) -> dict[str, Any]:
    """The row of a node, without its key."""
    return {
        "id": node.id,
        "kind": node.kind.value,
        "board": node.board,
        "standing": node.standing.value,
        "cert_serial": str(node.cert_serial),
        "cert_sha256": node.cert_sha256,
        "cert_until_s": node.cert_until_s,
        "boot0": node.boot0,
        "added_s": node.added_s,
        "retired_s": node.retired_s,
        "tags": dict(node.tags),
    }


def _node(values: Sequence[Any]) -> Node:
    """A node from the values of _NODE_COLUMNS."""
    name, kind, board, standing, serial, sha256, until_s, boot0, added_s, retired_s, tags = values
    life = boot0, added_s, retired_s
    return Node(name, _KINDS[kind], board, _STANDINGS[standing], int(serial), sha256, until_s, *life, _tags(tags))


@lru_cache(_TAGS_KEPT)
def _tags(text: str) -> Mapping[str, str]:
    """Tags from their JSON; nobody changes what several nodes share."""
    found: dict[str, str] = json.loads(text)
    return found


def _views(*more: ColumnElement[Any]) -> Select[Any]:
    joined = schema.node.outerjoin(schema.node_state, _STATE.node == _NODE.key)
    joined = joined.outerjoin(schema.node_config, _CONFIG.node == _NODE.key)
    return select(_NODE.last_seen_ms, _CONFIG.rev, *_NODE_COLUMNS, *_SAID_COLUMNS, *more).select_from(joined)


def _view(row: Row[Any]) -> NodeView:
    """By position: a list of 100 000 nodes is made of these."""
    values = tuple(row)
    said = values[2 + len(_NODE_COLUMNS) :]
    node = _node(values[2 : 2 + len(_NODE_COLUMNS)])
    return NodeView(node, None if said[0] is None else NodeState(node.id, *said), values[0], values[1] or 0)
