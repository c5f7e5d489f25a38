"""Base images: MicroPython as it is offered for download, checked before any of it reaches a board.

Nothing is downloaded here. A version is looked for in a directory of files under the names that they are downloaded
with; what is missing is named with the page that has it. Beside an image there may be its SHA-256, as `sha256sum`
writes it: IMAGE.sha256.
"""

import hashlib
import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from fleet.errors import FleetError, NotFoundError, UsageError, VerificationError
from fleet.flashing import partitions
from fleet.flashing.chips import BY_IMAGE_ID, Chip
from fleet.flashing.partitions import Partition
from fleet.flashing.piece import Piece

LEAST = (1, 24)  # of MicroPython: what asyncio, ssl and esp32 of the firmware need
PAGE = "https://micropython.org/download/{}/"
SIZE_MAX = 16 << 20  # bytes of a file that is read at all
# ESP-IDF Programming Guide, "App Image Format": magic, segments, .., chip id, .., whether a SHA-256 follows
_HEADER = struct.Struct("<BB10xH9xB")
_SEGMENT = struct.Struct("<LL")
_MAGIC = 0xE9
_SEGMENTS_MAX = 16
_CHECKSUM = 0xEF
_SHA256 = 32
_BANNER = re.compile(rb"MicroPython v?(\d{1,3}\.\d{1,3}[\w.+-]{0,40}) on \d{4}-")
_DESCRIPTION = struct.Struct("<L12x32s32s")  # esp_app_desc_t: magic, .., version, project
_DESCRIBED = 0xABCD5432
_PROJECT = b"micropython"
_WANTED = re.compile(r"(?:([A-Z][A-Z0-9_]*)-)?v?(\d{1,3}\.\d{1,3}(?:\.\d{1,3})?(?:-[\w.]{1,40})?)", re.ASCII)
_FILE = re.compile(r"(\d{8})(?:-unstable)?-v(\d{1,3}\.\d{1,3}[\w.-]*)\.bin", re.ASCII)


@dataclass(frozen=True)
class Base:
    """A checked image. `version` is MicroPython's, empty when the image does not say it."""

    name: str
    chip: Chip
    version: str
    table: tuple[Partition, ...]
    data: bytes = field(repr=False)

    def pieces(self) -> list[Piece]:
        """What has to be in flash: bootloader, table, programs, and no choice yet between two of these.

        NVS and the calibration of the radio are left as they are, though the file has blanks in their place.
        """
        found = [
            Piece("bootloader", self.chip.bootloader, self._part(self.chip.bootloader, partitions.OFFSET)),
            Piece(
                "partition table", partitions.OFFSET, self._part(partitions.OFFSET, partitions.OFFSET + partitions.SIZE)
            ),
        ]
        for row in self.table:
            if row.type == partitions.APP:
                found.append(Piece(row.label, row.offset, self._part(row.offset, row.end)))
            elif row.subtype == partitions.OTADATA and row.type == partitions.DATA:
                found.append(Piece(row.label, row.offset, b"\xff" * row.size))
        return [piece for piece in found if piece.data]

    def _part(self, begin: int, end: int) -> bytes:
        """The bytes of a region of flash as far as the file has them, without blanks behind the digest that ends it."""
        part = self.data[begin - self.chip.bootloader : end - self.chip.bootloader]
        return part[: len(part.rstrip(b"\xff")) + _SHA256]


def check(data: bytes, name: str, sha256: str = "") -> Base:
    """What an image is; VerificationError when its digest is another one, or when it is none, damaged or too old."""
    if sha256 and hashlib.sha256(data).hexdigest() != sha256.strip().lower():
        raise VerificationError(
            f"{name} is not the file that was meant",
            cause=f"its SHA-256 is {hashlib.sha256(data).hexdigest()}",
            hint="download it again",
        )
    chip = _chip(_image(data, name))
    table = _table(data, chip, name)
    first = min((row for row in table if row.type == partitions.APP), key=lambda row: row.offset, default=None)
    if first is None:
        raise _refused(name, "its partition table has no program")
    program = data[first.offset - chip.bootloader : first.end - chip.bootloader]
    if _chip(_image(program, name)) != chip:
        raise _refused(name, "bootloader and program are for different chips")
    version = version_of(program)
    if is_too_old(version):
        least = ".".join(map(str, LEAST))
        raise VerificationError(
            f"{name} is MicroPython {version}",
            cause=f"the firmware needs {least} or newer",
            hint=f"download a newer one: {PAGE.format(chip.download)}",
        )
    return Base(name, chip, version, tuple(table), data)


