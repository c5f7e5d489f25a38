"""What the parts of the updater need of each other, as Protocol classes. Read by mypy and people, not by the device."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from typing import Any, Protocol, Union

    from node.core.clock import Clock
    from node.core.files import FilesDoor
    from node.core.slots import Slots
    from node.core.update.base import Base
    from node.core.update.record import Guard, Record, Taken, Trusted
    from protocol.identity import Identity

    Steps = Iterator[Union[int, bytes, None]]  # as `Resident.work` yields
    Judged = Generator[Union[int, bytes, None], None, bool]

    class Node(Protocol):
        """The resident part, as the rest of the updater sees it."""

        files: FilesDoor
        slots: Slots
        identity: Identity
        facts: tuple[str, int, str]
        clock: Clock
        boot: int
        base: Base | None
        ready: bool
        staged: bool
        now: bool
        say: bool
        offered: bytes | None
        epoch: bytes | None
        judging: bool
        taken: Taken
        forged: bytes
        switch: list[int]
        quiet_ms: int
        later_ms: int | None

        @property
        def owes(self) -> bool:
            """A status is due that nobody waited for."""

        def setting(self, __name: str) -> Any:
            """The value in force of a setting."""

        def random(self, __below: int) -> int:
            """An integer from 0 to below - 1."""

        def log(self, __level: int, __tag: str, __text: str) -> None:
            """A line."""

        def publish(self, __payload: bytes) -> bool:
            """A Status for up/ota."""

        def event(self, __attrs: dict[int, Any]) -> bool:
            """Keep the event `update`."""

        def up(self) -> None:
            """Say how far the update is."""

        def take(self) -> list[bytes]:
            """The blocks that came since it was called last."""

        def forget(self, starts: tuple[str, ...]) -> None:
            """Drop modules that are not needed any more, by how their names begin."""

        def park(self, payload: bytes, until_s: int | None) -> None:
            """Come back to an offer later."""

    class Desk(Protocol):
        """The updater, as its job sees it."""

        node: Node
        record: Record
        guard: Guard
        trusted: Trusted | None
        done: int
        total: int
        said_ms: int

        def save(self) -> None:
            """Keep the record, or UpdateError."""

        def enter(self, stage: int) -> None:
            """The campaign goes to another stage."""

        def say(self) -> None:
            """Publish a status now."""

        def unpoint(self) -> None:
            """The next restart is none into the other slot. Raises OSError."""

        def keep(self) -> None:
            """A program on trial that was confirmed is kept, and so is its campaign."""

        def follow(self, version: int) -> Steps:
            """Take the roots up to a hint."""

        def attend(self) -> Judged:
            """Look at what came; True when it changed what is to be done."""
