"""The door to the base image (`node/board/door.py`), as the updater sees it. Read by mypy and people only."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    class Base(Protocol):
        """The door to the base image (`node/board/door.py`)."""

        label: str
        size: int

        def write(self, at: int, data: "bytes | bytearray | memoryview") -> None:
            """Write within one sector of 4096 bytes."""

        def read(self, at: int, into: memoryview) -> None:
            """Fill `into`."""

        def read_running(self, at: int, into: memoryview) -> None:
            """Fill `into` from the image that runs."""

        def activate(self) -> None:
            """Start what was written from the next reset on."""

        def confirm(self) -> None:
            """The image that runs works."""
