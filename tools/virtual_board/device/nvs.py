"""`esp32.NVS` in the nvs partition, in the format of ESP-IDF (nvs_flash, version 2), so that its tools can read it.

A page is one sector: a head, two bits of state for each of 126 entries, the entries of 32 bytes. Something new is
written whole before its old value is marked as erased; what a power cut leaves half-written does not count, and of two
values the later one does.
"""

import binascii
import struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tools.virtual_board.device.chip import Region

PAGE = 4096
ENTRIES = 126
_SIZE = 32
_BITMAP = 32
_FIRST = 64
_ACTIVE = 0xFFFFFFFE
_FULL = 0xFFFFFFFC
_FREEING = 0xFFFFFFF8
_BLANK = 0xFFFFFFFF
_VERSION = 0xFE
_WRITTEN = 2
_ERASED = 0
U8 = 0x01
I32 = 0x14
BLOB_DATA = 0x42
BLOB_INDEX = 0x48
ANY = 0xFF  # chunk index of what has no chunks
_CHUNK_MAX = 4000
_SECOND = 0x80  # chunks of every other version of a blob count from here
_NOT_FOUND = -0x1102  # ESP_ERR_NVS_*
_NOT_ENOUGH_SPACE = -0x1105
_INVALID_NAME = -0x1106
_KEY_TOO_LONG = -0x1109
_INVALID_LENGTH = -0x110C
_NAME_MAX = 15


def crc32(data: "bytes | memoryview") -> int:
    """As the ROM computes it from 0xFFFFFFFF."""
    return binascii.crc32(data, 0xFFFFFFFF)


class Item:
    """One value: where it stands, and what it is."""

    def __init__(self, page: int, index: int, raw: bytes) -> None:
        self.page = page
        self.index = index
        self.space, self.type, self.span, self.chunk = raw[0], raw[1], raw[2], raw[3]
        self.key = raw[8:24].split(b"\0")[0]
        self.value = raw[24:32]
        self.raw = raw

    @property
    def name(self) -> "tuple[int, bytes, int, int]":
        """What makes it another value than others: a number replaces a number of that name whatever its size."""
        kind = self.type if self.type in (BLOB_DATA, BLOB_INDEX) else 0
        return self.space, self.key, kind, self.chunk


