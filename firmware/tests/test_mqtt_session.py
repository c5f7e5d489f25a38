from firmware.tests.broker_bytes import CONNACK, PINGRESP, RESUMED, connack, puback, publish, sent, suback
from node.core.mqtt.errors import MqttError
from node.core.mqtt.parser import Parser
from node.core.mqtt.queue import Queue
from node.core.mqtt.session import ANSWER_MS, MAX_ACKS, MESSAGE, NOTHING, UP, Session
from protocol import reasons
from protocol.tests.expect import raises

TOPICS = {"tele": (b"up/tele", 1), "state": (b"up/state", 1), "log": (b"up/log", 0), "reply": (b"up/reply", 1)}


class Item:
    def __init__(self, payload, name="tele"):
        self.payload = payload
        self.name = name
        self.count = 3


class Store:
    """The far side of a session: gives out items, remembers what became of them."""

    def __init__(self, *payloads):
        self.on_ready = None
        self.waiting = [Item(payload) for payload in payloads]
        self.done_items = []
        self.released = []

    def take(self):
        return self.waiting.pop(0) if self.waiting else None

    def render(self, item):
        return item.payload

    def done(self, item):
        self.done_items.append(item.payload)

    def release(self, item):
        self.released.append(item.payload)
        self.waiting.append(item)


class Rig:
    """A session with its parser; what the broker says goes in as bytes."""

    def __init__(self, *payloads, window=4, keepalive_s=60):
        self.store = Store(*payloads)
        self.queue = Queue()
        self.session = Session(
            "n-1", ("up/state", b"gone"), (("down/cmd", 1), ("down/block", 0)), (self.queue, self.store), TOPICS
        )
        self.window = window
        self.keepalive_s = keepalive_s
        self.now = 1000

    def open(self, broker="b1"):
        self.parser = Parser(512)
        self.session.connect(self.now, broker, self.keepalive_s, self.window)
        first = self.out()
        assert [packet[0] for packet in first] == [1]
        return first

    def up(self, answer=CONNACK, broker="b1"):
        """Connect, and subscribe when the session asks for it; everything sent after CONNECT."""
        self.open(broker)
        self.hear(answer)
        packets = self.out()
        for packet in packets:
            if packet[0] == 8:
                assert self.hear(suback(packet[2], 1, 1)) == [UP]
        return packets

    def hear(self, data):
        room = self.parser.room()
        room[: len(data)] = data
        self.parser.fed(len(data))
        reports = []
        kind = self.parser.next()
        while kind:
            reports.append(self.session.received(self.parser, kind, self.now))
            if reports[-1] == MESSAGE:
                self.session.acknowledge(self.parser)
            kind = self.parser.next()
        return reports

    def out(self):
        data = bytearray()
        while self.session.fill(self.now):
            data.extend(self.session.out.view[: self.session.out.used])
        return sent(data)


def published(packets):
    return [(packet[2], packet[4], packet[1] >> 3) for packet in packets if packet[0] == 3]


def kinds(packets):
    return [packet[0] for packet in packets]


def test_nothing_is_sent_before_connack():
    rig = Rig(b"a")
    rig.open()
    assert rig.out() == []
    assert not rig.session.connected


def test_a_new_session_subscribes_and_messages_flow_without_waiting_for_suback():
    rig = Rig(b"a")
    rig.open()
    assert rig.hear(CONNACK) == [NOTHING]
    packets = rig.out()
    assert kinds(packets) == [8, 3]
    assert packets[0][4] == b"\x00\x08down/cmd\x01\x00\x0adown/block\x00"
    assert rig.hear(suback(packets[0][2], 1, 1)) == [UP]


def test_the_window_bounds_what_is_in_flight():
    rig = Rig(b"a", b"b", b"c", window=2)
    assert published(rig.up()) == [(2, b"a", 0), (3, b"b", 0)]
    assert rig.out() == []
    rig.hear(puback(3))
    assert published(rig.out()) == [(4, b"c", 0)]
    assert rig.store.done_items == [b"b"]
    assert rig.session.stats.entries == 3


def test_a_session_that_the_broker_kept_is_resumed_with_the_same_ids_and_dup_in_order_without_subscribing():
    rig = Rig(b"a", b"b", b"c", b"d", window=3)
    rig.up()
    rig.session.lost(reasons.PEER_CLOSED)
    rig.open()
    assert rig.hear(RESUMED) == [UP]
    packets = rig.out()
    assert kinds(packets) == [3, 3, 3]
    assert published(packets) == [(2, b"a", 1), (3, b"b", 1), (4, b"c", 1)]
    rig.hear(puback(2) + puback(3) + puback(4))
    assert published(rig.out()) == [(5, b"d", 0)]
    assert rig.store.released == []
    assert rig.session.stats.resends == 3


