"""Flash as files, safe against power loss as LittleFS is: rename is atomic, a write counts when the file closes."""

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from node.core.files import ReadFile, ReadStream, WriteFile

_DIR = 0x4000
_TEMP = ".tmp"


class Files:
    """The Files door over the file system that is mounted at `root` ("" on a board)."""

    def __init__(self, root: str = "") -> None:
        self._root = root

    def read(self, path: str) -> "bytes | None":
        """The whole file, or None when it does not exist or cannot be read."""
        try:
            with open(self._root + path, "rb") as file:
                data: bytes = file.read()
                return data
        except OSError:
            return None

    def read_into(self, path: str, offset: int, view: memoryview) -> int:
        """Fill `view` from `offset`; the number of bytes, 0 when the file is missing or shorter."""
        try:
            with open(self._root + path, "rb") as file:
                file.seek(offset)
                return file.readinto(view) or 0
        except OSError:
            return 0

    def write_atomic(self, path: str, data: "bytes | bytearray") -> None:
        """Replace the file as a whole: write beside it, then rename."""
        self._write(path + _TEMP, "wb", data)
        os.rename(self._root + path + _TEMP, self._root + path)

    def append(self, path: str, data: "bytes | bytearray") -> None:
        """Add `data` as a whole; LittleFS shows it when the file is closed."""
        self._write(path, "ab", data)

    def _write(self, path: str, mode: str, data: "bytes | bytearray") -> None:
        with self._open(path, mode) as file:
            file.write(data)

    def _open(self, path: str, mode: str) -> "Any":
        try:
            return open(self._root + path, mode)
        except OSError:
            self._make_folders(path)
            return open(self._root + path, mode)

    def _make_folders(self, path: str) -> None:
        at = path.find("/", 1)
        while at > 0:
            try:
                os.mkdir(self._root + path[:at])
            except OSError:
                pass  # it is there, or the open that follows says why not
            at = path.find("/", at + 1)

    def reader(self, path: str) -> "ReadFile":
        """Open the file."""
        file: "Any" = open(self._root + path, "rb")  # noqa: SIM115 - the caller closes it
        return file  # type: ignore[no-any-return]

    def writer(self, path: str) -> "WriteFile":
        """A new file; LittleFS shows it when it is closed."""
        return self._open(path, "wb")  # type: ignore[no-any-return]

    def inflate(self, stream: "ReadFile", bits: int) -> "ReadStream":
        """By the interpreter's own decoder."""
        import deflate  # not on a computer's Python, which reads and writes these files too

        return deflate.DeflateIO(stream, deflate.RAW, bits)

    def remove(self, path: str) -> None:
        """Delete the file; no error when there is none."""
        try:
            os.remove(self._root + path)
        except OSError:
            if self.size(path) is not None:
                raise

    def scan(self, folder: str) -> "Iterator[tuple[str, int]]":
        """(name, size in bytes) of every file and (name with "/" behind it, 0) of every folder in the folder."""
        try:
            rows: "Any" = os.ilistdir(self._root + folder)  # (name, type, inode, size)
            for row in rows:
                yield (row[0] + "/", 0) if row[1] == _DIR else (row[0], row[3])
        except OSError:
            pass

    def remove_folder(self, folder: str) -> None:
        """Delete an empty folder."""
        try:
            os.rmdir(self._root + folder)
        except OSError:
            pass

    def size(self, path: str) -> "int | None":
        """Bytes of the file, or None."""
        try:
            return os.stat(self._root + path)[6]
        except OSError:
            return None

    def free(self) -> int:
        """Bytes that are free on the file system."""
        info = os.statvfs(self._root or "/")
        return info[0] * info[3]
