"""A fleet on paper: rows of a database as nodes would have left them, for what only reads the database."""

import time
from collections.abc import Iterable
from typing import Any

from sqlalchemy import insert

from fleet.config import Config
from fleet.model import Kind, Node
from fleet.store import dialect, schema
from fleet.store.nodes import columns_of
from protocol import manifest
from protocol.update import IDLE
from tools.swarm.fleet import BOARDS, FIRST, Seat, program

_AT_ONCE = 5000


def write(config: Config, seats: Iterable[Seat]) -> int:
    """Add accepted nodes that are online, run the first program, and trust root 1; how many. They have no keys."""
    now_s = int(time.time())
    runs = {kind: manifest.digest(manifest.build(FIRST, program(kind, FIRST)).encode()) for kind in Kind}
    rows = [(key, seat) for key, seat in enumerate(seats, start=1)]
    engine = dialect.engine(config.store_url)
    for at in range(0, len(rows), _AT_ONCE):
        part = rows[at : at + _AT_ONCE]
        with dialect.writing(engine) as connection:
            connection.execute(insert(schema.node), [_node(key, seat, now_s) for key, seat in part])
            connection.execute(insert(schema.node_state), [_state(key, runs[seat.kind], now_s) for key, seat in part])
            connection.execute(insert(schema.node_update), [_update(key, now_s) for key, _ in part])
    engine.dispose()
    return len(rows)


def _node(key: int, seat: Seat, now_s: int) -> dict[str, Any]:
    node = Node(id=seat.node, kind=seat.kind, board=BOARDS[seat.kind], added_s=now_s, tags=seat.tags)
    return {**columns_of(node), "key": key, "last_seen_ms": now_s * 1000}


def _state(key: int, runs: bytes, now_s: int) -> dict[str, Any]:
    return {
        "node": key,
        "online": True,
        "received_ms": now_s * 1000,
        "boot": 1,
        "firmware": FIRST,
        "slot": "a",
        "config_desired": 0,
        "config_applied": 0,
        "config_error": 0,
        "config_path": "",
        "safe_mode": False,
        "health": {},
        "manifest": runs,
    }


def _update(key: int, now_s: int) -> dict[str, Any]:
    numbers = dict.fromkeys(("counter", "done", "total", "code", "floor", "seen", "t_s"), 0)
    blank = {"text": "", "release": b"", "manifest": b"", "spare": b""}
    return {"node": key, "received_ms": now_s * 1000, "boot": 1, "stage": IDLE, "root": 1, **numbers, **blank}
