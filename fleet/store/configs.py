"""The configuration that each node shall have. Delivering it is `fleet.deliver`'s task."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, Row, insert, or_, select, update

from fleet.errors import NotAllowedError
from fleet.model import DesiredConfig, Standing
from fleet.store import schema
from fleet.store.dialect import reading, writing
from fleet.store.nodes import key_of

_CONFIG = schema.node_config.c
_NODE = schema.node.c
_STATE = schema.node_state.c
_REV_MAX = 1 << 31  # room for as many more, whatever a node says


@dataclass(frozen=True, slots=True)
class Undelivered:
    """A configuration that its node has not confirmed to hold."""

    config: DesiredConfig
    sent_rev: int  # the newest revision that the broker took, 0 = none
    sent_ms: int
    online: bool
    said_ms: int  # when the node said so; 0 = it never said anything


class Configs:
    """Queries about desired configurations."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def get(self, node: str) -> DesiredConfig | None:
        """What the node shall have, or None while nobody wanted anything but the defaults."""
        with reading(self._engine) as connection:
            key = key_of(connection, node)
            row = connection.execute(
                select(schema.node_config, _NODE.id)
                .join(schema.node, _NODE.key == _CONFIG.node)
                .where(_NODE.key == key)
            ).one_or_none()
        return None if row is None else _config(row)

    def set(
        self, node: str, values: Mapping[int, Any], issued_s: int, probation_s: int = 600, after: int | None = None
    ) -> DesiredConfig:
        """Make `values` the whole desired configuration, as the next revision. The caller has checked the values.

        NotAllowedError when `after` is given and is not the revision that they shall follow.
        """
        with writing(self._engine) as connection:
            key = key_of(connection, node)
            before = connection.scalar(select(_CONFIG.rev).where(_CONFIG.node == key))
            if after is not None and after != (before or 0):
                raise NotAllowedError(
                    f"somebody else has just changed the configuration of {node}", hint="look at it, then try again"
                )
            rev = max(before or 0, _claimed(connection, key)) + 1
            columns = {
                "rev": rev,
                "values": {str(setting): value for setting, value in sorted(values.items())},
                "issued_s": issued_s,
                "probation_s": probation_s,
            }
            if before is None:
                connection.execute(insert(schema.node_config).values(node=key, sent_rev=0, sent_ms=0, **columns))
            else:
                connection.execute(update(schema.node_config).where(_CONFIG.node == key).values(**columns))
        return DesiredConfig(node, rev, dict(values), issued_s, probation_s)

    def undelivered(self) -> list[Undelivered]:
        """Every configuration whose newest revision the broker or the node has not got yet."""
        joined = schema.node_config.join(schema.node, _NODE.key == _CONFIG.node)
        joined = joined.outerjoin(schema.node_state, _STATE.node == _CONFIG.node)
        behind = or_(_CONFIG.sent_rev < _CONFIG.rev, _STATE.config_desired < _CONFIG.rev)
        query = select(schema.node_config, _NODE.id, _STATE.online, _STATE.received_ms).select_from(joined)
        with reading(self._engine) as connection:
            rows = connection.execute(query.where(_NODE.standing == Standing.ACCEPTED.value, behind)).all()
        return [
            Undelivered(_config(row), row.sent_rev, row.sent_ms, bool(row.online), row.received_ms or 0) for row in rows
        ]

    def sent(self, node: str, rev: int, at_ms: int) -> None:
        """The broker took revision `rev` of that node's configuration."""
        with writing(self._engine) as connection:
            key = key_of(connection, node)
            connection.execute(
                update(schema.node_config).where(_CONFIG.node == key).values(sent_rev=rev, sent_ms=at_ms)
            )


def _claimed(connection: Connection, key: int) -> int:
    """The revision that a node says it was given: a restored backup may know earlier ones only, which it ignores."""
    said = connection.scalar(select(_STATE.config_desired).where(_STATE.node == key))
    return min(said or 0, _REV_MAX)


def _config(row: Row[Any]) -> DesiredConfig:
    values = {int(setting): value for setting, value in row._mapping["values"].items()}
    return DesiredConfig(row.id, row.rev, values, row.issued_s, row.probation_s)
