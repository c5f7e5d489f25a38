from firmware.tests.test_backoff import Dice
from node.core import dns
from node.core.dns import DnsError
from protocol.tests.expect import raises

HOST = "broker.example.org"


def name(host):
    return b"".join([bytes((len(label),)) + label.encode() for label in host.split(".")]) + b"\x00"


def pointer(at):
    return bytes((0xC0 | at >> 8, at & 255))


def record(owner, kind, data, family=1):
    return owner + bytes((0, kind, 0, family, 0, 0, 0, 60, 0, len(data))) + data


def reply(*records, ident=0x1234, flags=b"\x81\x80", question=None, count=None):
    head = bytes((ident >> 8, ident & 255)) + flags + b"\x00\x01\x00"
    head += bytes((len(records) if count is None else count,)) + bytes(4)
    asked = name(HOST) + b"\x00\x01\x00\x01" if question is None else question
    return head + asked + b"".join(records)


A = record(pointer(12), 1, b"\x0a\x00\x00\x07")

GOOD = {
    "one address": (reply(A), ["10.0.0.7"]),
    "the owner spelt out, in capitals": (reply(record(name(HOST.upper()), 1, b"\x01\x02\x03\x04")), ["1.2.3.4"]),
    "two addresses": (reply(A, record(pointer(12), 1, b"\x0a\x00\x00\x08")), ["10.0.0.7", "10.0.0.8"]),
    "an alias with a compressed target": (
        reply(record(pointer(12), 5, b"\x01b" + pointer(19)), record(name("b.example.org"), 1, b"\x0a\x01\x01\x01")),
        ["10.1.1.1"],
    ),
    "aliases in the wrong order": (
        reply(
            record(name("c.net"), 1, b"\x0a\x00\x00\x09"),
            record(name("b.net"), 5, name("c.net")),
            record(pointer(12), 5, name("b.net")),
        ),
        ["10.0.0.9"],
    ),
    "records of other kinds and classes": (
        reply(record(pointer(12), 28, bytes(16)), record(pointer(12), 1, b"\x09\x09\x09\x09", 3), A),
        ["10.0.0.7"],
    ),
    "bytes behind the last record": (reply(A) + b"junk", ["10.0.0.7"]),
}

BAD = {
    "nothing": b"",
    "another identifier": reply(A, ident=0x1235),
    "a question instead of an answer": reply(A, flags=b"\x01\x00"),
    "no such name": reply(flags=b"\x81\x83"),
    "the server failed": reply(flags=b"\x81\x82"),
    "another name in the question": reply(A, question=name("evil.example.org") + b"\x00\x01\x00\x01"),
    "another kind in the question": reply(A, question=name(HOST) + b"\x00\x1c\x00\x01"),
    "no record": reply(),
    "an address of another name": reply(record(name("evil.net"), 1, b"\x0a\x00\x00\x07")),
    "an address of five bytes": reply(record(pointer(12), 1, bytes(5))),
    "a name that points at itself": reply(record(pointer(36), 1, bytes(4))),
    "a name that points forwards": reply(record(pointer(200), 1, bytes(4))),
    "a label of a reserved kind": reply(record(b"\x80\x00", 1, bytes(4))),
    "a record longer than the answer": reply(A[:-5] + b"\x40" + bytes(4)),
    "more records than there are bytes": reply(A[:-1], count=9),
    "aliases in a circle": reply(record(pointer(12), 5, name("b.net")), record(name("b.net"), 5, name(HOST))),
    "a name of 300 bytes": reply(
        record(b"\x3f" + b"a" * 63 + b"".join([b"\x3f" + b"a" * 63] * 4) + b"\x00", 1, bytes(4))
    ),
}


def test_good_answers():
    for text, (data, expected) in GOOD.items():
        assert dns.answer(data, HOST, 0x1234) == expected, text
        assert dns.answer(memoryview(data), HOST.upper(), 0x1234) == expected, text


def test_bad_answers_raise_the_declared_error():
    for data in BAD.values():
        raises(DnsError, dns.answer, data, HOST, 0x1234)


def test_every_cut_of_a_good_answer_raises_or_answers():
    data = GOOD["aliases in the wrong order"][0]
    for size in range(len(data)):
        raises(DnsError, dns.answer, data[:size], HOST, 0x1234)


def test_damaged_answers_raise_nothing_else():
    dice = Dice(11).below
    seeds = [row[0] for row in GOOD.values()] + list(BAD.values())
    for _ in range(3000):
        data = bytearray(seeds[dice(len(seeds))])
        for _ in range(1 + dice(4)):
            if data:
                data[dice(len(data))] = (0, 1, 12, 63, 192, 255, dice(256))[dice(7)]
        try:
            for address in dns.answer(data, HOST, 0x1234):
                assert dns.literal(address)
        except DnsError:
            pass


def test_the_query_to_the_byte():
    expected = b"\xab\xcd\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x06broker\x03lan\x00\x00\x01\x00\x01"
    assert dns.query("Broker.lan", 0xABCD) == expected == dns.query("broker.lan.", 0xABCD)


def test_names_that_are_none():
    for host in ("", ".", "a..b", "a" * 64, ".".join(["a" * 60] * 5)):
        raises(DnsError, dns.query, host, 1)


def test_literal_addresses():
    assert dns.literal("127.0.0.1") == "127.0.0.1"
    for host in ("localhost", "1.2.3", "1.2.3.256", "1.2.3.4.5", "1.2.3.x", "1.2.3.", "1.2.3.-1", "0001.2.3.4"):
        assert dns.literal(host) is None, host
