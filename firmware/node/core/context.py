"""What a product gets from the runtime: the same few objects for every kind of node."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable

    from node.core.clock import Clock
    from node.core.files import FilesDoor
    from node.core.journal import Journal
    from protocol.identity import Identity


class Context:
    """`board` is the BoardDoor, `settings_get(name)` a setting in force, `log(level, tag, text)` takes a line."""

    def __init__(
        self,
        board: "Any",
        files: "FilesDoor",
        identity: "Identity",
        clock: "Clock",
        journal: "Journal",
        settings_get: "Callable[[str], Any]",
        log: "Callable[[int, str, str], None]",
    ) -> None:
        self.board = board
        self.files = files
        self.identity = identity
        self.clock = clock
        self.journal = journal
        self.settings_get = settings_get
        self.log = log
