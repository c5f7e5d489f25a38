"""A job of an update, done once or more under MicroPython for tools/bench_update.py.

Compiled as a module of the node, so that nothing but the job takes memory. `main` prints FIGURES: the bytes that what a
job imports keeps allocated, then, of all times together, microseconds and what was done with flash.
`directory` holds what it is done with: SIGNATURE (public key, signature, message), and FLASH, the LittleFS of a node
that runs slot a, with a payload and the Release that it is of.
"""

import gc
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    Job = tuple[Callable[[], object], "Flash | None"]

FIGURES = ("kept", "us", "read", "written", "erased")  # bytes, the last one blocks
FLASH = "flash.bin"
SIGNATURE = "signature.bin"
PAYLOAD = "/data/update.bin"  # within FLASH, as RELEASE
RELEASE = "/data/release.cbor"
_ROOT = "/node"
_BLOCK = 4096
_PIECE = 512  # bytes, as the node hashes


class Flash:
    """The memory of a board in a file. It need not be erased: LittleFS writes only where it has erased."""

    def __init__(self, path: str) -> None:
        self._file = open(path, "r+b")  # noqa: SIM115 - as long as the process
        self._blocks = self._file.seek(0, 2) // _BLOCK
        self.read = self.written = self.erased = 0

    def readblocks(self, number: int, into: bytearray, offset: int = 0) -> None:
        """As MicroPython's block devices."""
        self.read += len(into)
        self._file.seek(number * _BLOCK + offset)
        self._file.readinto(into)

    def writeblocks(self, number: int, data: bytearray, offset: int = 0) -> None:
        """As MicroPython's block devices."""
        self.written += len(data)
        self._file.seek(number * _BLOCK + offset)
        self._file.write(data)

    def ioctl(self, order: int, _: int) -> int:
        """As MicroPython's block devices: number and size of blocks, erase, and what needs no work."""
        self.erased += order == 6
        return self._blocks if order == 4 else _BLOCK if order == 5 else 0


def mounted(directory: str) -> "tuple[Any, Flash]":
    """The Files door of the node, and its flash."""
    import vfs  # type: ignore[import-not-found]

    from node.board.files import Files

    flash = Flash(directory + "/" + FLASH)
    vfs.mount(vfs.VfsLfs2(flash, mtime=False), _ROOT)
    return Files(_ROOT), flash


def read(path: str) -> bytes:
    """A whole file."""
    with open(path, "rb") as file:
        return file.read()


def finish(steps: "Any") -> "Any":
    """What a generator returns."""
    try:
        while True:
            next(steps)
    except StopIteration as end:
        return end.value


def verify(directory: str) -> "Job":
    """One signature, by a key that was not seen before."""
    from node.core import ed25519

    data = read(directory + "/" + SIGNATURE)

    def job() -> None:
        if finish(ed25519.verify(data[:32], data[96:], data[32:96])) is not True:
            raise ValueError("the signature does not hold")

    return job, None


def verify_again(directory: str) -> "Job":
    """One signature, by a key whose x is known."""
    from node.core import ed25519

    data = read(directory + "/" + SIGNATURE)
    key = ed25519.Key(data[:32])
    finish(ed25519.verify(key, data[96:], data[32:96]))
    return lambda: finish(ed25519.verify(key, data[96:], data[32:96])), None


def hash_message(directory: str) -> "Job":
    """SHA-256 of what is signed."""
    from hashlib import sha256

    data = read(directory + "/" + SIGNATURE)[96:]
    return lambda: sha256(data).digest(), None


def install(directory: str) -> "Job":
    """The payload into slot b: unpacked and compared, then written, read again and compared."""
    from node.core.slots import Slots
    from node.core.update import UpdateError
    from node.core.update.install import Installer
    from protocol.refusals import U_MEMORY
    from protocol.trust import Release

    files, flash = mounted(directory)
    release = Release.decode(files.read(RELEASE))

    def job() -> None:
        try:
            finish(Installer(files, Slots(files, "a"), release, PAYLOAD).run())
        except UpdateError as error:
            if error.code == U_MEMORY:
                raise MemoryError  # noqa: B904 - MicroPython would only warn
            raise

    return job, flash


def hash_program(directory: str) -> "Job":
    """SHA-256 of every file of slot b, as it is read."""
    from hashlib import sha256

    files, flash = mounted(directory)
    piece = memoryview(bytearray(_PIECE))

    def job() -> None:
        for path in paths(files, "/b"):
            file = files.reader(path)
            hashed = sha256()
            count = file.readinto(piece)
            while count:
                hashed.update(piece[:count])
                count = file.readinto(piece)
            file.close()

    return job, flash


def paths(files: "Any", folder: str) -> "Iterator[str]":
    """Every file below a folder."""
    for name, _ in files.scan(folder):
        if name.endswith("/"):
            yield from paths(files, folder + "/" + name[:-1])
        else:
            yield folder + "/" + name


JOBS = {
    "verify": verify,
    "verify_again": verify_again,
    "hash_message": hash_message,
    "install": install,
    "hash_program": hash_program,
}


def main(directory: str, name: str, times: int) -> None:
    """Do a job so many times and print the figures."""
    gc.collect()
    empty = gc.mem_alloc()  # type: ignore[attr-defined]
    job, flash = JOBS[name](directory)
    gc.collect()
    kept = gc.mem_alloc() - empty  # type: ignore[attr-defined]
    before = (flash.read, flash.written, flash.erased) if flash else (0, 0, 0)
    begin = time.ticks_us()  # type: ignore[attr-defined]
    for _ in range(times):
        job()
    us = time.ticks_diff(time.ticks_us(), begin)  # type: ignore[attr-defined]
    after = (flash.read, flash.written, flash.erased) if flash else (0, 0, 0)
    print(kept, us, *[now - then for now, then in zip(after, before)])  # noqa: B905 - MicroPython knows no strict
