"""The part of the updater that is always in memory: what came for it, what it wants, and nothing of how it works.

Whatever does the work is imported when there is some and forgotten afterwards: a node without PSRAM has no room for it.
All that has to outlive a reset is on flash (`record.py`), and there before it is acted upon.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Iterator, Union

    from node.board.door import BaseDoor
    from node.core.clock import Clock
    from node.core.files import FilesDoor
    from node.core.slots import Slots
    from protocol.identity import Identity
    from protocol.update import Proof

    Steps = Iterator[Union[int, bytes, None]]


def _nothing() -> None:
    pass


class Resident:
    """The updater as the rest of the program sees it.

    `facts` are (chip, version of .mpy, version of MicroPython as text), `boot` is the boot number, `setting(name)`
    gives a setting, `random(n)` an integer from 0 to n-1, `log(level, tag, text)` takes a line. `publish(payload)` puts
    a Status on up/ota, `event(attrs)` keeps the event `update`; both say False when there is no room. `base` is the
    door to the base image, None on a board that has one partition only.

    Wired by the caller: `offer` and `block` to the messages, `up` to each new session, `begin` once before anything
    else, `work` to a task of its own, `confirm` and `give_up` to the judgement of a trial. `on_ready` is called when
    `busy` may have become true or a wait of `work` may be over.

    `ready`: the node is to restart, at once when `now`, else when the product may. It may become False again.
    """

    def __init__(
        self,
        files: "FilesDoor",
        slots: "Slots",
        identity: "Identity",
        facts: "tuple[str, int, str]",
        clock: "Clock",
        boot: int,
        setting: "Callable[[str], Any]",
        random: "Callable[[int], int]",
        log: "Callable[[int, str, str], None]",
        publish: "Callable[[bytes], bool]",
        event: "Callable[[dict[int, Any]], bool]",
        base: "BaseDoor | None" = None,
    ) -> None:
        self.files = files
        self.slots = slots
        self.identity = identity
        self.facts = facts
        self.clock = clock
        self.boot = boot
        self.setting = setting
        self.random = random
        self.log = log
        self.publish = publish
        self.event = event
        self.base = base
        self.on_ready: "Callable[[], None]" = _nothing
        self.ready = False
        self.now = False

    @property
    def busy(self) -> bool:
        """True when `work` has something to do."""
        raise NotImplementedError

    def begin(self, cause: int, reason: str, crash: str) -> None:
        """The node has started: learn what became of an update. Call it once, before `slots` is settled.

        `cause` is RESET_*, `reason` why the last run ended on purpose or "", `crash` the note of main.py or "".
        """

    def up(self) -> None:
        """A session with the broker began: say how far the update is."""

    def offer(self, payload: "bytes | memoryview") -> None:
        """A message on down/ota. The same one again, as after each connect, costs a status."""

    def block(self, payload: "bytes | memoryview") -> None:
        """A message on down/block. What nobody asked for is dropped."""

    def work(self) -> "Steps":
        """Do what there is to do. Run it in one task while `busy`; it ends when nothing is left, and raises nothing.

        It yields None: let others run, then go on; bytes: send them on up/block once there is a session, then go on;
        int: go on after so many milliseconds, or earlier when `on_ready` is called.
        """
        raise NotImplementedError

    def confirm(self) -> None:
        """The program on trial has proved itself: keep it. Raises OSError when the flash refuses; call it again."""

    def give_up(self, reached: bool) -> None:
        """The program on trial has not proved itself in time; `reached`: it had a session. The next restart, which the
        caller brings about, runs the program before. Raises OSError when the flash refuses."""

    def prove(self, nonce: bytes) -> "Proof":
        """What runs now, under the key of the node."""
        raise NotImplementedError