class Storage:
    """All values in `region`. OSError when there is no room."""

    def __init__(self, region: "Region") -> None:
        self._region = region
        self.items: "dict[tuple[int, bytes, int, int], Item]" = {}
        self._pages: "dict[int, int]" = {}  # sequence of every page that is in use
        self._active = -1
        self._next = 0  # free entry of the active page
        self._load()

    # -- reading

    def _load(self) -> None:
        freeing = []
        for page in range(self._region.blocks):
            head = self._read(page, 0, 32)
            state, sequence = struct.unpack("<II", head[:8])
            if state in (_ACTIVE, _FULL, _FREEING) and struct.unpack("<I", head[28:])[0] == crc32(head[4:28]):
                self._pages[page] = sequence
                if state == _FREEING:
                    freeing.append(page)
        for page in sorted(self._pages, key=lambda page: self._pages[page]):
            self._active, self._next = page, self._load_page(page)
        for page in freeing:  # the power was cut while its values were moved: move those that were not
            self._empty(page)

    def _load_page(self, page: int) -> int:
        """Take the items of a page; the index behind the last entry that was touched."""
        index = free = 0
        while index < ENTRIES:
            state = self._state(page, index)
            raw = self._read(page, _FIRST + index * _SIZE, _SIZE)
            if state != 3 or raw != b"\xff" * _SIZE:
                free = index + 1
            span = 1
            if state == _WRITTEN and struct.unpack("<I", raw[4:8])[0] == crc32(raw[:4] + raw[8:]):
                item = Item(page, index, raw)
                span = max(1, item.span)
                if self._whole(item):
                    self._take(item)
                free = min(index + span, ENTRIES)
            index += span
        return free

    def _take(self, item: Item) -> None:
        """The value counts; one of the same name that stands there still does not."""
        old = self.items.get(item.name)
        self.items[item.name] = item
        if old is not None:
            self._mark_erased(old)

    def _whole(self, item: Item) -> bool:
        if item.type != BLOB_DATA:
            return True
        check = struct.unpack("<I", item.value[4:])[0]
        return item.index + item.span <= ENTRIES and crc32(self.data(item)) == check

    def data(self, item: Item) -> bytes:
        """The bytes behind an item of data."""
        size = struct.unpack("<H", item.value[:2])[0]
        return self._read(item.page, _FIRST + (item.index + 1) * _SIZE, size)

    def _read(self, page: int, at: int, size: int) -> bytes:
        raw = bytearray(size)
        self._region.readblocks(page, raw, at)
        return bytes(raw)

    def _state(self, page: int, index: int) -> int:
        return self._read(page, _BITMAP + index // 4, 1)[0] >> index % 4 * 2 & 3

    # -- writing

    def put(self, space: int, kind: int, key: bytes, value: bytes, chunk: int = ANY, data: bytes = b"") -> None:
        """Write a value, then erase the one that it replaces."""
        span = 1 + (len(data) + _SIZE - 1) // _SIZE
        self._make_room(span)
        self._write(bytes([space, kind, span, chunk]), key + bytes(16 - len(key)) + value, data)

    def _write(self, head: bytes, rest: bytes, data: bytes) -> None:
        """Append an entry to the active page, which has room for it."""
        span = head[2]
        raw = head + struct.pack("<I", crc32(head + rest)) + rest
        page, index = self._active, self._next
        self._next += span
        if data:
            padded = data + b"\xff" * (-len(data) % _SIZE)
            self._region.writeblocks(page, padded, _FIRST + (index + 1) * _SIZE)
        self._region.writeblocks(page, raw, _FIRST + index * _SIZE)
        self._mark(page, index, span, _WRITTEN)
        self._take(Item(page, index, raw))

    def erase(self, item: Item) -> None:
        """The value is gone."""
        del self.items[item.name]
        self._mark_erased(item)

    def _mark_erased(self, item: Item) -> None:
        """What is behind the head first: alone it would be taken for entries of its own."""
        if item.span > 1:
            self._mark(item.page, item.index + 1, item.span - 1, _ERASED)
        self._mark(item.page, item.index, 1, _ERASED)

    def _mark(self, page: int, index: int, span: int, state: int) -> None:
        first, last = index // 4, (index + span - 1) // 4
        bits = bytearray(self._read(page, _BITMAP + first, last - first + 1))
        for entry in range(index, index + span):
            at = entry // 4 - first
            shift = entry % 4 * 2
            bits[at] &= ~(3 << shift) & 0xFF | state << shift
        self._region.writeblocks(page, bits, _BITMAP + first)

    def _make_room(self, span: int) -> None:
        """Make sure that the active page has room; one page always stays blank, to move values to."""
        if self._active >= 0 and self._next + span <= ENTRIES:
            return
        for _ in range(self._region.blocks):
            if len(self._pages) < self._region.blocks - 1:
                self._begin_page()
                return
            self._clean()
            if self._next + span <= ENTRIES:
                return
        raise OSError(_NOT_ENOUGH_SPACE)

    def _begin_page(self) -> None:
        """A blank page becomes the active one."""
        if self._active >= 0:
            self._region.writeblocks(self._active, struct.pack("<I", _FULL), 0)
        page = min([page for page in range(self._region.blocks) if page not in self._pages])
        if self._read(page, 0, PAGE) != b"\xff" * PAGE:
            self._region.erase(page)
        sequence = max(self._pages.values()) + 1 if self._pages else 0
        head = struct.pack("<IB", sequence, _VERSION) + b"\xff" * 19
        self._region.writeblocks(page, struct.pack("<I", _ACTIVE) + head + struct.pack("<I", crc32(head)), 0)
        self._pages[page] = sequence
        self._active, self._next = page, 0

    def _clean(self) -> None:
        """Move the values of the page that has the fewest to a blank one."""
        used = dict.fromkeys(self._pages, 0)
        for item in self.items.values():
            used[item.page] += item.span
        self._empty(min(used, key=lambda page: (used[page], self._pages[page])))

    def _empty(self, page: int) -> None:
        self._region.writeblocks(page, struct.pack("<I", _FREEING), 0)
        moving = [item for item in self.items.values() if item.page == page]
        if moving and (page == self._active or self._next + sum([item.span for item in moving]) > ENTRIES):
            self._active = -1 if page == self._active else self._active
            self._begin_page()
        for item in sorted(moving, key=lambda item: item.index):
            self._write(item.raw[:4], item.raw[8:], self.data(item) if item.type == BLOB_DATA else b"")
        self._region.erase(page)
        del self._pages[page]
        if page == self._active:
            self._active = -1

    # -- names and values

    def space(self, name: bytes) -> int:
        """Number of a namespace, which is made when it is new."""
        taken = {item.key: item.value[0] for item in self.items.values() if item.space == 0}
        if name not in taken:
            taken[name] = min([number for number in range(1, 255) if number not in taken.values()])
            self.put(0, U8, name, bytes([taken[name]]) + b"\xff" * 7)
        return taken[name]

    def blob(self, space: int, key: bytes) -> bytes:
        """A blob; OSError when there is none."""
        index = self.items.get((space, key, BLOB_INDEX, ANY))
        if index is None:
            raise OSError(_NOT_FOUND)
        size, count, start = struct.unpack("<IBB", index.value[:6])
        parts = [self.items.get((space, key, BLOB_DATA, start + number)) for number in range(count)]
        data = b"".join([self.data(item) for item in parts if item is not None])
        if len(data) != size:
            raise OSError(_NOT_FOUND)
        return data

    def set_blob(self, space: int, key: bytes, data: bytes) -> None:
        """Write a blob beside its old version, then the index, which makes it count, then erase the old chunks."""
        index = self.items.get((space, key, BLOB_INDEX, ANY))
        start = _SECOND if index is not None and index.value[5] == 0 else 0
        for item in self._chunks(space, key, start):  # of a version that was never finished
            self.erase(item)
        chunks = [data[at : at + _CHUNK_MAX] for at in range(0, len(data), _CHUNK_MAX)]
        for number, chunk in enumerate(chunks):
            value = struct.pack("<HHI", len(chunk), 0xFFFF, crc32(chunk))
            self.put(space, BLOB_DATA, key, value, start + number, chunk)
        self.put(space, BLOB_INDEX, key, struct.pack("<IBBH", len(data), len(chunks), start, 0xFFFF))
        for item in self._chunks(space, key, _SECOND - start):
            self.erase(item)

    def _chunks(self, space: int, key: bytes, start: int) -> "list[Item]":
        return [
            item
            for item in self.items.values()
            if (item.space, item.key, item.type, item.chunk & _SECOND) == (space, key, BLOB_DATA, start)
        ]


class NVS:
    """`esp32.NVS`: the values of one namespace. They are in flash when a setter returns; `commit` has nothing to do."""

    board: "Any" = None

    def __init__(self, namespace: str) -> None:
        if self.board.nvs is None:
            row = self.board.partition("nvs")
            if row is None:
                raise OSError(_NOT_FOUND)
            self.board.nvs = Storage(self.board.region(row))
        self._storage: Storage = self.board.nvs
        self._space = self._storage.space(_name(namespace))

    def set_i32(self, key: str, value: int) -> None:
        """Keep a number."""
        self._storage.put(self._space, I32, _name(key), struct.pack("<i", value) + b"\xff" * 4)

    def get_i32(self, key: str) -> int:
        """A number; OSError when there is none."""
        item = self._storage.items.get((self._space, _name(key), 0, ANY))
        if item is None:
            raise OSError(_NOT_FOUND, "ESP_ERR_NVS_NOT_FOUND")
        found: int = struct.unpack("<i", item.value[:4])[0]
        return found

    def set_blob(self, key: str, value: "bytes | bytearray | memoryview") -> None:
        """Keep bytes."""
        self._storage.set_blob(self._space, _name(key), bytes(value))

    def get_blob(self, key: str, buffer: "bytearray | memoryview") -> int:
        """Fill `buffer`; the number of bytes. OSError when there is none, or when it does not fit."""
        data = self._storage.blob(self._space, _name(key))
        if len(data) > len(buffer):
            raise OSError(_INVALID_LENGTH)
        buffer[: len(data)] = data
        return len(data)

    def erase_key(self, key: str) -> None:
        """Forget a value; OSError when there is none."""
        storage = self._storage
        found = [item for item in storage.items.values() if (item.space, item.key) == (self._space, _name(key))]
        if not found:
            raise OSError(_NOT_FOUND, "ESP_ERR_NVS_NOT_FOUND")
        for item in sorted(found, key=lambda item: -item.type):  # the index of a blob first: then it is gone
            storage.erase(item)

    def commit(self) -> None:
        """Every setter has done it."""


def _name(text: str) -> bytes:
    name = text.encode()
    if not name:
        raise OSError(_INVALID_NAME)
    if len(name) > _NAME_MAX:
        raise OSError(_KEY_TOO_LONG)
    return name
