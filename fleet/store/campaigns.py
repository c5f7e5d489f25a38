"""Orders to nodes about their programs, and how far each got. Delivering them is `fleet.deliver`'s task."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from sqlalchemy import Connection, Engine, and_, bindparam, delete, func, insert, or_, select, update

from fleet.errors import ConflictError
from fleet.model import NodeUpdate, Ordered, Proved, Standing
from fleet.store import audit, schema
from fleet.store.audit import Act
from fleet.store.dialect import reading, writing
from fleet.store.nodes import NAMED, keys_of

_CAMPAIGN = schema.campaign.c
_UPDATE = schema.node_update.c
_NODE = schema.node.c
_STATE = schema.node_state.c
_ORDERED = tuple(_CAMPAIGN[field.name] for field in fields(Ordered) if field.name != "node")
_SAID = tuple(_UPDATE[field.name] for field in fields(NodeUpdate) if field.name not in ("node", "proved"))
_PROVED = tuple(_UPDATE["proved_" + field.name.removeprefix("at_")] for field in fields(Proved))
_COUNTER_MAX = 1 << 31  # room for as many more, whatever a node says


@dataclass(frozen=True, slots=True)
class Undelivered:
    """A campaign of which its node has not spoken yet."""

    order: Ordered
    sent_counter: int  # the newest that the broker took, 0 = none
    sent_ms: int
    sent: int  # how often
    online: bool


class Campaigns:
    """Queries about campaigns and updates."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def orders(self, nodes: Iterable[str] | None = None) -> dict[str, Ordered]:
        """{node: the newest order} of some nodes, or of all, that have one."""
        with reading(self._engine) as connection:
            names = keys_of(connection, nodes)
            query = select(_CAMPAIGN.node, *_ORDERED)
            if len(names) <= NAMED:
                query = query.where(_CAMPAIGN.node.in_(names))
            rows = map(tuple, connection.execute(query))
            return {names[row[0]]: Ordered(names[row[0]], *row[1:]) for row in rows if row[0] in names}

    def updates(self, nodes: Iterable[str] | None = None) -> dict[str, NodeUpdate]:
        """{node: what it last said of its update} of some nodes, or of all, that ever did."""
        with reading(self._engine) as connection:
            names = keys_of(connection, nodes)
            query = select(_UPDATE.node, *_SAID, *_PROVED)
            if len(names) <= NAMED:
                query = query.where(_UPDATE.node.in_(names))
            rows = map(tuple, connection.execute(query))
            return {names[row[0]]: _update(names[row[0]], row[1:]) for row in rows if row[0] in names}

    def next_counters(self, nodes: Sequence[str]) -> dict[str, int]:
        """{node: the counter of its next order}: above every one that was stored here or that the node has seen.

        A restored backup may know earlier orders only, which the node ignores."""
        ordered, said = self.orders(nodes), self.updates(nodes)
        found = {}
        for node in nodes:
            stored = ordered[node].counter if node in ordered else 0
            seen = said[node].seen if node in said else 0
            found[node] = max(stored, min(seen, _COUNTER_MAX)) + 1
        return found

    def set(self, orders: Sequence[Ordered], acts: Iterable[Act] = ()) -> None:
        """Make each the newest order to its node, all or none; `acts` go into the audit log with them.

        ConflictError when one has a counter that is not above that of the order before: somebody else was faster."""
        with writing(self._engine) as connection:
            keys = {node: key for key, node in keys_of(connection, {one.node for one in orders}).items()}
            write(connection, keys, orders)
            audit.append(connection, *acts)

    def undelivered(self, now_s: int) -> list[Undelivered]:
        """Every campaign that is in force and that the broker or the node has not got yet."""
        joined = schema.campaign.join(schema.node, _NODE.key == _CAMPAIGN.node)
        joined = joined.outerjoin(schema.node_update, _UPDATE.node == _CAMPAIGN.node)
        joined = joined.outerjoin(schema.node_state, _STATE.node == _CAMPAIGN.node)
        delivery = _CAMPAIGN.sent_counter, _CAMPAIGN.sent_ms, _CAMPAIGN.sent, _STATE.online
        seen, spoken_of = func.coalesce(_UPDATE.seen, 0), func.coalesce(_UPDATE.counter, 0)
        unheard = and_(seen < _CAMPAIGN.counter, spoken_of != _CAMPAIGN.counter)  # nor refused
        behind = or_(_CAMPAIGN.sent_counter < _CAMPAIGN.counter, unheard)
        query = select(*delivery, _NODE.id, *_ORDERED).select_from(joined)
        query = query.where(_NODE.standing == Standing.ACCEPTED.value, _CAMPAIGN.expires_s > now_s, behind)
        with reading(self._engine) as connection:
            rows = map(tuple, connection.execute(query))
            return [Undelivered(Ordered(*row[4:]), row[0], row[1], row[2], bool(row[3])) for row in rows]

    def sent(self, orders: Iterable[tuple[str, int, int]]) -> None:
        """The broker took these (again): (node, counter, when in ms)."""
        at = _CAMPAIGN.node == select(_NODE.key).where(_NODE.id == bindparam("of")).scalar_subquery()
        change = update(schema.campaign).where(at, _CAMPAIGN.counter == bindparam("taken"))
        change = change.values(sent_counter=bindparam("taken"), sent_ms=bindparam("at_ms"), sent=_CAMPAIGN.sent + 1)
        rows = [{"of": node, "taken": counter, "at_ms": at_ms} for node, counter, at_ms in orders]
        if rows:
            with writing(self._engine) as connection:
                connection.execute(change, rows)


def write(connection: Connection, keys: Mapping[str, int], orders: Sequence[Ordered]) -> None:
    """Make each the newest order to its node, within a transaction; `keys` has the keys of these nodes.

    ConflictError when one has a counter that is not above that of the order before.
    """
    if not orders:
        return
    found = {keys[order.node]: order for order in orders}
    query = select(_CAMPAIGN.node, _CAMPAIGN.counter)
    query = query.where(_CAMPAIGN.node.in_(found)) if len(found) <= NAMED else query
    for key, before in connection.execute(query):
        if key in found and found[key].counter <= before:
            raise ConflictError(f"somebody else has just ordered {found[key].node}", hint="look at it, then try again")
    connection.execute(delete(schema.campaign).where(_CAMPAIGN.node == bindparam("at")), [{"at": key} for key in found])
    rows = [{column.name: getattr(order, column.name) for column in _ORDERED} for order in found.values()]
    fresh = {"sent_counter": 0, "sent_ms": 0, "sent": 0}
    values = [{"node": key, **fresh, **row} for key, row in zip(found, rows, strict=True)]
    connection.execute(insert(schema.campaign), values)


def _update(node: str, values: Sequence[Any]) -> NodeUpdate:
    said, proved = values[: len(_SAID)], values[len(_SAID) :]
    found = NodeUpdate(node, *said)
    return found if proved[0] is None else replace(found, proved=Proved(*proved))
