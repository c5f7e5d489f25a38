"""Claims: which boards proved a ticket, and for which node. One row per chip; its node stands in `node`."""

from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, delete, func, insert, or_, select, update

from fleet.errors import NotAllowedError, NotFoundError
from fleet.model import Claimed, Node, Standing
from fleet.store import schema
from fleet.store.dialect import reading, writing
from fleet.store.nodes import columns_of, key_of

_CLAIM = schema.claim.c
_NODE = schema.node.c
_OWN = tuple(_CLAIM[field.name] for field in fields(Claimed) if field.name not in ("mac", "node"))
_JOINED = schema.claim.join(schema.node, _NODE.key == _CLAIM.node)


class Claims:
    """Queries about claims."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def of(self, mac: str) -> Claimed | None:
        """The claim of that chip, or None."""
        with reading(self._engine) as connection:
            return _claim(connection, _CLAIM.mac == mac)

    def find(self, name: str) -> Claimed:
        """The claim of that chip or node; NotFoundError."""
        mac = name.lower().replace(":", "").replace("-", "")
        with reading(self._engine) as connection:
            found = _claim(connection, or_(_NODE.id == name, _CLAIM.mac == mac))
            if found is None:
                key_of(connection, name)  # raises, and says what is like it
                raise NotFoundError(f"{name} never claimed", hint="fleet node list --where standing=pending")
        return found

    def waiting(self, batch: str) -> int:
        """Boards of that batch that nobody has accepted."""
        pending = (_CLAIM.batch == batch) & (_NODE.standing == Standing.PENDING.value)
        with reading(self._engine) as connection:
            return int(connection.scalar(select(func.count()).select_from(_JOINED).where(pending)) or 0)

    def enter(self, claim: Claimed, node: Node) -> Node:
        """Keep a claim and its new node, in the place of an older claim of that chip.

        An id that was ever used gets a number behind it, so the node that comes back may have another one."""
        with writing(self._engine) as connection:
            kept = replace(node, id=_free(connection, node.id))
            connection.execute(insert(schema.node).values(**columns_of(kept)))
            key = key_of(connection, kept.id)
            connection.execute(delete(schema.claim).where(_CLAIM.mac == claim.mac))
            connection.execute(insert(schema.claim).values(mac=claim.mac, node=key, **_values(claim)))
        return kept

    def change(self, mac: str, change: Callable[[Claimed], Claimed]) -> None:
        """Keep what `change` makes of a claim, all but chip and node; nobody else changes it meanwhile."""
        with writing(self._engine) as connection:
            found = _claim(connection, _CLAIM.mac == mac)
            if found is None:
                raise NotFoundError(f"no claim of {mac}")
            connection.execute(update(schema.claim).where(_CLAIM.mac == mac).values(**_values(change(found))))

    def accept(self, claim: Claimed, name: str, now_s: int, actor: str) -> None:
        """Trust the node of a claim, under the id `name`; NotAllowedError when it waits no more or the id was used."""
        with writing(self._engine) as connection:
            if name != claim.node and connection.scalar(select(_NODE.key).where(_NODE.id == name)) is not None:
                raise NotAllowedError(
                    f"there is a node {name} already", hint="choose another id: ids are never used again"
                )
            pending = (_NODE.id == claim.node) & (_NODE.standing == Standing.PENDING.value)
            trusted = {"id": name, "standing": Standing.ACCEPTED.value}
            if not connection.execute(update(schema.node).where(pending).values(**trusted)).rowcount:
                raise NotAllowedError(f"{claim.node} does not wait to be accepted", hint="`fleet node list` shows all")
            accepted = {"accepted_s": now_s, "accepted_by": actor}
            connection.execute(update(schema.claim).where(_CLAIM.mac == claim.mac).values(**accepted))


def _claim(connection: Connection, where: ColumnElement[bool]) -> Claimed | None:
    row = connection.execute(select(_CLAIM.mac, _NODE.id, *_OWN).select_from(_JOINED).where(where)).first()
    return None if row is None else Claimed(*row)


def _values(claim: Claimed) -> dict[str, Any]:
    return {column.name: getattr(claim, column.name) for column in _OWN}


def _free(connection: Connection, name: str) -> str:
    """`name`, or with a number behind it when it was ever used."""
    count, found = 1, name
    while connection.scalar(select(_NODE.key).where(_NODE.id == found)) is not None:
        count += 1
        end = f"-{count}"
        found = name[: 32 - len(end)] + end
    return found
