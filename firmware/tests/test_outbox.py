"""The outbox: order, batches, dating, bounds, damage."""

from firmware.tests.fakes import EIO, Files
from firmware.tests.outbox_rig import NOW_S, SAMPLES, Rig
from node.core.frames import HEAD
from node.core.outbox import EVENT, RECORD
from node.core.segment import BLOCK, FOLDER
from protocol.errors import EncodeError
from protocol.messages import MAX_ENTRIES, Batch
from protocol.records import MAX_ENTRY, TQ_NTP_DAY, TQ_NTP_HOUR, TQ_UPTIME, Event, Record
from protocol.tests.expect import raises


def test_an_entry_waits_on_flash_until_it_is_acknowledged():
    rig = Rig()
    rig.record()
    item, batch = rig.take()
    assert batch == ("tele", 1, [0])
    assert rig.take() is None
    assert len(rig.segments()) == 1
    rig.outbox.done(item)
    assert rig.segments() == []
    assert rig.outbox.used == 0


def test_what_waits_is_counted_wherever_it_is():
    rig = Rig(batch=2)
    rig.record(7)
    assert rig.outbox.waiting() == 7
    items = [rig.outbox.take() for _ in range(2)]
    assert rig.outbox.waiting() == 7
    rig.outbox.done(items[0])
    assert rig.outbox.waiting() == 5
    rig.outbox.release(items[1])
    assert rig.outbox.waiting() == 5
    rig.restart()
    assert rig.outbox.waiting() == 7  # which of them were acknowledged is not on flash
    rig.drain()
    assert rig.outbox.waiting() == 0


def test_a_payload_is_the_same_at_every_rendering():
    rig = Rig()
    rig.record()
    item = rig.outbox.take()
    first = rig.outbox.render(item)
    rig.time.sleep(5000)
    rig.know_time()
    assert rig.outbox.render(item) == first
    assert Batch.decode(first).up_s == 0


def test_a_released_batch_comes_again_before_the_rest_and_in_order():
    rig = Rig()
    rig.record(4)
    items = [rig.outbox.take() for _ in range(3)]
    rig.outbox.done(items[1])
    for item in (items[2], items[0]):
        rig.outbox.release(item)
    assert [batch[2] for batch in rig.drain()] == [[0], [2], [3]]
    assert rig.segments() == []


def test_records_wait_for_each_other_but_not_for_ever():
    rig = Rig(batch=5)
    rig.record(4)
    assert rig.take() is None
    assert rig.ready == 0
    rig.time.sleep(299_000)
    rig.outbox.tick()
    assert rig.take() is None
    rig.time.sleep(1000)
    rig.outbox.tick()
    assert rig.ready == 1
    assert rig.take()[1] == ("tele", 1, [0, 1, 2, 3])
    rig.record(5)
    assert rig.ready == 2
    assert rig.take()[1] == ("tele", 1, [4, 5, 6, 7, 8])
    assert rig.take() is None


def test_records_of_an_earlier_boot_do_not_wait():
    rig = Rig(batch=5)
    rig.record(2)
    rig.restart()
    rig.record(1)
    assert rig.drain() == [("tele", 1, [0, 1]), ("tele", 2, [0])]


def test_events_go_first_and_do_not_wait():
    rig = Rig(batch=5)
    rig.record(5)
    rig.journal.event(2)
    assert rig.ready == 2
    rig.record(5)
    assert [batch[0] for batch in rig.drain()] == ["event", "tele", "tele"]


def test_live_records_alternate_with_the_backlog():
    rig = Rig(batch=5)
    rig.record(200)
    live = int(rig.segments()[-1][0][2:], 16)
    assert live >= 2
    order = [batch[2][0] for batch in rig.drain()]
    first_live = order[0]
    assert order[1] == 0
    assert order[0::2][:3] == [first_live, first_live + 5, first_live + 10]
    assert order[1::2][:3] == [0, 5, 10]


def test_nothing_is_lost_or_doubled_when_the_outbox_is_drained():
    rig = Rig(batch=7)
    rig.record(500)
    seqs = [seq for batch in rig.drain() for seq in batch[2]]
    assert sorted(seqs) == list(range(500))
    assert rig.segments() == []


def test_a_batch_is_bounded_by_its_setting_by_entries_and_by_bytes():
    rig = Rig(batch=60)
    rig.record(300)
    batches = rig.drain()
    assert max(len(batch[2]) for batch in batches) <= 60
    rig = Rig(batch=1000)
    for channel in range(300):
        rig.outbox.append(RECORD, Record(channel, 0, 0, {}).encode())
    assert max(len(batch[2]) for batch in rig.drain()) == MAX_ENTRIES
    rig = Rig(batch=60)
    for seq in range(20):
        rig.outbox.append(EVENT, Event(seq, 0, 0, 1, 0, {1: b"x" * 480}).encode())
    item, batch = rig.take()
    assert len(batch[2]) == 6
    assert len(rig.outbox.render(item)) < 3200


