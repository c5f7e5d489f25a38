"""Puts the program of a payload into the slot that does not run, so that a power cut at any moment costs nothing.

First everything is unpacked without a write: each file is compared with the manifest, and that with the release, so a
payload that is not what was signed changes nothing. Then the slot loses its manifest, so that nobody takes it for a
program; files are written one by one, read again and compared; the manifest comes last. After a reset it all begins
anew, and what is right already is not written again. The pointer is for others to move.
"""

from hashlib import sha256

from node.core.slots import digest
from node.core.update import UpdateError, room
from node.core.update.payload import Decoder
from protocol import manifest
from protocol.errors import DecodeError
from protocol.refusals import U_FILE, U_MALFORMED, U_MEMORY, U_MIXED, U_OVERSIZE, U_PATH, U_SPACE, U_STORAGE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from node.core.files import FilesDoor
    from node.core.slots import Slots
    from protocol.manifest import File
    from protocol.trust import Release

STAGED = "/data/manifest.new"  # the manifest of the release, until all that it names is there
_ENOSPC = 28
_PIECE = 512  # bytes that are read again at a time


def is_whole(files: "FilesDoor", slot: str) -> "Generator[None, None, bool]":
    """True when the slot holds all that its manifest names, every byte of it. Yields as `Installer.run`."""
    folder = "/" + slot
    try:
        for file in _walk(files, folder + "/" + manifest.PATH):
            if not (yield from _is_right(files, folder, file)):
                return False
    except DecodeError:
        return False
    return True


def _is_right(files: "FilesDoor", folder: str, file: "File") -> "Generator[None, None, bool]":
    """True when the slot in `folder` has that very file."""
    hashed = sha256()
    piece = memoryview(bytearray(_PIECE))
    try:
        stream = files.reader(folder + "/" + file.path)
    except OSError:
        return False  # it is not there
    try:
        yield
        count = stream.readinto(piece)
        while count:
            hashed.update(piece[:count])
            yield
            count = stream.readinto(piece)
    except OSError:
        return False  # a block that cannot be read any more: the file is written anew, elsewhere
    finally:
        stream.close()
    right: bool = hashed.digest() == file.sha256
    return right


def _walk(files: "FilesDoor", path: str) -> "Iterator[File]":
    return manifest.walk(lambda offset, view: files.read_into(path, offset, view))


