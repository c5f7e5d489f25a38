"""Programs and payloads for tests on both interpreters: operations by name, and deflate by hand."""

from firmware.tests.fakes import Files
from node.core.slots import Slots
from protocol import manifest
from protocol.payload import COPY, FORMAT, INSERT, SAME, SOURCE
from protocol.trust import FEATURE, Release

PATH = "/data/update.bin"
OLD = {
    "node/__init__.mpy": b"VERSION 1",
    "node/app.mpy": bytes(range(256)) * 6,
    "node/core/empty.mpy": b"",
    "node/core/lamp.mpy": b"on and off and " * 40,
    "node/gone.mpy": b"what nobody needs any more" * 9,
}
NEW = {
    "boards/a.mpy": bytes(range(255, 0, -1)) * 3,
    "node/__init__.mpy": b"VERSION 2",
    "node/app.mpy": OLD["node/app.mpy"],
    "node/core/empty.mpy": b"",
    "node/core/lamp.mpy": b"on and off and " * 20 + b"up and down and " + b"on and off and " * 19,
}


def varint(value):
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def insert(data):
    return varint(len(data) << 2 | INSERT) + data if data else b""


def copy(count, far=0):
    return varint(count << 2 | COPY) + varint(far * 2 if far >= 0 else -far * 2 - 1)


def source(index):
    return varint(index << 2 | SOURCE)


def same(count):
    return varint(count << 2 | SAME)


def stored(data, final=True):
    """A raw deflate stream that does not compress."""
    out = bytearray()
    for at in range(0, len(data) or 1, 4096):
        piece = data[at : at + 4096]
        head = bytes((int(final and at + 4096 >= len(data)),)) + len(piece).to_bytes(2, "little")
        out.extend(head + (len(piece) ^ 0xFFFF).to_bytes(2, "little") + piece)
    return bytes(out)


def bomb(count):
    """A deflate stream that repeats the byte before it 258 * `count` times: 13 bits each (RFC 1951, 3.2.6)."""
    bits = "110" + "11000101" + "00000"
    out = bytearray()
    held = size = 0
    for at in range(count + 1):
        for bit in bits if at == 0 else "1100010100000" if at < count else "0000000":
            held |= int(bit) << size
            size += 1
            if size == 8:
                out.append(held)
                held = size = 0
    out.append(held)
    return bytes(out)


def payload(stream, bits=10):
    return bytes((FORMAT, bits)) + stored(stream)


def described(contents, version="2"):
    """The manifest of {path: contents}."""
    return manifest.build(version, contents).encode()


def whole(contents, document=None):
    """The operations of a program that is sent as it is."""
    document = document or described(contents)
    return insert(document) + b"".join([insert(contents[path]) for path in sorted(contents)])


def release(document, size, **other):
    """A release of that manifest."""
    values = {"product": "air", "version": "2", "sequence": 2, "expires": 1, "boards": ["b"], "chips": ["esp32"]}
    values.update(mpy=6, base_min="1.24.0", sbom=bytes(32), kind=FEATURE, size=size)
    values.update(manifest=manifest.digest(document), manifest_size=len(document))
    values.update(other)
    return Release(**values)


def fill(files, slot, contents, version="1"):
    """A program in a slot."""
    for path, data in contents.items():
        out = files.writer("/{}/{}".format(slot, path))
        out.write(data)
        out.close()
    files.write_atomic("/{}/{}".format(slot, manifest.PATH), described(contents, version))


def node(files=None):
    """(files, slots) of a node that runs OLD from slot a."""
    files = files or Files()
    fill(files, "a", OLD)
    return files, Slots(files, "a")


def result_of(steps):
    """What a generator returns."""
    try:
        while True:
            next(steps)
    except StopIteration as end:
        return end.value


def held(files, folder="/b"):
    """{path: contents} below a folder."""
    found = {}
    for name, _ in files.scan(folder):
        path = folder + "/" + name
        found.update(held(files, path[:-1]) if name.endswith("/") else {path: files.read(path)})
    return found
