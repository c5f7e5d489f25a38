"""The part of the updater that is always in memory: what came for it, what it wants, and nothing of how it works.

Whatever does the work is imported when there is some and forgotten afterwards: a node without PSRAM has no room for it.
All that has to outlive a reset is on flash (`record.py`), and there before it is acted upon.
"""

import gc
import sys

from protocol.messages import LOG_ERROR

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable

    from node.core.clock import Clock
    from node.core.files import FilesDoor
    from node.core.slots import Slots
    from node.core.update.base import Base
    from node.core.update.parts import Steps
    from node.core.update.record import Taken
    from protocol.identity import Identity
    from protocol.update import Proof

_RECORD = "/data/update.cbor"  # node.core.update.record.PATH
_BLOCK_BYTES = 1280  # protocol.update.Block.MAX_SIZE
_EPOCH_BYTES = 2048  # protocol.trust.MAX_EPOCH
_BLOCKS = 8  # that are held until `work` takes them; what does not fit is asked for again
_BORROWED = (
    "node.core.ed25519",
    "node.core.sha512",
    "node.core.update.",
    "protocol.cose",
    "protocol.manifest",
    "protocol.payload",
    "protocol.refusals",
    "protocol.trust",
    "protocol.update",
)


def _nothing() -> None:
    pass


