"""NVS: what was set is there, whatever happened since, and however the power failed meanwhile."""

import struct

from protocol.tests.expect import raises
from tools.sim.flash import Flash, PowerCut, Ram
from tools.sim.world import hash32
from tools.virtual_board.device.chip import Region
from tools.virtual_board.device.nvs import ENTRIES, I32, NVS, PAGE, Storage, crc32

SIZE = 4 * PAGE


class Board:
    """What NVS wants of a board."""

    def __init__(self, ram=None):
        self.ram = ram or Ram(size=SIZE)
        self.flash = Flash(self.ram)
        self.nvs = None

    def partition(self, label):
        return {"offset": 0, "size": SIZE} if label == "nvs" else None

    def region(self, row):
        return Region(self.flash, row["offset"], row["size"])

    def open(self, namespace="n"):
        return type("NVS", (NVS,), {"board": self})(namespace)


def blob(nvs, key):
    buffer = bytearray(9000)
    return bytes(buffer[: nvs.get_blob(key, buffer)])


def test_values_are_there_after_a_restart():
    board = Board()
    nvs = board.open()
    nvs.set_i32("number", -7)
    nvs.set_blob("bytes", b"\xff" * 40)
    nvs.set_blob("none", b"")
    nvs.set_blob("long", bytes(range(256)) * 20)
    again = Board(board.ram).open()
    assert again.get_i32("number") == -7
    assert blob(again, "bytes") == b"\xff" * 40
    assert blob(again, "none") == b""
    assert blob(again, "long") == bytes(range(256)) * 20


def test_namespaces_do_not_see_each_other():
    board = Board()
    board.open("a").set_i32("x", 1)
    board.open("b").set_i32("x", 2)
    again = Board(board.ram)
    assert [again.open(name).get_i32("x") for name in ("a", "b")] == [1, 2]


ERRORS = (
    (lambda nvs: nvs.get_i32("nobody"), -0x1102),
    (lambda nvs: nvs.get_blob("nobody", bytearray(4)), -0x1102),
    (lambda nvs: nvs.erase_key("nobody"), -0x1102),
    (lambda nvs: nvs.set_i32("x" * 16, 1), -0x1109),
    (lambda nvs: nvs.set_i32("", 1), -0x1106),
    (lambda nvs: nvs.set_blob("b", bytes(SIZE)), -0x1105),
    (lambda nvs: nvs.get_blob("there", bytearray(1)), -0x110C),
)


def test_errors_are_those_of_the_chip():
    for what, error in ERRORS:
        nvs = Board().open()
        nvs.set_blob("there", b"two")
        assert raises(OSError, what, nvs).args[0] == error, error


def test_what_was_erased_stays_away():
    board = Board()
    nvs = board.open()
    nvs.set_i32("a", 1)
    nvs.set_blob("b", b"x" * 100)
    nvs.erase_key("a")
    nvs.erase_key("b")
    again = Board(board.ram).open()
    for key in ("a", "b"):
        raises(OSError, again.erase_key, key)


def test_the_first_entry_is_as_esp_idf_writes_it():
    board = Board()
    board.open("wifi").set_i32("chan", 6)
    head, entry = board.ram.data[:32], board.ram.data[96:128]
    assert struct.unpack("<IIB", head[:9]) == (0xFFFFFFFE, 0, 0xFE)
    assert struct.unpack("<I", head[28:])[0] == crc32(head[4:28])
    assert board.ram.data[32] == 0b11111010
    assert entry[:4] == bytes([1, I32, 1, 0xFF])
    assert entry[8:24] == b"chan" + bytes(12)
    assert entry[24:] == struct.pack("<i", 6) + b"\xff" * 4
    assert struct.unpack("<I", entry[4:8])[0] == crc32(entry[:4] + entry[8:])


def test_it_never_fills_up_with_what_is_gone():
    board = Board()
    nvs = board.open()
    for turn in range(5 * ENTRIES):
        nvs.set_i32("turn", turn)
        if turn % 50 == 0:
            nvs.set_blob("blob", bytes([turn & 0xFF]) * 1500)
    again = Board(board.ram).open()
    assert again.get_i32("turn") == 5 * ENTRIES - 1
    assert len(blob(again, "blob")) == 1500


def value_of(key, turn):
    return turn if key[0] == "i" else bytes([turn & 0xFF]) * (turn * 37 % 700)


def put(nvs, key, value):
    (nvs.set_i32 if key[0] == "i" else nvs.set_blob)(key, value)


def get(nvs, key):
    try:
        return nvs.get_i32(key) if key[0] == "i" else blob(nvs, key)
    except OSError:
        return None


KEYS = ("i0", "i1", "b0", "b1", "b2")
KEEP = (0, 1, 3, 31, 33, None)


def cut(data, operation, key, new):
    """The partition after the power failed within an operation of that change; None when it was over before."""
    dead = Board(Ram(data))
    dead.flash.cut_after(operation, KEEP[hash32(operation, len(key)) % len(KEEP)])
    try:
        put(dead.open(), key, new)
    except PowerCut:
        return dead.ram
    return None


def test_a_cut_anywhere_leaves_the_old_value_or_the_new_one():
    board = Board()
    expected = {}
    cuts = 0
    for turn in range(1, 160):
        key = KEYS[hash32(turn) % len(KEYS)]
        new = value_of(key, turn)
        before = bytes(board.ram.data)
        operation = 1
        while True:
            ram = cut(before, operation, key, new)
            if ram is None:
                break
            cuts += 1
            after = Board(ram).open()
            for other in KEYS:
                wanted = (expected.get(other), new) if other == key else (expected.get(other),)
                assert get(after, other) in wanted, (turn, operation, other)
            put(after, key, new)  # and it goes on from there
            assert get(Board(ram).open(), key) == new
            operation += 1
        put(board.open(), key, new)
        expected[key] = new
    assert cuts > 800, cuts


def test_rubbish_in_the_partition_is_blank_to_it():
    for seed in range(5):
        ram = Ram(bytes([hash32(seed, index) & 0xFF for index in range(SIZE)]))
        assert Storage(Region(Flash(ram), 0, SIZE)).items == {}
        board = Board(ram)
        board.open().set_i32("x", seed)
        assert Board(ram).open().get_i32("x") == seed
