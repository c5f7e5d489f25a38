"""The power fails within any flash operation of the outbox: no entry that was kept is lost, none comes out damaged."""

from firmware.tests.fakes import Settings, Time
from firmware.tests.powercut import Trial
from node.core.outbox import EVENT, RECORD, Outbox
from protocol.messages import Batch
from protocol.records import Event

_BLOCKS = 32


def outbox(files, boot, batch=3):
    return Outbox(files, Time().clock, boot, Settings(batch=batch, outbox_kb=32), lambda _: None)


def entry(seq):
    """Entry `seq`, long enough that eight fill a segment."""
    return Event(seq, seq, 0, 1, 0, {1: bytes([seq]) * 400}).encode()


def keep(box, notes, kind, seq):
    notes.append(("tried", seq))
    if box.append(kind, entry(seq)):
        notes.append(("kept", seq))


def acknowledge(box, notes):
    item = box.take()
    if item is not None:
        found = [Event.decode(data).seq for data in Batch.decode(box.render(item)).entries]
        for seq in found:
            notes.append(("acknowledged", seq))
        box.done(item)


def begin(files):
    """Two segments of an earlier boot."""
    box = outbox(files, 1)
    for seq in range(10):
        box.append(RECORD, entry(seq))


def scenario(files, notes):
    """A boot that writes both classes, sends some of it, fills and deletes segments."""
    for seq in range(10):
        notes.append(("kept", seq))
        notes.append(("tried", seq))
    box = outbox(files, 2)
    for seq in range(10, 22):
        keep(box, notes, EVENT if seq % 4 == 0 else RECORD, seq)
        if seq % 2:
            acknowledge(box, notes)


def verdict(files, notes):
    """What was kept and not acknowledged comes out, exactly as it went in; then writing goes on."""
    box = outbox(files, 3, batch=1)
    assert box.append(RECORD, entry(99))
    found = set()
    item = box.take()
    while item is not None:
        batch = Batch.decode(box.render(item))
        for data in batch.entries:
            seq = Event.decode(data).seq
            assert data == entry(seq)
            assert batch.boot == (3 if seq == 99 else 1 if seq < 10 else 2)
            found.add(seq)
        box.done(item)
        item = box.take()
    tried = {seq for what, seq in notes if what == "tried"} | {99}
    due = {seq for what, seq in notes if what == "kept"} - {seq for what, seq in notes if what == "acknowledged"}
    assert due <= found <= tried
    assert box.damaged == box.evicted == 0
    assert box.used == 0


def test_the_outbox_survives_every_cut():
    trial = Trial(_BLOCKS, begin, scenario, verdict)
    assert trial.cuts > 300, trial.cuts


def fill(files):
    """Three of the four segments that 16 KiB are."""
    box = Outbox(files, Time().clock, 1, Settings(outbox_kb=16), lambda _: None)
    for seq in range(24):
        box.append(RECORD, entry(seq))


def overflow(files, notes):
    """A boot that has to give up what is oldest."""
    box = Outbox(files, Time().clock, 2, Settings(outbox_kb=16), lambda _: None)
    for seq in range(24, 44):
        keep(box, notes, RECORD, seq)


def only_the_oldest_are_gone(files, notes):
    """Whatever is left is a run without gaps that ends with the newest entry that was kept."""
    box = outbox(files, 3, batch=1)
    found = []
    item = box.take()
    while item is not None:
        data = Batch.decode(box.render(item)).entries[0]
        seq = Event.decode(data).seq
        assert data == entry(seq)
        found.append(seq)
        box.done(item)
        item = box.take()
    found.sort()
    newest = max([seq for what, seq in notes if what == "kept"] + [23])
    assert found == list(range(found[0], found[-1] + 1))
    assert found[-1] in (newest, newest + 1)
    assert len(found) >= 2 * 8


def test_a_full_outbox_survives_every_cut():
    assert Trial(_BLOCKS, fill, overflow, only_the_oldest_are_gone).cuts > 150
