"""The loader's answers, command by command, as the ROM and the stub give them."""

import hashlib
import random
import struct
import zlib

import pytest

from tools.virtual_board import slip
from tools.virtual_board.flash import BLOCK
from tools.virtual_board.tests.harness import MEGABYTE

OK_ROM, OK_STUB = bytes(4), bytes(2)
SYNC = b"\x07\x07\x12\x20" + b"\x55" * 32
DATA = random.Random(1).randbytes(10_000)


def test_a_sync_is_answered_eight_times_with_a_value_by_the_rom_and_with_zero_by_the_stub(rom):
    frames = rom.feed(0x08, SYNC)
    assert len(frames) == 8
    assert struct.unpack_from("<I", frames[0], 4)[0] != 0
    rom.run_stub()
    frames = rom.feed(0x08, SYNC)
    assert len(frames) == 8
    assert struct.unpack_from("<I", frames[0], 4)[0] == 0


REFUSED = {  # sentence: (command, data, what the ROM says, what the stub says)
    "an unknown command": (0x55, b"", 0x05, 0xFF),
    "a command without its words": (0x0A, b"\0\0", 0x05, 0xC0),
    "registers that are no quadruples": (0x09, bytes(20), 0x05, 0xC0),
    "data that nobody has announced": (0x03, struct.pack("<4I", 0, 0, 0, 0), 0x07, 0xC1),
    "the end of a session that did not begin": (0x04, struct.pack("<I", 1), 0x06, 0xC6),
    "a session behind the end of the flash": (0x02, struct.pack("<4I", BLOCK, 1, 1024, MEGABYTE), 0x06, 0xC4),
    "a session of more than the flash": (0x10, struct.pack("<4I", 0xFFFFFFFF, 1, 1024, 0), 0x06, 0xC4),
    "blocks larger than there is room for": (0x02, struct.pack("<4I", BLOCK, 1, 0x8000, 0), 0x05, 0xC2),
    "a digest behind the end": (0x13, struct.pack("<4I", MEGABYTE - 1, 2, 0, 0), 0x06, 0xC4),
    "RAM for more than a megabyte": (0x05, struct.pack("<4I", 1 << 30, 1, 1024, 0), 0x05, 0xC0),
}


@pytest.mark.parametrize("sentence", REFUSED)
def test_refused_with_the_code_of_the_one_that_refuses(sentence, rom):
    op, data, code, stub_code = REFUSED[sentence]
    assert rom.ask(op, data)[2] == bytes([1, code, 0, 0])
    rom.run_stub()
    assert rom.ask(op, data)[2] == bytes([stub_code, 0])


def test_what_only_the_stub_can_is_unknown_to_the_rom(rom):
    for op in (0xD0, 0xD1, 0xD2, 0xD3):
        assert rom.ask(op, bytes(16))[2][0] == 1, hex(op)


def test_what_only_the_rom_can_is_unknown_to_the_stub(stub):
    assert stub.words(0x0E, 0, 64)[2] == b"\xff\0"


@pytest.mark.parametrize("op", [0x03, 0x11])
def test_a_block_with_a_wrong_checksum_is_refused_and_can_be_sent_again(rom, op):
    data = zlib.compress(DATA)[:1024] if op == 0x11 else DATA[:1024]
    rom.words(op - 1 if op == 0x03 else 0x10, len(DATA), 10, 1024, 0)
    assert rom.block(op, 0, data, spoil=1) == bytes([1, 7, 0, 0])
    assert rom.block(op, 0, data) == OK_ROM


def test_the_rom_erases_when_a_session_begins_and_the_stub_when_it_gets_there(rom):
    rom.flash.program(0, bytes(4 * BLOCK))
    rom.words(0x02, 3 * BLOCK, 12, 1024, 0)
    assert rom.flash.read(0, 4 * BLOCK) == b"\xff" * 3 * BLOCK + bytes(BLOCK)
    rom.run_stub()
    rom.flash.program(0, bytes(4 * BLOCK))
    rom.words(0x02, 3 * BLOCK, 12, 0x4000, 0)
    assert rom.flash.read(0, 4 * BLOCK) == bytes(4 * BLOCK)
    rom.block(0x03, 0, b"\x0f" * 100)
    assert rom.flash.read(0, 200) == b"\x0f" * 100 + b"\xff" * 100
    assert rom.flash.read(BLOCK, 1) == b"\0"


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("with_stub", [False, True])
def test_a_session_writes_what_was_sent(rom, compressed, with_stub):
    if with_stub:
        rom.run_stub()
    size = 0x4000 if with_stub else 0x400
    stream = zlib.compress(DATA) if compressed else DATA
    blocks = [stream[at : at + size] for at in range(0, len(stream), size)]
    rom.words(0x10 if compressed else 0x02, len(DATA), len(blocks), size, 0x3000)
    for sequence, block in enumerate(blocks):
        padded = block if compressed else block.ljust(size, b"\xff")
        for _ in range(2):  # the answer was lost, the host sends it again
            assert set(rom.block(0x11 if compressed else 0x03, sequence, padded)) == {0}
    assert rom.flash.read(0x3000, len(DATA)) == DATA
    assert rom.flash.programmed == len(DATA)
    _, digest, _ = rom.words(0x13, 0x3000, len(DATA), 0, 0)
    wanted = hashlib.md5(DATA)
    assert digest == (wanted.digest() if with_stub else wanted.hexdigest().encode())


