"""SLIP: what is sent arrives, in whatever pieces; what is no frame costs nothing."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from tools.virtual_board.slip import Decoder, encode

LIMIT = 64
payloads = st.binary(min_size=1, max_size=LIMIT)


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    edges = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return [data[a:b] for a, b in itertools.pairwise(edges)]


@given(st.lists(payloads, max_size=5), st.lists(st.integers(0, 1 << 16), max_size=8))
def test_every_frame_arrives_however_the_stream_is_cut(sent, cuts):
    decoder = Decoder(LIMIT)
    stream = b"".join(encode(payload) for payload in sent)
    assert [frame for piece in pieces(stream, cuts) for frame in decoder.feed(piece)] == sent


@given(st.lists(st.binary(max_size=300), max_size=20))
def test_noise_never_raises_and_no_frame_is_longer_than_the_limit(noise):
    decoder = Decoder(LIMIT)
    frames = [frame for piece in noise for frame in decoder.feed(piece)]
    assert all(0 < len(frame) <= LIMIT for frame in frames)


@given(st.binary(max_size=100), payloads)
def test_after_noise_two_ends_are_enough_to_be_heard(noise, payload):
    decoder = Decoder(LIMIT)
    decoder.feed(noise + b"\xc0")
    assert decoder.feed(b"\xc0" + encode(payload) + encode(payload))[-1] == payload


def test_a_frame_without_an_end_is_not_kept():
    decoder = Decoder(LIMIT)
    for _ in range(1000):
        assert decoder.feed(b"\xc0" + bytes(1 << 10)) == []
    assert len(decoder._raw) <= 2 * LIMIT + 1


WRONG = {
    "an escape before something else": b"\xc0ab\xdbcd\xc0",
    "an escape before the end": b"\xc0ab\xdb\xc0",
    "nothing in the frame": b"\xc0\xc0\xc0",
    "no beginning": b"abc",
    "one byte more than the limit": b"\xc0" + bytes(LIMIT + 1) + b"\xc0",
}


def test_what_is_no_frame_is_dropped():
    for sentence, stream in WRONG.items():
        assert Decoder(LIMIT).feed(stream) == [], sentence
