"""Dating what a node recorded before it knew the time, once the begin of that boot is known (SPEC 5.5).

Until then `ts` is the latest the entry can have been and `tq` is 0. The entry's own bytes are never changed. A begin
found from a time of arrival counts as TQ_BOUND and gives way to a better one.
"""

import json
from collections.abc import Iterable

import cbor2

from fleet.store.dialect import Hot
from protocol.records import TQ_NTP_DAY

_ANCHOR = """INSERT INTO boot (node, boot, epoch_s, tq, pruned, pruned_seq) VALUES (?,?,?,?,0,-1)
    ON CONFLICT (node, boot) DO UPDATE SET epoch_s = excluded.epoch_s, tq = excluded.tq
    WHERE excluded.tq > boot.tq OR (excluded.tq = boot.tq AND excluded.epoch_s < boot.epoch_s)"""
_EPOCH = "SELECT epoch_s, tq FROM boot WHERE node = ? AND boot = ? AND epoch_s IS NOT NULL"
_OPEN = {  # the entries whose date may still change; `tq < 2` is the condition of an index
    "record": "SELECT seq, ts, tq, body FROM record WHERE node = ? AND boot = ? AND tq < 2",
    "event": "SELECT seq, ts, tq, body FROM event WHERE node = ? AND boot = ? AND tq < 2",
}
_DATE = {
    "record": "UPDATE record SET ts = ?, tq = ? WHERE node = ? AND boot = ? AND seq = ?",
    "event": "UPDATE event SET ts = ?, tq = ? WHERE node = ? AND boot = ? AND seq = ?",
}
_DUE = "INSERT INTO rollup_due (hour, node) VALUES (?,?) ON CONFLICT DO NOTHING"
_NEWEST = """SELECT node, ts, boot, seq, tq, interval_s, body, received_ms FROM record WHERE node = ?
    ORDER BY ts DESC, boot DESC, seq DESC LIMIT 1"""


def anchor(link: Hot, begins: Iterable[tuple[int, int, int, int]]) -> None:
    """Keep when boots began, as (node, boot, UTC in seconds, time quality), unless that is known better already."""
    link.many(_ANCHOR, [(node, boot, epoch_s, min(tq, TQ_NTP_DAY)) for node, boot, epoch_s, tq in begins])


def date(link: Hot, boots: Iterable[tuple[int, int]]) -> None:
    """Date every undated entry of those (node, boot) whose begin is known."""
    for node, boot in boots:
        known = link.one(_EPOCH, (node, boot))
        if known is not None:
            _date(link, "event", node, boot, *known)
            if due := _date(link, "record", node, boot, *known):
                link.many(_DUE, {(hour, node) for hour in due})
                refresh_latest(link, node)


def _date(link: Hot, table: str, node: int, boot: int, epoch_s: int, tq: int) -> set[int]:
    """Date what is open in one table; the hours that changed."""
    changes = []
    hours = set()
    for seq, ts, had, body in link.all(_OPEN[table], (node, boot)):
        _seq, t, own = cbor2.loads(body)[:3]
        if own == 0 and (had, ts) != (tq, epoch_s + t):
            changes.append((epoch_s + t, tq, node, boot, seq))
            hours |= {ts // 3600, (epoch_s + t) // 3600}
    if changes:
        link.many(_DATE[table], changes)
    return hours


def refresh_latest(link: Hot, node: int) -> None:
    """Find the newest record of a node anew, after dates changed."""
    found = link.one(_NEWEST, (node,))
    if found is not None:
        row = (*found[:6], json.dumps(cbor2.loads(found[6])[3]), found[7])
        link.many("DELETE FROM latest WHERE node = ?", [(node,)])
        link.many("INSERT INTO latest VALUES (?,?,?,?,?,?,?,?)", [row])
