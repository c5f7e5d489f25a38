from firmware.tests.broker_bytes import length, sent
from node.core.mqtt import packets
from node.core.mqtt.packets import Output
from protocol.tests.expect import raises


def drained(out):
    data = bytearray()
    while out.used:
        data.extend(out.view[: out.used])
        out.rewind()
    return bytes(data)


def test_connect_keeps_the_session_and_leaves_a_retained_will():
    out = Output()
    packets.connect(out, b"n-1", 60, b"t", b"w")
    assert drained(out) == b"\x10\x15\x00\x04MQTT\x04\x2c\x00\x3c\x00\x03n-1\x00\x01t\x00\x01w"


def test_small_packets_to_the_byte():
    out = Output()
    packets.puback(out, 0x1234)
    packets.pingreq(out)
    packets.disconnect(out)
    packets.subscribe(out, 7, ((b"a", 1), (b"b/c", 0)))
    assert drained(out) == b"\x40\x02\x12\x34\xc0\x00\xe0\x00\x82\x0c\x00\x07\x00\x01a\x01\x00\x03b/c\x00"


def test_publish_with_both_qualities_and_all_flags():
    out = Output()
    packets.publish(out, b"a", b"xy", 0, 0)
    packets.publish(out, b"a", b"xy", packets.RETAIN, 1)
    packets.publish(out, b"a", b"xy", packets.DUP, 65535)
    assert drained(out) == b"\x30\x05\x00\x01axy" + b"\x33\x07\x00\x01a\x00\x01xy" + b"\x3a\x07\x00\x01a\xff\xffxy"


def test_a_payload_longer_than_the_buffer_leaves_in_pieces_that_never_exceed_it():
    for size in (0, 1, 127, 128, 240, 256, 257, 512, 5000, 16383, 16384):
        out = Output(256)
        payload = bytes([index * 7 & 255 for index in range(size)])
        packets.publish(out, b"lum/1/n-1/up/tele", payload, 0, 3)
        assert out.used <= 256
        if size > 256:
            assert not out.open()
        assert sent(drained(out)) == [(3, 2, 3, "lum/1/n-1/up/tele", payload)], size


def test_a_packet_may_follow_the_rest_of_a_long_one():
    out = Output(256)
    packets.publish(out, b"a", b"x" * 300, 0, 0)
    data = bytes(out.view[: out.used])
    out.rewind()
    packets.pingreq(out)
    data += bytes(out.view[: out.used])
    assert data == b"\x30" + length(303) + b"\x00\x01a" + b"x" * 300 + b"\xc0\x00"


def test_a_buffer_too_small_for_a_packet_is_refused():
    raises(ValueError, Output, 255)