def check_program(data: bytes, name: str) -> tuple[Chip, str]:
    """(chip, version of MicroPython) of an image for one program partition, as an update brings it.

    VerificationError when it is none, damaged or too old. The version is empty when the image does not say it.
    """
    hint = "take an .app-bin as micropython.org offers it for updates (not the .bin of the first installation)"
    at = _HEADER.size + _SEGMENT.size
    try:
        chip = _chip(_image(data, name))
    except VerificationError as error:
        raise VerificationError(f"{name} is no image of a program", hint, error.cause or error.message) from None
    if data[at : at + 4] != _DESCRIBED.to_bytes(4, "little"):
        raise VerificationError(f"{name} is no image of a program", hint, "it does not describe itself as one")
    version = version_of(data)
    if is_too_old(version):
        least = ".".join(map(str, LEAST))
        raise VerificationError(f"{name} is MicroPython {version}", hint, f"the firmware needs {least} or newer")
    return chip, version


def is_too_old(version: str) -> bool:
    """Whether the firmware needs a newer MicroPython than that; nobody knows for one that does not say its version."""
    found = re.match(r"(\d{1,3})\.(\d{1,3})", version)
    return found is not None and (int(found[1]), int(found[2])) < LEAST


def version_of(program: bytes) -> str:
    """The version of the MicroPython in an image of a program, such as 1.26.1; nothing when it does not say it."""
    banner = _BANNER.search(program)
    if banner:
        return banner[1].decode()
    at = _HEADER.size + _SEGMENT.size
    if len(program) >= at + _DESCRIPTION.size:
        magic, version, project = _DESCRIPTION.unpack_from(program, at)
        found = re.match(rb"v?(\d{1,3}\.\d{1,3}[\w.+-]{0,30})", version)
        if magic == _DESCRIBED and project.rstrip(b"\0") == _PROJECT and found:
            return found[1].decode()
    return ""


def _image(data: bytes, name: str) -> int:
    """The chip id of the image that `data` begins with, whose checksum and digest hold."""
    if len(data) < _HEADER.size or data[0] != _MAGIC:
        raise _refused(name, "it does not begin as an image of an ESP32")
    _, segments, chip_id, hashed = _HEADER.unpack_from(data)
    at, total = _HEADER.size, _CHECKSUM
    for _ in range(min(segments, _SEGMENTS_MAX)):
        if at + _SEGMENT.size > len(data):
            break
        size = _SEGMENT.unpack_from(data, at)[1]
        at += _SEGMENT.size
        total ^= _parity(data[at : at + size])
        at += size
    at += 16 - at % 16  # the checksum is the last byte of a line of 16
    if at + (_SHA256 if hashed else 0) > len(data):
        raise _refused(name, "a part of it is missing")
    if data[at - 1] != total:
        raise _refused(name, "its checksum does not hold")
    if hashed and hashlib.sha256(data[:at]).digest() != data[at : at + _SHA256]:
        raise _refused(name, "its SHA-256 does not hold")
    return int(chip_id)


def _parity(data: bytes) -> int:
    """All bytes combined by exclusive or."""
    number = int.from_bytes(data, "little")
    bits = max(8, 1 << (len(data) * 8 - 1).bit_length())
    while bits > 8:
        bits //= 2
        number = (number >> bits) ^ (number & (1 << bits) - 1)
    return number


def _chip(image_id: int) -> Chip:
    chip = BY_IMAGE_ID.get(image_id)
    if chip is None:
        raise VerificationError(f"the image is for a chip that is not supported (no. {image_id})")
    return chip


def _table(data: bytes, chip: Chip, name: str) -> list[Partition]:
    try:
        return partitions.parse(data[partitions.OFFSET - chip.bootloader :][: partitions.SIZE])
    except VerificationError as error:
        raise _refused(name, f"{error.message}: {error.cause}") from None