def test_what_was_acknowledged_is_not_sent_again():
    rig = Rig(b"a", b"b", b"c")
    rig.up()
    rig.hear(puback(3))
    rig.session.lost(reasons.PEER_CLOSED)
    assert published(rig.up(RESUMED)) == [(2, b"a", 1), (4, b"c", 1)]


def test_a_session_that_the_broker_lost_goes_back_to_its_source_and_subscribes_anew():
    rig = Rig(b"a", b"b", b"c", window=2)
    rig.up()
    rig.session.lost(reasons.PEER_CLOSED)
    rig.open()
    rig.hear(CONNACK)
    assert rig.store.released == [b"b", b"a"]
    packets = rig.out()
    assert kinds(packets) == [8, 3, 3]
    assert [packet[2] for packet in published(packets)] == [0, 0]


def test_a_failed_attempt_changes_nothing():
    rig = Rig(b"a")
    rig.up()
    rig.session.lost(reasons.PEER_CLOSED)
    for code in (1, 2, 3, 4, 5):
        rig.open()
        error = raises(MqttError, rig.hear, connack(code))
        assert error.reason == code
        rig.session.lost(error.reason)
        assert rig.session.stats.last_reason == code
    assert published(rig.up(RESUMED)) == [(2, b"a", 1)]


def test_a_resumed_session_subscribes_when_this_run_never_saw_a_suback():
    rig = Rig()
    assert kinds(rig.up(RESUMED)) == [8]


def test_a_resumed_session_subscribes_when_the_suback_was_lost_or_refused():
    rig = Rig()
    rig.open()
    rig.hear(CONNACK)
    rig.out()
    rig.session.lost(reasons.PEER_CLOSED)
    rig.open()
    rig.hear(RESUMED)
    packet = rig.out()[0]
    assert packet[0] == 8
    assert rig.hear(suback(packet[2], 1, 0x80)) == [UP]
    assert rig.session.stats.refused == 1
    rig.session.lost(reasons.PEER_CLOSED)
    assert kinds(rig.up(RESUMED)) == [8]


def test_another_broker_of_the_list_gets_its_own_subscription():
    rig = Rig()
    rig.up()
    rig.session.lost(reasons.PEER_CLOSED)
    assert kinds(rig.up(RESUMED, "b2")) == [8]
    rig.session.lost(reasons.PEER_CLOSED)
    assert kinds(rig.up(RESUMED, "b2")) == []


def test_packet_ids_wrap_and_skip_those_in_use():
    rig = Rig(window=2)
    rig.up()
    rig.store.waiting.append(Item(b"kept"))
    kept = published(rig.out())[0][0]
    seen = []
    for _ in range(65535):
        rig.store.waiting.append(Item(b"x"))
        number = published(rig.out())[0][0]
        assert 1 <= number <= 65535
        assert number != kept
        seen.append(number) if number < 5 else None
        rig.hear(puback(number))
    assert seen == [3, 4, 1, 3]  # the round passed 65535 and left out the one that was kept


def test_incoming_messages_are_acknowledged_also_when_they_come_twice():
    rig = Rig()
    rig.up()
    reports = rig.hear(publish("down/cmd", b"1", 7) + publish("down/cmd", b"1", 7, 8) + publish("down/cmd", b"2"))
    assert reports == [MESSAGE, MESSAGE, MESSAGE]
    assert [(packet[0], packet[2]) for packet in rig.out()] == [(4, 7), (4, 7)]
    assert rig.session.stats.received == 3


def test_acknowledgements_leave_before_anything_else():
    rig = Rig(b"a")
    rig.open()
    rig.hear(CONNACK)
    rig.hear(publish("down/cmd", b"1", 7))
    assert kinds(rig.out()) == [4, 8, 3]


def test_a_flood_of_messages_is_stopped_until_acknowledgements_are_sent():
    rig = Rig()
    rig.up()
    for number in range(1, MAX_ACKS + 1):
        assert not rig.session.congested()
        rig.hear(publish("down/cmd", b"", number))
    assert rig.session.congested()
    rig.out()
    assert not rig.session.congested()


def test_log_lines_have_qos_0_and_are_never_repeated():
    rig = Rig()
    rig.queue.put("log", b"line", False)
    assert published(rig.up()) == [(0, b"line", 0)]
    rig.session.lost(reasons.PEER_CLOSED)
    assert rig.up(RESUMED) == []


