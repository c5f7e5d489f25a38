"""Nodes: who was provisioned, and what each said last about itself."""

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, Row, Select, insert, select, update

from fleet.errors import NotAllowedError, NotFoundError
from fleet.model import Kind, Node, NodeState, Standing
from fleet.store import schema
from fleet.store.dialect import reading, writing

_NODE = schema.node.c
_STATE = schema.node_state.c


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
            connection.execute(insert(schema.node).values(**_columns(node)))

    def replace(self, node: Node) -> None:
        """Keep new values of a node that exists: tags, certificate, standing."""
        with writing(self._engine) as connection:
            key = key_of(connection, node.id)
            connection.execute(update(schema.node).where(_NODE.key == key).values(**_columns(node)))

    def get(self, node: str) -> Node:
        """The node with that id."""
        return self.view(node).node

    def all(self) -> list[Node]:
        """Every node, retired ones too, by id."""
        with reading(self._engine) as connection:
            return [_node(row) for row in connection.execute(select(schema.node).order_by(_NODE.id))]

    def view(self, node: str) -> NodeView:
        """The node with that id and what is known about it."""
        with reading(self._engine) as connection:
            key = key_of(connection, node)
            return _view(connection.execute(_views().where(_NODE.key == key)).one())

    def views(self) -> list[NodeView]:
        """Every node and what is known about it, by id."""
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
    if nodes is not None:
        return {key_of(connection, node): node for node in nodes}
    return {row.key: row.id for row in connection.execute(select(_NODE.key, _NODE.id).order_by(_NODE.id))}


def _columns(node: Node) -> dict[str, Any]:
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


def _node(row: Row[Any]) -> Node:
    return Node(
        id=row.id,
        kind=Kind(row.kind),
        board=row.board,
        standing=Standing(row.standing),
        cert_serial=int(row.cert_serial),
        cert_sha256=row.cert_sha256,
        cert_until_s=row.cert_until_s,
        boot0=row.boot0,
        added_s=row.added_s,
        retired_s=row.retired_s,
        tags=row.tags,
    )


def _views() -> Select[Any]:
    state = [column.label(f"state_{column.name}") for column in schema.node_state.c if column.name != "node"]
    joined = schema.node.outerjoin(schema.node_state, _STATE.node == _NODE.key)
    joined = joined.outerjoin(schema.node_config, schema.node_config.c.node == _NODE.key)
    return select(schema.node, schema.node_config.c.rev, *state).select_from(joined)


def _view(row: Row[Any]) -> NodeView:
    found = row._asdict()
    state = {key.removeprefix("state_"): value for key, value in found.items() if key.startswith("state_")}
    known = state["received_ms"] is not None
    return NodeView(
        node=_node(row),
        state=NodeState(node=row.id, **state) if known else None,
        last_seen_ms=row.last_seen_ms,
        config_rev=row.rev or 0,
    )
