from node.core import sntp
from node.core.sntp import Answer, SntpError
from protocol.tests.expect import raises

COOKIE = b"\x01\x02\x03\x04\x05\x06\x07\x08"
NOON_MS = 1767268800250  # 2026-01-01 12:00:00.250 UTC
FLOOR_S = 1767200000


def stamp(unix_ms):
    seconds = (unix_ms // 1000 + 2208988800) & 0xFFFFFFFF
    fraction = ((unix_ms % 1000 << 32) + 999) // 1000
    return seconds.to_bytes(4, "big") + fraction.to_bytes(4, "big")


def packet(first=0x24, stratum=2, echo=COOKIE, came=NOON_MS, left=NOON_MS):
    return bytes((first, stratum)) + bytes(22) + echo + stamp(came) + stamp(left)


def ask(data, sent_ms=1000, received_ms=1000, floor_s=FLOOR_S):
    return sntp.answer(data, COOKIE, sent_ms, received_ms, floor_s)


BAD = {
    "too short": packet()[:47],
    "a cookie that is not ours": packet(echo=bytes(8)),
    "a client packet": packet(first=0x23),
    "version 2": packet(first=0x14),
    "an alarm: not synchronised": packet(first=0xE4),
    "the kiss of death": packet(stratum=0),
    "stratum 16": packet(stratum=16),
    "an answer that left before the question came": packet(came=NOON_MS + 10),
    "more time at the server than the round took": packet(came=NOON_MS - 10),
    "a time before the floor": packet(came=(FLOOR_S - 1) * 1000, left=(FLOOR_S - 1) * 1000),
    "no time at all, which would be the start of the next era": packet()[:32] + bytes(16),
}


def test_the_request_to_the_byte():
    assert sntp.request(COOKIE) == b"\x23" + bytes(39) + COOKIE


def test_an_answer_gives_utc_at_its_arrival_and_the_round_trip_without_the_time_at_the_server():
    found = ask(packet(came=NOON_MS, left=NOON_MS + 30), 5000, 5130)
    assert (found.local_ms, found.utc_ms, found.round_trip_ms) == (5130, NOON_MS + 30 + 50, 100)
    assert found.epoch_ms == NOON_MS + 80 - 5130


def test_answers_that_may_not_be_used():
    for name, data in BAD.items():
        try:
            ask(data)
        except SntpError:
            continue
        raise AssertionError(name)


def test_a_round_trip_beyond_the_limit_is_refused():
    assert ask(packet(), 0, sntp.MAX_ROUND_TRIP_MS).round_trip_ms == sntp.MAX_ROUND_TRIP_MS
    raises(SntpError, ask, packet(), 0, sntp.MAX_ROUND_TRIP_MS + 1)


def test_every_millisecond_survives_the_fraction():
    for ms in range(1000):
        time = NOON_MS - 250 + ms
        assert ask(packet(came=time, left=time)).utc_ms == time


def test_the_era_that_begins_in_2036():
    for time in (2085978495999, 2085978496001, 2208988800000):  # just before, just after, 2040-01-01
        assert ask(packet(came=time, left=time)).utc_ms == time


def test_extension_fields_do_no_harm():
    assert ask(packet() + bytes(20)).utc_ms == NOON_MS


def test_which_of_several_answers_is_believed():
    quick, slow, liar = Answer(0, 1000, 10), Answer(0, 1500, 900), Answer(0, 99000, 1)
    assert sntp.choose([]) is None
    assert sntp.choose([liar]) is liar
    assert sntp.choose([slow, quick]) is quick
    assert sntp.choose([quick, liar]) is None
    assert sntp.choose([liar, slow, quick]) is slow
    assert sntp.choose([Answer(0, -5, 1), quick, slow, liar]).epoch_ms in (1000, 1500)