class Installer:
    """Installs `release` into the spare slot, from the payload at `path`."""

    def __init__(self, files: "FilesDoor", slots: "Slots", release: "Release", path: str) -> None:
        self._files = files
        self._slots = slots
        self._folder = "/" + slots.spare
        self._release = release
        self._path = path
        self._need = room.least(release.size)  # blocks

    def run(self) -> "Iterator[None]":
        """Do it; yields every few milliseconds of work, but for writes of a block.

        Raises UpdateError. After U_STORAGE, and after U_SPACE while it writes, the spare slot may hold no program any
        more; after any other it holds what it held.
        """
        try:
            yield from self._check()
            yield from self._clear()
            yield from self._write()
        except manifest.PathError as error:
            raise UpdateError(U_PATH, str(error))
        except DecodeError as error:
            raise UpdateError(U_MALFORMED, str(error))
        except MemoryError:
            raise UpdateError(U_MEMORY)
        except OSError as error:
            if error.errno != _ENOSPC:
                raise UpdateError(U_STORAGE, "errno {}".format(error.errno))
            raise UpdateError(U_SPACE, (yield from self._lack()) or "no block is free")
        finally:
            self._forget()

    def _check(self) -> "Iterator[None]":
        """Unpack everything, and compare it with what was signed."""
        decoder = Decoder(self._files, self._slots.running, self._path)
        try:
            yield from self._stage(decoder)
            most = room.Room(self._release.manifest_size)
            left = self._release.size
            for file in self._walk():
                most.add(file)
                left -= file.size
                if left < 0:
                    raise UpdateError(U_OVERSIZE, file.path)
                hashed = sha256()
                yield from decoder.unpack(file.path, file.size, hashed.update)
                if hashed.digest() != file.sha256:
                    raise UpdateError(U_FILE, file.path)
            decoder.end()
        finally:
            decoder.close()
        self._need = most.blocks()
        lack = yield from self._lack()
        if lack:
            raise UpdateError(U_SPACE, lack)

    def _lack(self) -> "Generator[None, None, str]":
        """What is missing when the spare slot is emptied, or ""."""
        return room.lack(self._files, self._need - (yield from room.held(self._files, self._folder)))

    def _stage(self, decoder: Decoder) -> "Iterator[None]":
        """The manifest, which has to be the one that the release names."""
        hashed = sha256()
        out = self._files.writer(STAGED)

        def put(view: memoryview) -> None:
            hashed.update(view)
            out.write(view)

        try:
            yield from decoder.unpack(manifest.PATH, self._release.manifest_size, put)
        finally:
            out.close()
        if hashed.digest() != self._release.manifest:
            raise UpdateError(U_MIXED)

    def _clear(self) -> "Iterator[None]":
        """Delete what does not belong into the slot; its manifest before all else."""
        self._files.remove(self._folder + "/" + manifest.PATH)
        wanted = self._walk()
        file = next(wanted, None)
        for path, size in self._tree(""):
            if not path:
                yield
                continue
            while file is not None and file.path < path:
                file = next(wanted, None)
            if file is None or file.path != path or file.size != size:
                self._files.remove(self._folder + "/" + path)
            yield

    def _tree(self, folder: str) -> "Iterator[tuple[str, int]]":
        """(path, size) of the files in a folder of the slot, "" or with a "/" at its end, in the order of a manifest;
        ("", 0) in between, to let others run. Folders that are empty by then are deleted."""
        where = (self._folder + "/" + folder)[:-1]
        rows = []
        for row in self._files.scan(where):
            rows.append(row)
            yield "", 0
        rows.sort()
        for name, size in rows:
            if name[-1] == "/":
                yield from self._tree(folder + name)
                self._files.remove_folder(where + "/" + name[:-1])
            else:
                yield folder + name, size

    def _write(self) -> "Iterator[None]":
        """Write what is not right yet, and the manifest last."""
        decoder = Decoder(self._files, self._slots.running, self._path)
        try:
            yield from decoder.unpack(manifest.PATH, self._release.manifest_size, None)
            for file in self._walk():
                if (yield from _is_right(self._files, self._folder, file)):
                    yield from decoder.unpack(file.path, file.size, None)
                else:
                    yield from self._put(decoder, file)
        finally:
            decoder.close()
        # Not renamed: a power cut while LittleFS moves a file between folders hides others until the next write.
        yield from self._copy(STAGED, self._folder + "/" + manifest.PATH)
        yield
        if digest(self._files, self._slots.spare) != self._release.manifest:
            raise UpdateError(U_STORAGE, manifest.PATH)

    def _copy(self, path: str, to: str) -> "Iterator[None]":
        """Copy a file. It is there when all of it is."""
        piece = memoryview(bytearray(_PIECE))
        at = 0
        out = self._files.writer(to)
        try:
            while True:
                count = self._files.read_into(path, at, piece)
                if not count:
                    break
                out.write(piece[:count])
                at += count
                yield
        finally:
            out.close()

    def _put(self, decoder: Decoder, file: "File") -> "Iterator[None]":
        """Write one file and read it again."""
        path = self._folder + "/" + file.path
        self._files.remove(path)
        yield
        out = self._files.writer(path)
        try:
            yield from decoder.unpack(file.path, file.size, out.write)
        finally:
            out.close()
        if not (yield from _is_right(self._files, self._folder, file)):
            raise UpdateError(U_STORAGE, file.path)

    def _walk(self) -> "Iterator[File]":
        return _walk(self._files, STAGED)

    def _forget(self) -> None:
        try:
            self._files.remove(STAGED)
        except OSError:
            pass  # it is written anew the next time
