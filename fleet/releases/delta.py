"""The payload of an update (SPEC 16): a program as copies from the one that a node runs, and what is new.

Each file is made from one file: that of the same path, or the one that it has most in common with. Of the copies that
could go on a file the longest is taken, unless the one that begins a byte later is longer. How short a copy may be and
still pay depends on how well deflate packs what is around it, so several lengths are tried and the shortest payload
wins. The same programs give the same bytes, as long as zlib is the same.
"""

import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby

from protocol import manifest
from protocol.payload import COPY, FORMAT, INSERT, MAX_BITS, MIN_BITS, SAME, SOURCE

_SEED = 5  # bytes of the pieces by which copies are found
_PLACES = 32  # places of a piece that are looked at
_LEAST = (4, 5, 6, 8, 12)  # bytes of the shortest copy
_LEAST_STRAIGHT = 3  # of one that goes on where the last one would have
_PACKERS = ((8, zlib.Z_DEFAULT_STRATEGY), (9, zlib.Z_DEFAULT_STRATEGY), (9, zlib.Z_FILTERED))  # (memory, strategy)


@dataclass(frozen=True)
class Program:
    """What one slot holds: its manifest, and {path: contents} of the files that this names."""

    manifest: bytes
    files: Mapping[str, bytes]

    @classmethod
    def of(cls, document: bytes, get: Callable[[bytes], bytes]) -> "Program":
        """The program of a manifest; `get` gives the contents of a digest. Raises DecodeError for no manifest."""
        return cls(document, {file.path: get(file.sha256) for file in manifest.load(document).files})


def full(program: Program) -> bytes:
    """The payload for a node that has nothing of use."""
    contents = [program.manifest, *(program.files[path] for path in sorted(program.files))]
    return _packed(b"".join(_insert(data) for data in contents), MAX_BITS)


def delta(new: Program, old: Program) -> bytes:
    """The payload of `new` for a node that runs `old`; never longer than `full`."""
    sources = _sources(old)
    streams = {_operations(new, old, sources, least) for least in _LEAST}
    return min([*(_packed(stream, MIN_BITS) for stream in sorted(streams)), full(new)], key=len)


def _packed(stream: bytes, bits: int) -> bytes:
    """The shortest that zlib makes of it."""
    found = []
    for memory, strategy in _PACKERS:
        packer = zlib.compressobj(9, zlib.DEFLATED, -bits, memory, strategy)
        found.append(packer.compress(stream) + packer.flush())
    return bytes((FORMAT, bits)) + min(found, key=len)


def _operations(new: Program, old: Program, sources: "list[_Source]", least: int) -> bytes:
    """Everything: the manifest, then the files; a run of files that are as they were is one operation."""
    out = bytearray(_file(new.manifest, sources[0], least))
    own = {source.path: source for source in sources}
    paths = [path for path in sorted(new.files) if new.files[path]]
    for is_same, run in groupby(paths, key=lambda path: new.files[path] == old.files.get(path)):
        if is_same:
            out += _operation(SAME, len(list(run)))
            continue
        for path in run:
            source = own.get(path) or _nearest(new.files[path], sources)
            if source.path != path:
                out += _operation(SOURCE, source.number)
            out.extend(_file(new.files[path], source, least))
    return bytes(out)


def _file(data: bytes, source: "_Source", least: int) -> Iterator[int]:
    """The operations that make one file from a source."""
    straight = at = begun = 0  # straight: where a copy begins that needs no offset; begun: what is not written yet
    while at < len(data):
        start, size = source.find(data, at, straight)
        pays = size >= (_LEAST_STRAIGHT if start == straight else least)
        if not pays or source.find(data, at + 1, straight + 1)[1] > size + 1:
            at += 1
            straight += 1
            continue
        yield from _insert(data[begun:at])
        far = start - straight
        yield from _operation(COPY, size) + _varint(far << 1 if far >= 0 else -far * 2 - 1)
        straight = start + size
        at = begun = at + size
    yield from _insert(data[begun:])


def _operation(kind: int, count: int) -> bytes:
    return _varint(count << 2 | kind)


def _insert(data: bytes) -> bytes:
    return _operation(INSERT, len(data)) + data if data else b""


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _sources(program: Program) -> "list[_Source]":
    """The files of a program by their numbers: 0 the manifest, n the n-th file of it."""
    rows = [(manifest.PATH, program.manifest), *sorted(program.files.items())]
    return [_Source(number, path, data) for number, (path, data) in enumerate(rows)]


def _nearest(data: bytes, sources: "list[_Source]") -> "_Source":
    """The source that has most in common with a file."""
    return max(sources, key=lambda source: source.common(data))


class _Source:
    """A file to copy from, and where in it every piece of _SEED bytes is."""

    def __init__(self, number: int, path: str, data: bytes) -> None:
        self.number = number
        self.path = path
        self._data = data
        self._index: dict[bytes, list[int]] = {}

    def common(self, data: bytes) -> int:
        """How many pieces of `data` are in it."""
        return len(self._pieces().keys() & {data[at : at + _SEED] for at in range(len(data) - _SEED + 1)})

    def find(self, data: bytes, at: int, straight: int) -> tuple[int, int]:
        """(start, size) of the longest copy for `data` from `at`; of equals the one that is nearest to `straight`."""
        places = self._pieces().get(data[at : at + _SEED], [])
        best, size = straight, _common(data, at, self._data, straight)
        for start in sorted(places, key=lambda start: abs(start - straight))[:_PLACES]:
            found = _common(data, at, self._data, start)
            if found > size + (best == straight):  # an offset costs a byte
                best, size = start, found
        return best, size

    def _pieces(self) -> dict[bytes, list[int]]:
        if not self._index:
            for at in range(len(self._data) - _SEED + 1):
                self._index.setdefault(self._data[at : at + _SEED], []).append(at)
        return self._index


def _common(one: bytes, at: int, other: bytes, start: int) -> int:
    """How many bytes are equal from `at` in `one` and from `start` in `other`."""
    most = min(len(one) - at, len(other) - start)
    size, step = 0, 64
    while size < most and step:
        if one[at + size : at + size + step] == other[start + size : start + size + step]:
            size += step
        else:
            step //= 2
    return max(0, min(size, most))
