"""Whatever comes over the line: the loader neither dies nor grows, and works afterwards."""

import random
import struct
import tracemalloc

from hypothesis import given, settings
from hypothesis import strategies as st

from tools.virtual_board import slip
from tools.virtual_board.tests.harness import Bench

OPS = st.sampled_from([*range(0x02, 0x15), *range(0xD0, 0xD5), 0x55])
WORD = st.sampled_from([0, 1, 4, 64, 0x400, 0x1000, 0x4000, 1 << 20, (1 << 20) - 1, 1 << 31, 0xFFFFFFFF])
HEAD = struct.Struct("<BBHI")


@st.composite
def requests(draw):
    op = draw(OPS)
    data = struct.pack("<4I", *draw(st.tuples(WORD, WORD, WORD, WORD))) + draw(st.binary(max_size=40))
    return slip.encode(HEAD.pack(0, op, draw(st.sampled_from([len(data), 0, 0xFFFF])), draw(WORD)) + data)


def works(bench: Bench) -> bool:
    bench.loader.feed(b"\xc0\xc0")
    return len(bench.feed(0x08, b"\x07\x07\x12\x20" + b"\x55" * 32)) == 8


def test_any_bytes_and_any_commands_are_survived(rom):
    bench = rom

    @settings(max_examples=300)
    @given(st.lists(st.one_of(st.binary(max_size=200), requests()), max_size=12), st.booleans())
    def survive(stream, stub):
        bench.loader.stub = stub
        for piece in stream:
            bench.loader.feed(piece)
        assert works(bench)
        assert bench.flash.path.stat().st_size == bench.size

    survive()


def test_a_megabyte_of_noise_takes_no_memory(rom):
    bench = rom
    rng = random.Random(7)
    bench.loader.feed(rng.randbytes(1 << 16))
    tracemalloc.start()
    try:
        for _ in range(64):
            bench.sent.clear()
            bench.loader.feed(b"\xc0" + rng.randbytes(1 << 14).replace(b"\xc0", b""))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 1 << 18
    assert works(bench)