def test_a_block_out_of_order_is_refused(rom):
    rom.words(0x02, BLOCK, 4, 1024, 0)
    assert rom.block(0x03, 2, bytes(1024)) == bytes([1, 5, 0, 0])


def test_a_stream_that_inflates_to_more_than_was_announced_is_refused(stub):
    bomb = zlib.compress(bytes(MEGABYTE))
    stub.words(0x10, BLOCK, 1, 0x4000, 0)
    assert stub.block(0x11, 0, bomb) == b"\xc9\0"
    assert stub.flash.programmed == 0


def test_a_stream_that_is_none_is_refused(stub):
    stub.words(0x10, BLOCK, 1, 0x4000, 0)
    assert stub.block(0x11, 0, b"no zlib at all") == b"\xc7\0"


def test_data_of_the_other_kind_of_session_is_refused(stub):
    stub.words(0x10, BLOCK, 1, 0x4000, 0)
    assert stub.block(0x03, 0, bytes(16)) == b"\xc6\0"


AFTER_END = {  # (stub, flag): where the chip goes; nothing = it stays
    (False, 0): [False],
    (False, 1): [True],
    (True, 0): [False],
    (True, 1): [],
}


@pytest.mark.parametrize(("with_stub", "flag"), AFTER_END)
def test_the_end_of_a_session_leaves_the_loader_as_the_flag_says(rom, with_stub, flag):
    if with_stub:
        rom.run_stub()
    rom.words(0x02, 0, 0, 1024, 0)
    rom.words(0x04, flag)
    assert rom.left == AFTER_END[with_stub, flag]


def test_run_user_code_is_not_answered(stub):
    assert stub.feed(0xD3) == []
    assert stub.left == [True]


def test_a_slow_read_always_gives_64_bytes(rom):
    rom.flash.program(100, b"hello")
    assert rom.words(0x0E, 100, 5)[1] == b"hello" + bytes(59)
    assert rom.words(0x0E, 100, 65)[2] == bytes([1, 5, 0, 0])


def test_a_read_sends_a_window_and_ends_with_the_digest(stub):
    stub.flash.program(0, DATA)
    frames = stub.feed(0xD2, struct.pack("<4I", 0, len(DATA), 0x1000, 2))
    assert len(frames) == 1 + 2  # the answer, and as many as may be on their way
    got = b"".join(frames[1:])
    while len(got) < len(DATA):
        stub.sent.clear()
        stub.loader.feed(slip.encode(struct.pack("<I", len(got))))
        got += b"".join(slip.Decoder(1 << 16).feed(bytes(stub.sent)))
    assert got == DATA
    stub.sent.clear()
    stub.loader.feed(slip.encode(struct.pack("<I", len(got))))
    assert slip.Decoder(64).feed(bytes(stub.sent)) == [hashlib.md5(DATA).digest()]
    assert stub.words(0x0A, 0)[2] == OK_STUB  # and is a loader again


def test_a_command_ends_a_read_that_nobody_acknowledges(stub):
    stub.feed(0xD2, struct.pack("<4I", 0, len(DATA), 0x1000, 2))
    assert stub.words(0x0A, 0)[2] == OK_STUB


def test_erasing(stub):
    stub.flash.program(0, bytes(3 * BLOCK))
    stub.words(0xD1, BLOCK, BLOCK)
    assert stub.flash.read(0, 3 * BLOCK) == bytes(BLOCK) + b"\xff" * BLOCK + bytes(BLOCK)
    stub.ask(0xD0)
    assert stub.flash.read(0, stub.size) == b"\xff" * stub.size


def test_digests_are_spoilt_as_often_as_asked(stub):
    good = stub.words(0x13, 0, 100, 0, 0)[1]
    stub.loader.spoil_md5 = 1
    assert stub.words(0x13, 0, 100, 0, 0)[1] != good
    assert stub.words(0x13, 0, 100, 0, 0)[1] == good


def test_registers_that_were_written_are_bounded(rom):
    for number in range(5000):
        status = rom.write_reg(0x10000000 + 4 * number, 1)
    assert status == bytes([1, 6, 0, 0])
    assert rom.read_reg(0x10000000) == 1
