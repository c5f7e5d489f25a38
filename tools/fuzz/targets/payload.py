"""Payloads as a node unpacks them: hostile operations, hostile deflate streams, and manifests read in windows.

Operations come unpacked, so that both interpreters see the same; how each takes damaged deflate is only held against
what it may raise.
"""

import binascii
import io

from firmware.tests import payload_rig as rig
from firmware.tests.fakes import Files
from node.core.update import UpdateError
from node.core.update.payload import Decoder
from protocol import manifest
from protocol.errors import DecodeError
from tools.fuzz import inputs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tools.fuzz.rng import Random

INTERPRETERS = ("cpython", "micropython")
BOUND = (24576, 640)
SIZES = ((manifest.PATH, 90), ("file", 300), ("nothing", 0), ("other", 14), ("tail", 40))  # what was signed
SLOT = {"file": bytes(range(250)), "other": b"from elsewhere", "tail": b"tail"}
_LONGEST = 600  # bytes that a manifest may take here


class Plain:
    """The files of a node, with payloads that are not packed."""

    def __init__(self) -> None:
        self._files: Any = Files()
        rig.fill(self._files, "a", SLOT)
        self.read_into = self._files.read_into
        self.reader = self._files.reader
        self.size = self._files.size
        self.write_atomic = self._files.write_atomic
        self.inflate = self.pass_on

    def pass_on(self, stream: "Any", bits: int) -> "Any":
        """What the stream holds."""
        return stream

    def unpack(self, stream: "Any", bits: int) -> "Any":
        """What is packed in it."""
        return self._files.inflate(stream, bits)


def seeds() -> "list[bytes]":
    """Payloads that fit SIZES, and manifests."""
    head, tail = rig.insert(bytes(90)), rig.insert(b"t" * 40)
    middle = (
        rig.copy(250) + rig.insert(b"x" * 50),
        rig.copy(9, 7) + rig.insert(b"xyz") + rig.copy(200, -9) + rig.insert(b"x" * 88),
        rig.source(2) + rig.copy(14) + rig.insert(b"." * 286),
    )
    found = [head + one + rig.same(1) + tail for one in middle]
    found.append(rig.source(0) + rig.copy(90) + middle[0] + rig.insert(b"o" * 14) + tail)
    found.append(head + rig.insert(b"f" * 300) + rig.insert(b"o" * 14) + tail)
    found.append(rig.described(SLOT))
    found.append(rig.described({"node/core/" + "m" * size: b"" for size in range(1, 6)}))
    return found


def generate(random: "Random", seeds: "list[bytes]") -> bytes:
    """Noise, operations at random, and damaged payloads and manifests."""
    how = random.below(8)
    if how == 0:
        return inputs.noise(random)
    if how < 3:
        return b"".join([_operation(random) for _ in range(1 + random.below(12))])[: inputs.MAX_SIZE]
    return inputs.damaged(random, seeds)


def _operation(random: "Random") -> bytes:
    count = random.below(1 << random.below(9))
    kind = random.below(6)
    if kind < 2:
        made = rig.insert(bytes((count & 0xFF,)) * min(count, 100))
    elif kind < 4:
        made = rig.copy(count, random.below(301) - 150)
    else:
        made = (rig.source if kind == 4 else rig.same)(random.below(5))
    return bytes(made)


_FILES = Plain()


def _unpacked(data: bytes, inflate: "Any") -> str:
    """What a payload with that stream gives, or the code of its refusal."""
    _FILES.inflate = inflate
    _FILES.write_atomic(rig.PATH, b"\x01\x0a" + data)
    digest = 0
    try:
        decoder = Decoder(_FILES, "a", rig.PATH)
        for path, size in SIZES:
            out = bytearray()
            for _ in decoder.unpack(path, size, out.extend):
                assert len(out) <= size, "more than was signed"
            assert len(out) == size, "less than was signed"
            digest = binascii.crc32(out, digest)
        decoder.end()
    except UpdateError as error:
        return str(error.code)
    return f"={digest}"


def _walked(data: bytes) -> str:
    """What is read of a manifest; where the whole is accepted, the same."""

    def read(offset: int, view: memoryview) -> int:
        return io.BytesIO(data[offset : offset + len(view)]).readinto(view) or 0

    try:
        found = list(manifest.walk(read))
    except DecodeError as error:
        return str(error)
    try:
        assert manifest.load(data).files == found, "not what the whole says"
    except DecodeError:
        return "in part"  # the form of the whole is for those who sign it
    return f"{len(found)} files"


def parse(data: bytes) -> None:
    """Unpack it, and walk over it."""
    _unpacked(data, _FILES.pass_on)
    _walked(data)


def verdict(data: bytes) -> bytes:
    """Both; and it is given to the interpreter's deflate, for what that may raise."""
    _unpacked(data, _FILES.unpack)
    said = _unpacked(data, _FILES.pass_on) + " " + _walked(data[:_LONGEST])
    return ("ok " + said if said[0] == "=" or said.endswith(" files") else said).encode()
