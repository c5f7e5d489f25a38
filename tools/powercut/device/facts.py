"""What the world around a node has been told: from it follows what must be true after a power cut."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Key = tuple[int, int]  # boot, seq

_SHOWN = 60  # characters of a value
_COMES = 0  # the outbox has an entry, and has not said yet whether it keeps it
_KEPT = 1  # it said so
_GONE = 2  # the broker has acknowledged it: it may come again, or not


class BadError(Exception):
    """Something is not true that must be; the text says what."""


def expect(condition: object, text: str, *values: "Any") -> None:
    """BadError(text, with these values in it) unless the condition holds."""
    if not condition:
        raise BadError(text.format(*values))


def short(value: "Any") -> str:
    """A value in a few words."""
    text = repr(value)
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "..."


class Facts:
    """A state that changes has two allowed values while it changes, and one as soon as the caller was told."""

    def __init__(self) -> None:
        self.boot = 0  # the highest number that a run of the node has used
        self.trials = 0  # runs of the slot that is on trial
        self.may_evict = False  # the outbox may give up the oldest entries of a class
        self._states: "dict[str, list[Any]]" = {}
        self._entries: "dict[Key, tuple[int, bytes, int]]" = {}  # (class, entry, how far it is)

    def copy(self) -> "Facts":
        """The same facts, from where another course of events begins."""
        twin = Facts()
        twin.boot = self.boot
        twin.trials = self.trials
        twin.may_evict = self.may_evict
        twin._states = {name: list(values) for name, values in self._states.items()}
        twin._entries = dict(self._entries)
        return twin

    # -- states --

    def settle(self, name: str, *values: "Any") -> None:
        """From now on only these values of that state are allowed."""
        self._states[name] = list(values)

    def change(self, name: str, value: "Any", action: "Callable[[], Any]") -> "Any":
        """Do what makes the state `value`: until it returns, the former one is as good. What it returned."""
        self.may(name, value)
        result = action()
        self.settle(name, value)
        return result

    def may(self, name: str, value: "Any") -> None:
        """From now on this value is allowed as well."""
        self._states[name] = self.allowed(name) + [value]

    def allowed(self, name: str) -> "list[Any]":
        """The allowed values of a state."""
        return self._states.get(name, [])

    def check(self, name: str, value: "Any") -> None:
        """BadError unless the state, where anything is known of it, has an allowed value."""
        allowed = self.allowed(name)
        if allowed and value not in allowed:
            raise BadError("{} is {}, not one of {}".format(name, short(value), [short(other) for other in allowed]))

    # -- entries --

    def comes(self, key: "Key", kind: int, entry: bytes) -> None:
        """The node gives an entry of that class to the outbox."""
        self._entries[key] = (kind, entry, _COMES)

    def kept(self, key: "Key") -> None:
        """The outbox said that it has it."""
        self._entries[key] = self._entries[key][:2] + (_KEPT,)

    def refused(self, key: "Key") -> None:
        """The outbox said that it has it not."""
        del self._entries[key]

    def acknowledged(self, key: "Key") -> None:
        """The broker has it."""
        self._entries[key] = self._entries[key][:2] + (_GONE,)

    def entry(self, key: "Key") -> bytes:
        """The bytes of an entry; BadError for one that nobody ever made."""
        expect(key in self._entries, "entry {} was never made", key)
        return self._entries[key][1]

    def check_entries(self, found: "dict[Key, bytes]") -> None:
        """BadError unless everything that was kept and not acknowledged is in `found`."""
        lost = {key: row[0] for key, row in self._entries.items() if row[2] == _KEPT and key not in found}
        if self.may_evict:
            for kind in set(lost.values()):
                oldest = min([key for key in found if self._entries[key][0] == kind])
                expect(max([key for key in lost if lost[key] == kind]) < oldest, "a newer entry went before an older")
        else:
            expect(not lost, "{} entries lost, first {}", len(lost), min(lost) if lost else None)