class Resident:
    """The updater as the rest of the program sees it.

    `facts` are (chip, version of .mpy, version of MicroPython as text), `boot` is the boot number, `setting(name)`
    gives a setting, `random(n)` an integer from 0 to n-1, `log(level, tag, text)` takes a line. `publish(payload)` puts
    a Status on up/ota, `event(attrs)` keeps the event `update`; both say False when there is no room. `base` is the
    door to the base image, None on a board that has one partition only.

    Wired by the caller: `offer`, `halt` and `block` to the messages, `up` to each new session, `begin` once before
    anything else, `work` to a task of its own, `confirm` and `give_up` to the judgement of a trial. `on_ready` is
    called when `busy` may have become true or a wait of `work` may be over.

    `ready`: the node is to restart, at once when `now`, else when the product may; out of the program that is kept only
    while `due`. It may become False again. While it is True, or something `unread`, nothing is to be confirmed.
    """

    epoch: "bytes | None" = None  # what came on the topic of epochs and was not looked at
    judging = False  # that, or what came on down/ota, is being looked at
    taken: "Taken" = (0, b"", [])  # number, era and groups of the newest epoch
    forged = b""  # digest of the last one that was none
    later_ms: "int | None" = None  # uptime at which a status is due that nobody waits for
    switch: "list[int]" = []  # spans for the restart

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
        base: "Base | None" = None,
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
        self.staged = False  # `depart` has something to do
        self.now = False
        self.say = False  # a status is due
        self.offered: "bytes | None" = None  # what came on down/ota and was not looked at
        self.quiet_ms = 0  # uptime from which a refusal is worth a write again
        self._blocks: "list[bytes] | None" = None  # that came since `take`, while somebody pulls
        self._wanted = False
        self._parked: "bytes | None" = None  # an offer that waits, b"" for the campaign at work
        self._until_s: "int | None" = None  # it waits for that time (s since 1970 UTC), else for the end of a trial
        self._own = _loaded(_BORROWED)  # what others need, too, and this file

    @property
    def busy(self) -> bool:
        """True when `work` has something to do. Look now and then: time passes, a trial ends."""
        if self._wanted or self.owes:
            return True
        if self._parked is None:
            return self.ready and self.clock.wait_s(self.switch) == -1
        now = self.clock.utc_s()
        return self.slots.is_kept if self._until_s is None else now is not None and now >= self._until_s

    @property
    def owes(self) -> bool:
        """True when the time of a status has come that nobody waits for."""
        return self.later_ms is not None and self.clock.uptime_ms() >= self.later_ms

    @property
    def unread(self) -> bool:
        """True while something that came has not been judged: it may call off what is tried."""
        return self.offered is not None or self.epoch is not None or self.judging

    @property
    def due(self) -> bool:
        """True while a program that is ready may be started."""
        return not self.unread and self.clock.wait_s(self.switch) == 0

    def begin(self, cause: int, reason: str, crash: str) -> None:
        """The node has started: learn what became of an update. Call it once, before `slots` is settled.

        `cause` is RESET_*, `reason` why the last run ended on purpose or "", `crash` the note of main.py or "".
        """
        if self.files.size(_RECORD) is not None:
            from node.core.update import trial

            self.ready, self._wanted = trial.begin(self, cause, reason, crash)
            self._drop()

    def up(self) -> None:
        """A session with the broker began: say how far the update is."""
        self.say = True
        self._wake()

    def offer(self, payload: "bytes | memoryview") -> None:
        """A message on down/ota. The same one again, as after each connect, costs a status."""
        self.offered = bytes(payload)
        self._parked = None
        self._wake()

    def halt(self, payload: "bytes | memoryview") -> None:
        """A message on the topic of epochs. What is too long for one is dropped."""
        if len(payload) <= _EPOCH_BYTES:
            self.epoch = bytes(payload)
            self._wake()

    def block(self, payload: "bytes | memoryview") -> None:
        """A message on down/block. What nobody asked for is dropped, and what is too long for one: whoever has the
        broker could fill the memory."""
        if self._blocks is not None and len(self._blocks) < _BLOCKS and len(payload) <= _BLOCK_BYTES:
            self._blocks.append(bytes(payload))
            self.on_ready()

    def work(self) -> "Steps":
        """Do what there is to do. Run it in one task while `busy`; it ends when nothing is left, and raises nothing.

        It yields None: let others run, then go on; bytes: send them on up/block once there is a session, then go on;
        int: go on after so many milliseconds, or earlier when `on_ready` is called.
        """
        self._blocks = []
        self.judging = False  # whoever runs this may have been stopped
        if self._parked is not None:
            self.offered = self._parked or None
            self._parked = None
        try:
            from node.core.update.updater import Updater

            self._wanted = True  # until it ends: whoever runs it may be stopped and started again
            yield from Updater(self).run()
            self._wanted = self.say or self.unread
        except Exception as error:
            self._wanted = False  # until the next session
            self.log(LOG_ERROR, "update", "{}: {}".format(error.__class__.__name__, error))
        finally:
            self._blocks = None
            self._drop()

    def depart(self) -> bool:
        """Call it right before the restart that `ready` asks for; False: do not restart after all. Raises OSError when
        the flash refuses; call it again."""
        if self.staged:
            from node.core.update import trial

            trial.depart(self)
            self._drop()
        return self.ready

    def confirm(self) -> None:
        """The program on trial has proved itself: keep it. Raises OSError when the flash refuses; call it again."""
        if self.base is not None:
            self.base.confirm()  # first: this program may not run on the image before
        self.slots.confirm()
        self.up()

    def give_up(self, reached: bool) -> None:
        """The program on trial has not proved itself in time; `reached`: it had a session. The next restart, which the
        caller brings about, runs the program before. Raises OSError when the flash refuses."""
        from node.core.update import trial

        trial.give_up(self, reached)
        self._drop()

    def prove(self, nonce: bytes) -> "Proof":
        """What runs now, under the key of the node."""
        from node.core.update import proof

        made = proof.now(self, nonce)
        self._drop()
        return made

    def recovery(self) -> "tuple[list[str], int]":
        """(brokers "host:port" for a node that has lost its own, how many seconds it has to have lost them)."""
        from node.core.update import record

        trusted = record.trusted(self.files, self.identity.root)
        found = (trusted.root.recovery, trusted.root.recovery_s) if trusted else ([], 0)
        self._drop()
        return found

    # -- for `work` --

    def take(self) -> "list[bytes]":
        """The blocks that came since it was called last."""
        found, self._blocks = self._blocks or [], []
        return found

    def park(self, payload: bytes, until_s: "int | None") -> None:
        """Come back to an offer, or with b"" to the campaign at work, at that time (s since 1970 UTC) or as soon as the
        time is known; None: when the trial is over."""
        self._parked = payload
        self._until_s = until_s

    def _wake(self) -> None:
        self._wanted = True
        self.on_ready()

    def forget(self, starts: "tuple[str, ...]") -> None:
        """Drop what was imported, by how names begin. Whoever holds one of its objects keeps that one alive."""
        names = [name for name in _loaded(starts) if name not in self._own]
        for name in names:
            package, last = name.rsplit(".", 1)
            del sys.modules[name]
            if hasattr(sys.modules.get(package), last):
                delattr(sys.modules[package], last)
        if names:
            gc.collect()

    def _drop(self) -> None:
        """Forget everything, unless `work` is at it."""
        if self._blocks is None:
            self.forget(_BORROWED)


def _loaded(starts: "tuple[str, ...]") -> "list[str]":
    ours = [name for name in sys.modules if name[:5] in ("node.", "proto")]
    return [name for name in ours if any(name.startswith(start) for start in starts)]
