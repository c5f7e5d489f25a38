"""Commands: orders to nodes, and how far each got."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine, Row, and_, insert, select, update

from fleet.errors import NotFoundError
from fleet.model import Standing
from fleet.store import schema
from fleet.store.dialect import reading, writing
from fleet.store.nodes import key_of
from protocol import cbor
from protocol.messages import EXPIRED

_COMMAND = schema.command.c
_NODE = schema.node.c
_STATE = schema.node_state.c
OPEN = 0  # the node has not answered yet; other values are Reply.status


@dataclass(frozen=True, slots=True)
class CommandView:
    """A command and how far it got. `id` is hex."""

    id: str
    node: str
    name: str
    args: Mapping[str, Any]
    issued_s: int
    expires_s: int  # 0 = never
    actor: str
    status: int
    code: int
    text: str
    result: Mapping[str, Any]
    replied_ms: int | None
    sent_ms: int | None
    sent: int


class Commands:
    """Queries about commands."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def add(
        self, ident: bytes, node: str, name: str, args: Mapping[str, Any], issued_s: int, expires_s: int, actor: str
    ) -> CommandView:
        """Keep a new command; the service sends it. `ident` is 8 to 16 random bytes."""
        with writing(self._engine) as connection:
            connection.execute(
                insert(schema.command).values(
                    id=ident.hex(),
                    node=key_of(connection, node),
                    name=name,
                    args=cbor.encode(dict(args)),
                    issued_s=issued_s,
                    expires_s=expires_s,
                    actor=actor,
                    status=OPEN,
                    code=0,
                    text="",
                    result=cbor.encode({}),
                    sent=0,
                )
            )
        return self.get(ident.hex())

    def get(self, ident: str) -> CommandView:
        """The command with that id."""
        query = select(schema.command, _NODE.id.label("of")).join(schema.node, _NODE.key == _COMMAND.node)
        with reading(self._engine) as connection:
            row = connection.execute(query.where(_COMMAND.id == ident)).one_or_none()
        if row is None:
            raise NotFoundError(f"no command {ident}", hint="`fleet node show` lists the commands of a node")
        return _view(row)

    def of(self, node: str, limit: int = 100) -> list[CommandView]:
        """The newest commands of a node, newest first."""
        query = select(schema.command, _NODE.id.label("of")).join(schema.node, _NODE.key == _COMMAND.node)
        with reading(self._engine) as connection:
            key = key_of(connection, node)
            query = query.where(_COMMAND.node == key).order_by(_COMMAND.issued_s.desc(), _COMMAND.id).limit(limit)
            return [_view(row) for row in connection.execute(query)]

    def unanswered(self) -> list[CommandView]:
        """Open commands of nodes that are online, oldest first. Sorted here: SQL would walk all there ever were."""
        joined = schema.command.join(schema.node, _NODE.key == _COMMAND.node)
        joined = joined.join(schema.node_state, _STATE.node == _COMMAND.node)
        query = select(schema.command, _NODE.id.label("of")).select_from(joined)
        query = query.where(_COMMAND.status == OPEN, _STATE.online, _NODE.standing == Standing.ACCEPTED.value)
        with reading(self._engine) as connection:
            found = [_view(row) for row in connection.execute(query)]
        return sorted(found, key=lambda command: (command.issued_s, command.id))

    def sent(self, ident: str, at_ms: int) -> None:
        """The broker took the command (again)."""
        with writing(self._engine) as connection:
            connection.execute(
                update(schema.command).where(_COMMAND.id == ident).values(sent_ms=at_ms, sent=_COMMAND.sent + 1)
            )

    def expire(self, now_s: int) -> int:
        """Close what nobody answered in time; how many."""
        over = and_(_COMMAND.status == OPEN, _COMMAND.expires_s > 0, _COMMAND.expires_s < now_s)
        with reading(self._engine) as connection:
            if connection.scalar(select(_COMMAND.id).where(over).limit(1)) is None:
                return 0
        change = update(schema.command).where(over).values(status=EXPIRED, text="no answer before it expired")
        with writing(self._engine) as connection:
            return connection.execute(change).rowcount


def _view(row: Row[Any]) -> CommandView:
    found = dict(row._mapping)
    found["node"] = found.pop("of")
    found["args"] = cbor.decode(found["args"])
    found["result"] = cbor.decode(found["result"])
    return CommandView(**found)
