"""Messages that live in memory until they are sent: state, replies, log lines. What must survive is in the outbox."""

from protocol import topics

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Protocol

    class Source(Protocol):
        """Where a session takes messages from. An item has `name` (a topic name) and is otherwise the source's own."""

        on_ready: "Callable[[], None] | None"  # set by the link; called when `take` may have something again

        def take(self) -> "Any | None":
            """The next item to send, or None."""

        def render(self, item: "Any") -> "bytes | None":
            """The payload, the same bytes at every call; None when it no longer exists (then comes `done`)."""

        def done(self, item: "Any") -> None:
            """The broker has it, or nobody ever will."""

        def release(self, item: "Any") -> None:
            """The broker forgot the session: give it out again, before anything else. Called newest first."""


MAX_MESSAGES = 16
MAX_BYTES = 8192


class Message:
    """One message in memory."""

    def __init__(self, name: str, payload: bytes, retain: bool) -> None:
        self.name = name
        self.payload = payload
        self.retain = retain


class Queue:
    """First in, first out; bounded in messages and bytes, of which log lines get one half."""

    def __init__(self) -> None:
        self.on_ready: "Callable[[], None] | None" = None
        self._returned: "list[Message]" = []
        self._waiting: "list[Message]" = []

    def put(self, name: str, payload: bytes, retain: bool) -> bool:
        """Queue a message; False when there is no room. A retained message replaces the one that waits."""
        if retain:
            self._waiting = [message for message in self._waiting if message.name != name or not message.retain]
        share = 1 if topics.qos(name) else 2
        size = sum([len(message.payload) for message in self._waiting])
        if len(self._waiting) >= MAX_MESSAGES // share or size + len(payload) > MAX_BYTES // share:
            return False
        self._waiting.append(Message(name, payload, retain))
        if self.on_ready is not None:
            self.on_ready()
        return True

    def empty(self) -> bool:
        """True when nothing waits."""
        return not self._waiting and not self._returned

    def take(self) -> "Message | None":
        """The oldest message."""
        waiting = self._returned or self._waiting
        return waiting.pop(0) if waiting else None

    def render(self, item: Message) -> bytes:
        """Its payload."""
        return item.payload

    def done(self, item: Message) -> None:
        """Nothing to forget: `take` did."""

    def release(self, item: Message) -> None:
        """First in line again; at most a window of them, beyond the bounds."""
        self._returned.insert(0, item)
