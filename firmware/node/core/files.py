"""What the decisions need from flash, as a Protocol class. Read by mypy and by people, never by the device."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Protocol

    class ReadStream(Protocol):
        """A file, or what is packed in one, that is read in pieces."""

        def readinto(self, __into: "bytearray | memoryview") -> "int | None":
            """Fill `into`; the number of bytes, less than asked for only before the end, 0 or None at the end."""

        def close(self) -> object:
            """Done with it."""

    class ReadFile(ReadStream, Protocol):
        """A file that is read in pieces."""

        def seek(self, __offset: int) -> object:
            """The next `readinto` begins here."""

    class WriteFile(Protocol):
        """A file that is written in pieces. It counts when it is closed; a power cut before leaves the former one."""

        def write(self, __data: "bytes | bytearray | memoryview") -> object:
            """Add `data`."""

        def close(self) -> object:
            """Commit what was written."""

    class FilesDoor(Protocol):
        """Flash as files (`node/board/files.py`). Paths are absolute; parent folders are made when they are missing."""

        def read(self, path: str) -> "bytes | None":
            """The whole file, or None when it does not exist or cannot be read."""

        def read_into(self, path: str, offset: int, view: memoryview) -> int:
            """Fill `view` from `offset`; the number of bytes, 0 when the file is missing or shorter."""

        def write_atomic(self, path: str, data: "bytes | bytearray") -> None:
            """Replace the file as a whole: after a power cut it is the old one or the new one."""

        def append(self, path: str, data: "bytes | bytearray") -> None:
            """Add `data` as a whole: after a power cut it is there entirely or not at all. Makes the file."""

        def reader(self, path: str) -> "ReadFile":
            """Open the file, from its beginning; OSError when it does not exist."""

        def writer(self, path: str) -> "WriteFile":
            """A new file in the place of that one."""

        def inflate(self, stream: "ReadFile", bits: int) -> "ReadStream":
            """What is packed from where `stream` stands: raw deflate (RFC 1951) with a window of 2**bits bytes.

            Its `readinto` raises OSError(EINVAL) or EOFError for what is no such stream.
            """

        def remove(self, path: str) -> None:
            """Delete the file; no error when there is none."""

        def remove_folder(self, folder: str) -> None:
            """Delete an empty folder; no error for one that is not there or not empty."""

        def scan(self, folder: str) -> "Iterator[tuple[str, int]]":
            """(name, size in bytes) of every file in the folder and (name with "/" behind it, 0) of every folder, one
            by one and in any order; nothing when there is no such folder."""

        def size(self, path: str) -> "int | None":
            """Bytes of the file, or None."""

        def free(self) -> int:
            """Bytes that are free on the file system."""