def _refused(name: str, cause: str) -> VerificationError:
    hint = "take a .bin as micropython.org offers it for the first installation (not .app-bin), and download it again"
    return VerificationError(f"{name} is no base image", cause=cause, hint=hint)


class Shelf:
    """The base images of this computer: one file that was named, or the directory of downloaded ones."""

    def __init__(self, directory: Path, wanted: str = "", sha256: str = "") -> None:
        """`wanted` is a path, a version (1.26.1), a variant and version (OTA-1.26.1), or nothing for the newest.

        A file that is named is read and checked at once, before any board is asked.
        """
        self._directory = directory
        self._sha256 = sha256
        version = _WANTED.fullmatch(wanted)
        self._file = None if not wanted or version else Path(wanted)
        self._variant, self._version = (version[1] or "", version[2]) if version else ("", "")
        if sha256 and not wanted:
            raise UsageError("a digest without a file", hint="name the file with --micropython")
        self._read: dict[Path, Base] = {}
        if self._file is not None:
            self._load(self._file)

    @property
    def is_named(self) -> bool:
        """Whether somebody asked for a certain image."""
        return self._file is not None or bool(self._version)

    def find(self, chip: Chip) -> Base:
        """The image for a chip; NotFoundError says where to get it and where to put it."""
        base = self._load(self._file or self._newest(chip))
        if base.chip != chip:
            raise VerificationError(
                f"{base.name} is for {base.chip.name}, and this chip is {chip.name}",
                hint=f"take an image of {PAGE.format(chip.download)}",
            )
        return base

    def _newest(self, chip: Chip) -> Path:
        prefix = f"{chip.download}-{self._variant}-" if self._variant else f"{chip.download}-"
        found: dict[tuple[tuple[int, ...], str], Path] = {}
        for path in self._directory.glob(f"{prefix}*.bin"):
            parts = _FILE.fullmatch(path.name.removeprefix(prefix))
            if parts and self._version in ("", parts[2]):
                found[(tuple(int(number) for number in re.findall(r"\d+", parts[2])), parts[1])] = path
        if not found:
            what = f"MicroPython {self._version}" if self._version else "no MicroPython"
            raise NotFoundError(
                f"there is {'no ' if self._version else ''}{what} for {chip.name} in {self._directory}",
                hint=f"download {prefix}*-v{self._version or '*'}.bin from {PAGE.format(chip.download)} into it,"
                " or name a file with --micropython",
            )
        return found[max(found)]

    def _load(self, path: Path) -> Base:
        if path not in self._read:
            self._read[path] = check(read(path), path.name, self._sha256 or _digest_beside(path))
        return self._read[path]


def read(path: Path) -> bytes:
    """The bytes of an image; NotFoundError, VerificationError when it is larger than any."""
    try:
        with path.open("rb") as file:
            data = file.read(SIZE_MAX + 1)
    except FileNotFoundError:
        raise NotFoundError(f"there is no {path}", hint="name a file, or a version such as 1.26.1") from None
    except OSError as error:
        raise FleetError(f"cannot read {path}", cause=error.strerror or str(error)) from error
    if len(data) > SIZE_MAX:
        raise _refused(path.name, f"it has more than {SIZE_MAX} bytes")
    return data


def _digest_beside(path: Path) -> str:
    """The digest in IMAGE.sha256, or nothing when there is no such file."""
    try:
        with path.with_name(path.name + ".sha256").open(encoding="ascii") as file:
            words = file.read(256).split()
    except FileNotFoundError:
        return ""
    except (OSError, ValueError) as error:
        raise FleetError(f"cannot read the digest of {path}", cause=str(error)) from error
    return words[0] if words else "-"


def directory(environ: Mapping[str, str]) -> Path:
    """Where base images are looked for: FLEET_CACHE, else the cache of the user (XDG Base Directory)."""
    return cache(environ) / "micropython"


def cache(environ: Mapping[str, str]) -> Path:
    """What can be made or fetched again."""
    if environ.get("FLEET_CACHE"):
        return Path(environ["FLEET_CACHE"])
    return Path(environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lumenair"
