"""What the decisions need from flash, as a Protocol class. Read by mypy and by people, never by the device."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

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

        def remove(self, path: str) -> None:
            """Delete the file; no error when there is none."""

        def scan(self, folder: str) -> "list[tuple[str, int]]":
            """(name, size in bytes) of every file in the folder, in any order; empty when there is no folder."""

        def size(self, path: str) -> "int | None":
            """Bytes of the file, or None."""

        def free(self) -> int:
            """Bytes that are free on the file system."""