def test_entries_of_different_boots_share_a_file_but_no_batch():
    rig = Rig(batch=60)
    rig.record(2)
    rig.restart()
    rig.record(3)
    assert len(rig.segments()) == 1
    assert rig.drain() == [("tele", 1, [0, 1]), ("tele", 2, [0, 1, 2])]


def test_an_undated_record_is_dated_once_the_time_is_known():
    rig = Rig(batch=2)
    rig.time.sleep(7000)
    rig.record(2)
    item = rig.outbox.take()
    batch = Batch.decode(rig.outbox.render(item))
    assert (Record.decode(batch.entries[0]).t, Record.decode(batch.entries[0]).tq) == (7, TQ_UPTIME)
    assert batch.up_s == 7
    rig.outbox.release(item)
    rig.time.sleep(3000)
    rig.know_time()
    rig.record(1)
    batch = Batch.decode(rig.outbox.render(rig.outbox.take()))
    record = Record.decode(batch.entries[0])
    assert (record.seq, record.t, record.tq) == (0, NOW_S - 3, TQ_NTP_DAY)
    assert record.samples == SAMPLES
    assert batch.up_s is None


def test_an_undated_record_of_an_earlier_boot_is_dated_by_its_anchor():
    rig = Rig()
    rig.time.sleep(5000)
    rig.record()
    rig.zeros[1] = NOW_S
    rig.restart()
    item = rig.outbox.take()
    batch = Batch.decode(rig.outbox.render(item))
    assert Record.decode(batch.entries[0]).t == NOW_S + 5
    assert batch.up_s is None


def test_an_undated_record_of_an_unknown_boot_goes_without_uptime():
    rig = Rig()
    rig.time.sleep(5000)
    rig.record()
    rig.restart()
    rig.know_time()
    batch = Batch.decode(rig.outbox.render(rig.outbox.take()))
    record = Record.decode(batch.entries[0])
    assert (batch.boot, record.t, record.tq, batch.up_s) == (1, 5, TQ_UPTIME, None)


def test_a_dated_record_is_sent_as_it_was_stored():
    rig = Rig()
    rig.know_time()
    rig.record()
    batch = Batch.decode(rig.outbox.render(rig.outbox.take()))
    assert batch.entries == [Record(0, NOW_S, TQ_NTP_HOUR, SAMPLES).encode()]


def test_a_day_offline_is_kept_whole():
    rig = Rig(Files(room=960 * 1024), batch=5)
    rig.know_time()
    for _ in range(1440):
        rig.record()
        rig.time.sleep(60_000)
    assert rig.outbox.evicted == 0
    assert rig.outbox.used < 120 * 1024
    rig.restart()
    seen = bytearray(1440)
    taken = rig.take()
    while taken is not None:
        for seq in taken[1][2]:
            seen[seq] += 1
        rig.outbox.done(taken[0])
        taken = rig.take()
    assert seen == b"\x01" * 1440


def test_the_bound_gives_up_the_oldest_records_and_counts_them():
    rig = Rig(outbox_kb=16)
    rig.journal.event(1)
    rig.record(400)
    assert rig.outbox.used <= rig.outbox.size == 16384
    kept = rig.drain()
    assert kept[0] == ("event", 1, [0])
    seqs = sorted(seq for batch in kept[1:] for seq in batch[2])
    assert seqs == list(range(401 - len(seqs), 401))
    assert rig.outbox.evicted == 400 - len(seqs)


def test_events_give_way_to_themselves_once_they_hold_half():
    rig = Rig(outbox_kb=32)
    rig.record(100)
    for _ in range(2000):
        rig.journal.event(1, 0, {1: "text of some length"})
    kinds = [name[0] for name, _ in rig.segments()]
    assert kinds.count("1") == 2
    assert len(kinds) <= 8
    rig.record(400)
    assert [name[0] for name, _ in rig.segments()].count("0") >= 4


def test_what_is_in_flight_is_not_given_up():
    rig = Rig(outbox_kb=16)
    rig.record(1)
    item = rig.outbox.take()
    before = rig.outbox.render(item)
    rig.record(1000)
    assert rig.outbox.render(item) == before
    rig.outbox.done(item)
    assert rig.outbox.evicted + len([seq for batch in rig.drain() for seq in batch[2]]) == 1000


def test_with_everything_in_flight_a_new_entry_is_refused_and_counted():
    rig = Rig(outbox_kb=16)
    rig.record(250)
    while rig.outbox.take() is not None:
        pass
    kept = sum(rig.journal.record(SAMPLES, 0, 0) for _ in range(200))
    assert 0 < kept < 200
    assert rig.outbox.evicted == 200 - kept
    assert rig.journal.seq == 450