def test_messages_in_memory_go_first_and_keep_their_order_when_the_session_is_lost():
    rig = Rig(b"tele", window=3)
    rig.queue.put("reply", b"r1", False)
    rig.queue.put("state", b"s1", True)
    assert [(packet[1] & 1, packet[4]) for packet in rig.up()[1:]] == [(0, b"r1"), (1, b"s1"), (0, b"tele")]
    rig.session.lost(reasons.PEER_CLOSED)
    rig.queue.put("reply", b"r2", False)
    assert [packet[4] for packet in rig.up()[1:]] == [b"r1", b"s1", b"r2"]


def test_an_item_that_no_longer_exists_is_given_up():
    rig = Rig(b"a", None, b"c")
    assert [packet[1] for packet in published(rig.up())] == [b"a", b"c"]
    assert rig.store.done_items == [None]
    assert rig.session.in_flight == 2


def test_a_long_message_leaves_in_pieces_and_nothing_comes_between():
    rig = Rig(b"x" * 5000, b"y")
    rig.up()
    rig.hear(publish("down/cmd", b"1", 7))
    rig.session.lost(reasons.PEER_CLOSED)
    assert [len(packet[1]) for packet in published(rig.up(RESUMED))] == [5000, 1]


def test_a_quiet_connection_is_pinged_after_half_of_the_keep_alive_time():
    rig = Rig(keepalive_s=60)
    rig.up()
    assert rig.session.tick(rig.now) == 30000
    rig.now += 29999
    assert rig.session.tick(rig.now) == 1
    assert rig.out() == []
    rig.now += 1
    rig.session.tick(rig.now)
    assert kinds(rig.out()) == [12]
    rig.now += 40
    rig.hear(PINGRESP)
    assert rig.session.stats.ping_ms == 40
    assert rig.session.tick(rig.now) == 29960


def test_a_connection_that_does_not_answer_is_given_up():
    rig = Rig(b"a")
    rig.open()
    for opened, reason in ((False, reasons.CONNACK_TIMEOUT), (True, reasons.SUBSCRIBE_TIMEOUT)):
        if opened:
            rig.hear(CONNACK)
            rig.out()
        assert rig.session.tick(rig.now) <= ANSWER_MS
        rig.now += ANSWER_MS
        assert raises(MqttError, rig.session.tick, rig.now).reason == reason


def test_a_half_open_connection_is_found_by_the_missing_puback():
    rig = Rig(b"a", b"b")
    rig.up()
    rig.now += 20000
    rig.hear(puback(2))  # progress: the limit starts anew
    rig.now += 20000
    assert rig.session.tick(rig.now) == 10000
    rig.now += 10000
    assert raises(MqttError, rig.session.tick, rig.now).reason == reasons.ACK_TIMEOUT


def test_a_half_open_connection_is_found_by_the_missing_pingresp_even_when_nothing_can_be_written():
    rig = Rig(keepalive_s=20)
    rig.up()
    rig.now += 10000
    rig.session.tick(rig.now)  # the ping is due, and the socket takes no more
    rig.now += ANSWER_MS
    assert raises(MqttError, rig.session.tick, rig.now).reason == reasons.PING_TIMEOUT


def test_packets_out_of_turn_end_the_connection():
    rig = Rig()
    rig.open()
    assert raises(MqttError, rig.hear, PINGRESP).reason == reasons.MALFORMED
    rig = Rig()
    rig.up()
    assert raises(MqttError, rig.hear, CONNACK).reason == reasons.MALFORMED
    assert raises(MqttError, rig.hear, suback(1, 1, 1)).reason == reasons.MALFORMED
    rig = Rig()
    rig.open()
    rig.hear(CONNACK)
    number = rig.out()[0][2]
    assert raises(MqttError, rig.hear, suback(number, 1)).reason == reasons.MALFORMED


def test_an_acknowledgement_that_nobody_waits_for_is_counted():
    rig = Rig(b"a")
    rig.up()
    rig.hear(puback(2) + puback(2) + puback(999))
    assert rig.session.stats.strays == 2
    assert rig.store.done_items == [b"a"]


def test_percentiles_of_the_latest_acknowledgements():
    rig = Rig(window=8)
    rig.up()
    stats = rig.session.stats
    assert stats.ack_p50_ms is None
    for latency in range(100):
        rig.store.waiting.append(Item(b"x"))
        number = published(rig.out())[0][0]
        rig.now += latency
        rig.hear(puback(number))
    assert (stats.ack_p50_ms, stats.ack_p95_ms, stats.acked) == (83, 98, 100)


def test_disconnect_is_the_last_packet():
    rig = Rig()
    rig.up()
    rig.session.finish()
    rig.store.waiting.append(Item(b"late"))
    assert kinds(rig.out()) == [14]
    assert rig.session.finished
    rig.session.lost(reasons.CLOSED_HERE)
    assert published(rig.up(RESUMED)) == [(2, b"late", 0)]
