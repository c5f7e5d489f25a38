"""What the nodes made against what the store holds: the two ends count for themselves, nobody between is asked."""

import json
import sqlite3
from collections import Counter
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

Entry = tuple[str, int, int]  # node, boot, seq

_ENTRIES = """SELECT id, boot, seq FROM record JOIN node ON node.key = record.node
    UNION ALL SELECT id, boot, seq FROM event JOIN node ON node.key = event.node"""
_RECORDS = "SELECT id, count(*) FROM record JOIN node ON node.key = record.node GROUP BY id"
_UNDATED = "SELECT count(*) FROM record WHERE tq < 2"  # TQ_UPTIME, TQ_BOUND
_REFUSED = "SELECT coalesce(sum(count), 0) FROM dead_letter"
_FIGURES = "SELECT figures FROM service_stat ORDER BY t_ms DESC LIMIT 1"


@dataclass(frozen=True)
class Account:
    """The comparison at one moment."""

    records: Mapping[str, int]  # stored, by node
    lost: frozenset[Entry]  # made and not stored
    duplicates: int  # rows of the store beyond one for each identity
    strangers: frozenset[Entry]  # stored, and in no node's ledger: a node was killed between outbox and ledger
    refused: int  # messages set aside with a reason
    redelivered: int  # entries that came again and were recognised, since the service started
    undated: int  # records of which only the latest possible time is known

    @property
    def clean(self) -> bool:
        """Nothing lost, nothing twice, nothing refused."""
        return not self.lost and not self.duplicates and not self.refused


def take(database: Path, made: set[Entry]) -> Account:
    """Compare the store with the entries that nodes made."""
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as store:
        stored = Counter(store.execute(_ENTRIES).fetchall())
        records = dict(store.execute(_RECORDS).fetchall())
        undated = store.execute(_UNDATED).fetchone()[0]
        refused = store.execute(_REFUSED).fetchone()[0]
        figures = store.execute(_FIGURES).fetchone()
    return Account(
        records=records,
        lost=frozenset(made - stored.keys()),
        duplicates=stored.total() - len(stored),
        strangers=frozenset(stored.keys() - made),
        refused=refused,
        redelivered=json.loads(figures[0]).get("duplicates", 0) if figures else 0,
        undated=undated,
    )