def test_a_full_flash_makes_room_by_giving_up_the_oldest():
    rig = Rig(Files(room=20000))
    rig.record(600)
    seqs = [seq for batch in rig.drain() for seq in batch[2]]
    assert max(seqs) == 599
    assert rig.outbox.evicted + len(seqs) == 600


def test_a_flash_that_refuses_costs_the_new_entry_only():
    rig = Rig()
    rig.record(3)
    rig.files.fail = EIO
    assert not rig.journal.record(SAMPLES, 0, 0)
    rig.files.fail = 0
    rig.record(1)
    assert sorted(seq for batch in rig.drain() for seq in batch[2]) == [0, 1, 2, 4]
    assert rig.outbox.evicted == 1


def test_a_torn_tail_is_left_out_and_written_around():
    rig = Rig(batch=60)
    rig.record(3)
    path = FOLDER + "/" + rig.segments()[0][0]
    for torn in (1, HEAD, HEAD + 5):
        rig.files.data[path].extend(b"\xe1\x00\x30garbage......"[:torn])
        rig.restart()
        rig.record(1)
        assert rig.drain() == [("tele", rig.boot, [0]), ("tele", rig.boot - 1, [0, 1, 2])]
        rig.restart()
        rig.record(3)
        path = FOLDER + "/" + rig.segments()[0][0]


def test_damage_within_costs_what_lies_behind_it_in_that_segment():
    rig = Rig(batch=1)
    rig.record(150)
    names = rig.segments()
    data = rig.files.data[FOLDER + "/" + names[0][0]]
    data[len(data) // 2] ^= 0x10
    rig.restart()
    seqs = sorted(seq for batch in rig.drain() for seq in batch[2])
    lost = [seq for seq in range(150) if seq not in seqs]
    assert lost
    assert lost == list(range(lost[0], lost[-1] + 1))
    assert lost[-1] < 90
    assert rig.outbox.damaged == 1
    assert rig.segments() == []


def test_damage_after_the_taking_gives_the_batch_up():
    rig = Rig()
    rig.record(1)
    item = rig.outbox.take()
    rig.files.data[FOLDER + "/" + rig.segments()[0][0]][-1] ^= 1
    assert rig.outbox.render(item) is None
    rig.outbox.done(item)
    assert rig.outbox.damaged == 1
    assert rig.segments() == []


def test_foreign_and_empty_files_do_not_disturb():
    files = Files()
    foreign = {
        "notes.txt": b"x",
        "0-1": b"x",
        "9-00000000": b"x",
        "1-0000000g": b"x",
        "1-0000000A": b"x",
        "1-0x000001": b"x",
        "1-00000005": b"y" * (BLOCK + 1),
    }
    for name, data in foreign.items():
        files.data[FOLDER + "/" + name] = bytearray(data)
    files.data[FOLDER + "/0-00000007"] = bytearray()
    rig = Rig(files)
    rig.record(2)
    assert [batch[2] for batch in rig.drain()] == [[0], [1]]
    assert sorted(name for name, _ in rig.segments()) == sorted(foreign)


def test_a_flash_that_removes_nothing_does_not_keep_the_node_from_starting():
    files = Files()
    files.data[FOLDER + "/0-00000007"] = bytearray()

    def refuse(path):
        raise OSError(EIO)

    files.remove = refuse
    rig = Rig(files)
    rig.record(1)
    assert rig.take()[1] == ("tele", 1, [0])


def test_the_age_of_the_oldest_entry():
    rig = Rig()
    assert rig.outbox.oldest_s() == 0
    rig.record(2)
    rig.time.sleep(90_000)
    assert rig.outbox.oldest_s() == 90
    rig.know_time()
    rig.record(1)
    item = rig.outbox.take()
    assert rig.outbox.oldest_s() == 90
    rig.outbox.done(item)
    rig.restart()
    assert rig.outbox.oldest_s() == 0
    rig.time.clock.set_utc((NOW_S + 1000) * 1000)
    assert rig.outbox.oldest_s() == 1090


def test_an_undated_entry_leaves_room_for_its_date():
    rig = Rig()
    raises(EncodeError, rig.journal.event, 1, 0, {1: b"x" * (MAX_ENTRY - 14)})
    assert rig.journal.seq == 0
    rig.journal.event(1, 0, {1: b"x" * (MAX_ENTRY - 16)})
    rig.know_time()
    batch = Batch.decode(rig.outbox.render(rig.outbox.take()))
    assert len(batch.entries[0]) <= MAX_ENTRY
    assert Event.decode(batch.entries[0]).tq == TQ_NTP_DAY
