"""Orders to the node: each runs once, never after its expiry, and every step is reported.

An id is on flash before its command runs. So a command that resets the node is not run again when the message is sent
again, and the boot after it reports how it ended.
"""

from node.core import document
from protocol.errors import DecodeError, EncodeError
from protocol.message import Message
from protocol.messages import (
    ACCEPTED,
    DONE,
    E_BUSY,
    E_INTERNAL,
    E_NONE,
    E_STORAGE,
    E_UNKNOWN,
    EXPIRED,
    FAILED,
    RUNNING,
    Command,
    Reply,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable

    from node.core.clock import Clock
    from node.core.files import FilesDoor

    Handler = Callable[[dict[str, Any]], "dict[str, Any] | None"]

PATH = "/data/cmd.cbor"
_KEPT = 32  # ids remembered
_HELD = 4  # commands that wait for the time to be known
_BURST = 10  # commands at once
_REFILL_MS = 2000  # and one more each 2 s: a command costs two flash writes
_TEXT = 128  # bytes of Reply.text


class CommandError(Exception):
    """A handler refuses or fails: `code` is E_* of protocol.messages, `text` says why in one line."""

    def __init__(self, code: int, text: str = "") -> None:
        super().__init__(text)
        self.code = code
        self.text = text


class Seen(Message):
    """How far one command got."""

    FIELDS = (
        (1, "id", bytes, 8, 16),
        (2, "status", int, ACCEPTED, EXPIRED),
        (3, "code", int, 0, 255),
        (4, "name", str, 1, 24),
        (5, "actor", str, 0, 64),
    )
    id: bytes
    status: int
    code: int = E_NONE
    name: str
    actor: str = ""


class Ledger(Message):
    """The document: the last commands, oldest first."""

    FIELDS = ((1, "seen", [Seen], 0, _KEPT),)
    seen: "list[Seen]" = []


class Commands:
    """Runs commands from `handlers`: {name: fn(args) -> result, or None when it ends with the restart it asked for}.

    A handler raises CommandError; any other exception is reported as E_INTERNAL. `reply(payload)` publishes one Reply;
    `ended(name, status, code, actor)` hears of every command that came to its end.
    """

    def __init__(
        self,
        files: "FilesDoor",
        clock: "Clock",
        boot: int,
        handlers: "dict[str, Handler]",
        reply: "Callable[[bytes], object]",
        ended: "Callable[[str, int, int, str], None]",
    ) -> None:
        self.bad = 0  # messages that were no command
        self._files = files
        self._clock = clock
        self._boot = boot
        self._handlers = handlers
        self._reply = reply
        self._ended = ended
        self._ledger = document.load(files, PATH, Ledger)
        self._held: "list[Command]" = []
        self._tokens = _BURST
        self._refilled_ms = clock.uptime_ms()

    def resume(self, restarted: bool) -> None:
        """Report the commands that the last run left running: done when the node restarted on purpose, else failed."""
        for seen in list(self._ledger.seen):
            if seen.status in (ACCEPTED, RUNNING):
                if restarted and seen.status == RUNNING:
                    self._step(seen, DONE)
                else:
                    self._step(seen, FAILED, E_INTERNAL, "interrupted by a restart")

    def handle(self, payload: "bytes | memoryview") -> None:
        """A message on down/cmd."""
        try:
            command = Command.decode(payload)
        except DecodeError:
            self.bad += 1
            return
        for seen in self._ledger.seen:
            if seen.id == command.id:
                self._send(seen, {}, "")
                return
        for held in self._held:
            if held.id == command.id:
                return
        self._admit(command)

    def tick(self) -> None:
        """Run or expire what waited for the time. Call it every second or so."""
        if self._held and self._clock.utc_s() is not None:
            held = self._held
            self._held = []
            for command in held:
                self._start(command)

    def _admit(self, command: Command) -> None:
        if not self._has_token():
            self._refuse(command, "more than {} commands at once".format(_BURST))
        elif command.expires and self._clock.utc_s() is None and self._clock.floor_s <= command.expires:
            # It may have expired, nobody here knows: it waits for the clock, or for being sent again after a reset.
            if len(self._held) < _HELD:
                self._held.append(command)
            else:
                self._refuse(command, "time unknown, and too many commands wait for it")
        else:
            self._start(command)

    def _refuse(self, command: Command, text: str) -> None:
        """Busy: not remembered, so the same id may come again."""
        self._send(Seen(id=command.id, status=FAILED, code=E_BUSY, name=command.name), {}, text)

    def _start(self, command: Command) -> None:
        seen = Seen(id=command.id, status=ACCEPTED, name=command.name, actor=command.actor)
        self._ledger = Ledger(seen=(self._ledger.seen + [seen])[-_KEPT:])
        if command.expires and max(self._clock.utc_s() or 0, self._clock.floor_s) > command.expires:
            self._step(seen, EXPIRED)
        elif command.name not in self._handlers:
            self._step(seen, FAILED, E_UNKNOWN, "no such command")
        elif self._step(seen, ACCEPTED):
            self._run(seen, self._handlers[command.name], command.args)
        else:
            self._step(seen, FAILED, E_STORAGE, "the flash refused to remember the command")

    def _run(self, seen: Seen, handler: "Handler", args: "dict[str, Any]") -> None:
        try:
            result = handler(args)
        except CommandError as error:
            self._step(seen, FAILED, error.code, error.text)
        except Exception as error:  # a broken handler must not take the link down
            self._step(seen, FAILED, E_INTERNAL, "{}: {}".format(error.__class__.__name__, error))
        else:
            if result is None:
                self._step(seen, RUNNING)
            else:
                self._step(seen, DONE, result=result)

    def _step(
        self, seen: Seen, status: int, code: int = E_NONE, text: str = "", result: "dict[str, Any] | None" = None
    ) -> bool:
        """Remember the new status, then report it; False when it could not be remembered."""
        seen.status = status
        seen.code = code
        saved = document.save(self._files, PATH, self._ledger)
        self._send(seen, result or {}, text)
        if status >= DONE:
            self._ended(seen.name, status, code, seen.actor)
        return saved

    def _send(self, seen: Seen, result: "dict[str, Any]", text: str) -> None:
        while len(text.encode()) > _TEXT:
            text = text[:-1]
        reply = Reply(
            id=seen.id,
            status=seen.status,
            code=seen.code,
            result=result,
            boot=self._boot,
            t=self._clock.utc_s() or 0,
            text=text,
        )
        try:
            payload = reply.encode()
        except EncodeError as error:
            reply.result = {}
            reply.text = str(error)[:_TEXT]
            payload = reply.encode()
        self._reply(payload)

    def _has_token(self) -> bool:
        now = self._clock.uptime_ms()
        earned = (now - self._refilled_ms) // _REFILL_MS
        if earned:
            self._tokens = min(_BURST, self._tokens + earned)
            self._refilled_ms += earned * _REFILL_MS
        if not self._tokens:
            return False
        self._tokens -= 1
        return True
