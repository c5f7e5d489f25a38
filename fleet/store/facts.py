"""What is known of nodes, as rollouts need it: one row per node, read all at once or those that spoke lately."""

from collections.abc import Iterable
from typing import Any, NamedTuple

from sqlalchemy import Engine, Select, Text, or_, select, type_coerce

from fleet.store import schema
from fleet.store.dialect import reading
from fleet.store.nodes import NAMED, keys_of

_NODE = schema.node.c
_STATE = schema.node_state.c
_UPDATE = schema.node_update.c
_CAMPAIGN = schema.campaign.c
_CONFIG = schema.node_config.c


class Fact(NamedTuple):
    """A node: what it said last, and the newest order to it. What nobody ever said or ordered is None."""

    node: str
    kind: str
    standing: str
    last_seen_ms: int | None
    online: bool | None
    manifest: bytes | None  # of the program that runs
    config_desired: int | None  # the newest revision that it was given
    config_applied: int | None
    config_error: int | None
    config_path: str | None
    counter: int | None  # of the order that it speaks of
    stage: int | None
    code: int | None
    text: str | None
    seen: int | None  # the greatest counter that it did not refuse
    proved_nonce: bytes | None
    proved_manifest: bytes | None
    proved_base: bytes | None
    ordered: int | None  # counter of the newest order
    action: int | None
    nonce: bytes | None
    wanted: bytes | None  # manifest that shall run by that order
    expires_s: int | None
    rev: int | None  # of the configuration that it shall have
    settings: str | None  # the same, as JSON


class Facts:
    """Queries about what is known of nodes."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def all(self) -> list[Fact]:
        """Every node."""
        with reading(self._engine) as connection:
            return list(map(Fact._make, connection.execute(_facts()).all()))

    def of(self, nodes: Iterable[str]) -> list[Fact]:
        """Some nodes; NotFoundError when one does not exist."""
        with reading(self._engine) as connection:
            names = keys_of(connection, dict.fromkeys(nodes))
            if len(names) <= NAMED:
                return list(map(Fact._make, connection.execute(_facts().where(_NODE.key.in_(names))).all()))
        wanted = set(names.values())
        return [fact for fact in self.all() if fact.node in wanted]

    def since(self, received_ms: int) -> list[Fact]:
        """Those whose State or Status arrived then or later, by two short looks into indexes."""
        spoke = or_(
            _NODE.key.in_(select(_STATE.node).where(_STATE.received_ms >= received_ms)),
            _NODE.key.in_(select(_UPDATE.node).where(_UPDATE.received_ms >= received_ms)),
        )
        with reading(self._engine) as connection:
            return list(map(Fact._make, connection.execute(_facts().where(spoke)).all()))


def _facts() -> Select[Any]:
    joined = schema.node.outerjoin(schema.node_state, _STATE.node == _NODE.key)
    joined = joined.outerjoin(schema.node_update, _UPDATE.node == _NODE.key)
    joined = joined.outerjoin(schema.campaign, _CAMPAIGN.node == _NODE.key)
    joined = joined.outerjoin(schema.node_config, _CONFIG.node == _NODE.key)
    said = _STATE.manifest, _STATE.config_desired, _STATE.config_applied, _STATE.config_error, _STATE.config_path
    told = _UPDATE.counter, _UPDATE.stage, _UPDATE.code, _UPDATE.text, _UPDATE.seen
    proved = _UPDATE.proved_nonce, _UPDATE.proved_manifest, _UPDATE.proved_base
    order = _CAMPAIGN.counter, _CAMPAIGN.action, _CAMPAIGN.nonce, _CAMPAIGN.manifest, _CAMPAIGN.expires_s
    config = _CONFIG.rev, type_coerce(_CONFIG["values"], Text)
    about = _NODE.id, _NODE.kind, _NODE.standing, _NODE.last_seen_ms, _STATE.online
    return select(*about, *said, *told, *proved, *order, *config).select_from(joined)
