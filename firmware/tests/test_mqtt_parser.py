from firmware.tests.broker_bytes import CONNACK, PINGRESP, RESUMED, connack, parsed, puback, publish, suback
from node.core.mqtt.errors import MqttError
from node.core.mqtt.parser import Parser
from protocol.reasons import MALFORMED
from protocol.tests.expect import raises

BIG = publish("lum/1/n-1/down/cmd", b"x" * 3000, 7)

GOOD = {
    "CONNACK of a new session": (CONNACK, [("CONNACK", False, 0)]),
    "CONNACK of a session that the broker still had": (RESUMED, [("CONNACK", True, 0)]),
    "CONNACK that refuses": (connack(5), [("CONNACK", False, 5)]),
    "PUBACK with the largest packet id": (puback(65535), [("PUBACK", 65535)]),
    "SUBACK with a refusal": (suback(3, 1, 0x80), [("SUBACK", 3, [1, 128])]),
    "PINGRESP": (PINGRESP, [("PINGRESP",)]),
    "PUBLISH with QoS 0": (publish("a", b"1"), [("PUBLISH", "a", 0, b"1")]),
    "PUBLISH with QoS 1": (publish("a/b", b"12", 9), [("PUBLISH", "a/b", 9, b"12")]),
    "PUBLISH with DUP": (publish("a", b"", 9, 8), [("PUBLISH", "a", 9, b"")]),
    "PUBLISH that is retained and empty": (publish("a", b"", 0, 1), [("PUBLISH", "a", 0, b"")]),
    "a topic beyond ASCII": (publish("stra\u00dfe", b""), [("PUBLISH", "stra\u00dfe", 0, b"")]),
    "a length that is longer than it needs to be": (b"\x40\x82\x80\x00\x00\x05", [("PUBACK", 5)]),
    "several packets in one piece": (
        CONNACK + publish("a", b"1", 1) + PINGRESP,
        [("CONNACK", False, 0), ("PUBLISH", "a", 1, b"1"), ("PINGRESP",)],
    ),
    "a message that is longer than the buffer is skipped": (
        BIG + puback(2),
        [("SKIPPED", "lum/1/n-1/down/cmd", 7, len(BIG)), ("PUBACK", 2)],
    ),
    "a message that fills the buffer to the last byte": (
        publish("a", b"z" * 506),
        [("PUBLISH", "a", 0, b"z" * 506)],
    ),
    "a message one byte longer than the buffer": (
        publish("a", b"z" * 507) + PINGRESP,
        [("SKIPPED", "a", 0, 513), ("PINGRESP",)],
    ),
}

BAD = {
    "a packet that only clients send": b"\x10\x00",
    "type 0": b"\x00\x00",
    "type 15": b"\xf0\x00",
    "PUBREC": b"\x50\x02\x00\x01",
    "flags on CONNACK": b"\x21\x02\x00\x00",
    "flags on PUBACK": b"\x42\x02\x00\x01",
    "CONNACK that is too short": b"\x20\x01\x00",
    "CONNACK that is too long": b"\x20\x03\x00\x00\x00",
    "CONNACK with reserved flags": b"\x20\x02\x02\x00",
    "CONNACK with a code of MQTT 5": b"\x20\x02\x00\x84",
    "CONNACK that refuses and has a session": b"\x20\x02\x01\x05",
    "PUBACK with packet id 0": puback(0),
    "PUBACK of MQTT 5": b"\x40\x03\x00\x01\x00",
    "SUBACK without a code": b"\x90\x02\x00\x01",
    "SUBACK with an unknown code": suback(1, 3),
    "SUBACK with packet id 0": suback(0, 1),
    "PINGRESP with a body": b"\xd0\x01\x00",
    "a length of five bytes": b"\x30\x80\x80\x80\x80\x01",
    "PUBLISH that is too short for a topic": b"\x30\x02\x00\x00",
    "PUBLISH without a topic": b"\x30\x03\x00\x00\x01",
    "PUBLISH whose topic reaches beyond its end": b"\x30\x04\x00\x05ab",
    "PUBLISH whose packet id reaches beyond its end": b"\x32\x04\x00\x01aa",
    "PUBLISH with a topic longer than any of ours": publish("t" * 129, b""),
    "PUBLISH with packet id 0": b"\x32\x05\x00\x01a\x00\x00",
    "PUBLISH with QoS 2": b"\x34\x05\x00\x01a\x00\x01",
    "PUBLISH with QoS 3": b"\x36\x05\x00\x01a\x00\x01",
    "PUBLISH with DUP and QoS 0": b"\x38\x03\x00\x01a",
    "a topic with a wildcard": publish("a/#", b""),
    "a topic with a plus": publish("a/+", b""),
    "a topic with NUL": publish("a\x00", b""),
    "a topic that is not UTF-8": b"\x30\x04\x00\x02\xc0\x80",
}


def test_good_packets_in_one_piece_and_byte_by_byte():
    for name, (data, expected) in GOOD.items():
        for step in (10000, 7, 3, 1):
            assert parsed(data, 512, step) == expected, (name, step)


def test_all_good_packets_in_a_row_whatever_the_pieces():
    data = b"".join([GOOD[name][0] for name in sorted(GOOD)])
    expected = []
    for name in sorted(GOOD):
        expected.extend(GOOD[name][1])
    for step in (1, 2, 5, 64, 511, 512, 9999):
        assert parsed(data, 512, step) == expected, step


def test_bad_packets_raise_the_declared_error():
    for name, data in BAD.items():
        for step in (10000, 1):
            error = raises(MqttError, parsed, data, 512, step)
            assert error.reason == MALFORMED, name


def test_a_bad_length_is_found_before_the_bytes_come():
    raises(MqttError, parsed, b"\x40\xff\xff\xff\x7f")
    raises(MqttError, parsed, b"\x20\x03")


def test_a_skipped_message_costs_no_memory_whatever_its_length():
    parser = Parser(512)
    head = b"\x30\xff\xff\xff\x7f\x00\x01a"
    parser.room()[: len(head)] = head
    parser.fed(len(head))
    assert parser.next() == 3
    assert parser.oversize == 268435460
    assert not parser.next()
    for _ in range(10):
        parser.fed(len(parser.room()))
        assert not parser.next()


def test_reset_forgets_half_a_packet_and_the_rest_of_a_skipped_one():
    for piece in (b"\x40\x02\x00", BIG[:100], BIG[:400] + b"x" * 100):
        parser = Parser(512)
        parser.room()[: len(piece)] = piece
        parser.fed(len(piece))
        parser.next()
        parser.next()
        parser.reset()
        parser.room()[:4] = puback(3)
        parser.fed(4)
        assert parser.next() == 4
        assert parser.packet_id == 3
