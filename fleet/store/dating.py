"""Dating what a node recorded before it knew the time, once the begin of that boot is known (SPEC 5.4).

Until then `ts` is the latest the entry can have been and `tq` is 0; the entry's own bytes are never changed.
"""

import json
from collections.abc import Iterable

import cbor2

from fleet.store.dialect import Hot
from protocol.records import TQ_NTP_DAY

_UNDATED = {
    "record": "SELECT seq, ts, body FROM record WHERE node = ? AND boot = ? AND tq = 0",
    "event": "SELECT seq, ts, body FROM event WHERE node = ? AND boot = ? AND tq = 0",
}
_DATE = {
    "record": "UPDATE record SET ts = ?, tq = ? WHERE node = ? AND boot = ? AND seq = ?",
    "event": "UPDATE event SET ts = ?, tq = ? WHERE node = ? AND boot = ? AND seq = ?",
}
_ANCHOR = """INSERT INTO boot (node, boot, epoch_s, tq, pruned, pruned_seq) VALUES (?,?,?,?,0,-1)
    ON CONFLICT (node, boot) DO UPDATE SET epoch_s = excluded.epoch_s, tq = excluded.tq WHERE excluded.tq > boot.tq"""
_EPOCH = "SELECT epoch_s, tq FROM boot WHERE node = ? AND boot = ? AND epoch_s IS NOT NULL"
_DUE = "INSERT INTO rollup_due (hour, node) VALUES (?,?) ON CONFLICT DO NOTHING"
_NEWEST = """SELECT node, ts, boot, seq, tq, interval_s, body, received_ms FROM record WHERE node = ?
    ORDER BY ts DESC, boot DESC, seq DESC LIMIT 1"""


def anchor(link: Hot, node: int, boot: int, epoch_s: int, tq: int) -> None:
    """Keep when a boot began, unless that is known better already."""
    link.many(_ANCHOR, [(node, boot, epoch_s, min(tq, TQ_NTP_DAY))])


def date(link: Hot, boots: Iterable[tuple[int, int]]) -> None:
    """Date every undated entry of those (node, boot) whose begin is known."""
    for node, boot in boots:
        known = link.one(_EPOCH, (node, boot))
        if known is None:
            continue
        if _date(link, "record", node, boot, *known):
            refresh_latest(link, node)
        _date(link, "event", node, boot, *known)


def _date(link: Hot, table: str, node: int, boot: int, epoch_s: int, tq: int) -> int:
    changes = []
    due = set()
    for seq, ts, body in link.all(_UNDATED[table], (node, boot)):
        begin = epoch_s + cbor2.loads(body)[1]
        changes.append((begin, tq, node, boot, seq))
        due |= {(ts // 3600, node), (begin // 3600, node)}
    if changes:
        link.many(_DATE[table], changes)
        if table == "record":
            link.many(_DUE, due)
    return len(changes)


def refresh_latest(link: Hot, node: int) -> None:
    """Find the newest record of a node anew, after dates changed."""
    found = link.one(_NEWEST, (node,))
    if found is not None:
        row = (*found[:6], json.dumps(cbor2.loads(found[6])[3]), found[7])
        link.many("DELETE FROM latest WHERE node = ?", [(node,)])
        link.many("INSERT INTO latest VALUES (?,?,?,?,?,?,?,?)", [row])
