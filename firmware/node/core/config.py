"""The configuration of a node: checked, tried on probation, and kept only when the broker can still be reached with it.

    offer -> refused                         reported with an error and the setting that was wrong
    offer -> probation -> confirm -> applied
                       -> time-out, or a second restart -> taken back, E_PROBATION

One document holds all of it and is replaced as a whole, so a power cut finds the node before or after a step.
"""

from node.core import document
from protocol.errors import DecodeError
from protocol.message import Message
from protocol.messages import E_ARGUMENT, E_NONE, E_PROBATION, E_STORAGE, E_UNKNOWN
from protocol.messages import Config as Desired
from protocol.settings import SETTINGS, fault_of, row_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable

    from node.core.clock import Clock
    from node.core.files import FilesDoor

PATH = "/data/config.cbor"
_U32 = 0xFFFFFFFF
_BOOTS = 1  # restarts that a probation survives: a power cut is no fault of the configuration, a reset loop is


class Saved(Message):
    """The document. `trial_rev` 0: nothing is on probation."""

    FIELDS = (
        (1, "rev", int, 0, _U32),
        (2, "values", dict, 0, 64),
        (3, "trial_rev", int, 0, _U32),
        (4, "trial_values", dict, 0, 64),
        (5, "probation_s", int, 0, 86400),
        (6, "boots", int, 0, 255),
        (7, "desired", int, 0, _U32),
        (8, "error", int, 0, 255),
        (9, "path", str, 0, 48),
    )
    rev: int = 0
    values: "dict[int, Any]" = {}
    trial_rev: int = 0
    trial_values: "dict[int, Any]" = {}
    probation_s: int = 0
    boots: int = 0
    desired: int = 0
    error: int = E_NONE
    path: str = ""


class Config:
    """Holds the values in force. The callbacks in `changed` hear of every change of state."""

    def __init__(self, files: "FilesDoor", clock: "Clock") -> None:
        self.changed: "list[Callable[[], None]]" = []
        self.bad = 0  # messages that were no configuration
        self._files = files
        self._clock = clock
        self._saved = document.load(files, PATH, Saved)
        self._until_s = 0
        self._now: "dict[str, Any]" = {}
        if self._saved.trial_rev:
            self._resume()
        self._use(self._saved.trial_values if self._saved.trial_rev else self._saved.values)

    # -- what the program and the fleet manager see --

    def get(self, name: str) -> "Any":
        """The value in force of a setting of protocol.settings; KeyError for another name."""
        return self._now[name]

    @property
    def applied(self) -> int:
        """Newest revision that survived its probation; 0 = defaults."""
        return self._saved.rev

    @property
    def desired(self) -> int:
        """Newest revision that was offered."""
        return self._saved.desired

    @property
    def error(self) -> int:
        """E_* of the newest revision, E_NONE when it is in force."""
        return self._saved.error

    @property
    def path(self) -> str:
        """Name or id of the setting that was refused, or empty."""
        return self._saved.path

    @property
    def on_probation(self) -> bool:
        """True until the revision in force is confirmed or taken back."""
        return self._saved.trial_rev != 0

    # -- steps --

    def handle(self, payload: "bytes | memoryview") -> None:
        """A message on down/config."""
        try:
            desired = Desired.decode(payload)
        except DecodeError:
            self.bad += 1
            return
        self.offer(desired)

    def offer(self, desired: Desired) -> None:
        """Try a revision newer than any before; an older or repeated one changes nothing."""
        if desired.rev <= self._saved.desired:
            return
        error, path = _check(desired.values)
        if error:
            self._refuse(desired.rev, error, path)
            return
        saved = self._copy(desired.rev)
        saved.trial_rev = desired.rev
        saved.trial_values = desired.values
        saved.probation_s = desired.probation_s
        saved.boots = 0
        if not document.save(self._files, PATH, saved):
            self._refuse(desired.rev, E_STORAGE, "")
            return
        self._saved = saved
        self._until_s = self._clock.uptime_s() + saved.probation_s
        self._use(saved.trial_values)
        self._tell()

    def confirm(self) -> None:
        """The broker has acknowledged something that was sent under the values in force."""
        if not self._saved.trial_rev:
            return
        saved = self._ended(E_NONE)
        saved.rev = self._saved.trial_rev
        saved.values = self._saved.trial_values
        if document.save(self._files, PATH, saved):
            self._saved = saved
            self._tell()

    def tick(self) -> None:
        """Take back a probation that has run out. Call it every second or so."""
        if self._saved.trial_rev and self._clock.uptime_s() >= self._until_s:
            self._take_back()
            self._use(self._saved.values)
            self._tell()

    def _resume(self) -> None:
        """A probation was cut short by a restart: go on with it once, then take it back."""
        if self._saved.boots >= _BOOTS:
            self._take_back()
            return
        self._saved.boots += 1
        document.save(self._files, PATH, self._saved)
        self._until_s = self._clock.uptime_s() + self._saved.probation_s

    def _take_back(self) -> None:
        saved = self._ended(E_PROBATION)
        document.save(self._files, PATH, saved)  # when the flash refuses, the next restart takes it back again
        self._saved = saved

    def _ended(self, error: int) -> Saved:
        """The document after a probation; `error` is about the trial, and what is known of a newer revision stands."""
        saved = self._copy(self._saved.desired)
        newer = self._saved.desired != self._saved.trial_rev
        saved.error = self._saved.error if newer else error
        saved.path = self._saved.path if newer else ""
        return saved

    def _refuse(self, rev: int, error: int, path: str) -> None:
        saved = self._copy(rev)
        saved.trial_rev = self._saved.trial_rev
        saved.trial_values = self._saved.trial_values
        saved.probation_s = self._saved.probation_s
        saved.boots = self._saved.boots
        saved.error = error
        saved.path = path
        document.save(self._files, PATH, saved)  # when the flash refuses, the broker offers it again after a restart
        self._saved = saved
        self._tell()

    def _copy(self, desired: int) -> Saved:
        """The confirmed part, without trial and error."""
        return Saved(rev=self._saved.rev, values=self._saved.values, desired=desired)

    def _use(self, values: "dict[int, Any]") -> None:
        """Put values in force; what this firmware does not know or allow keeps its default."""
        now = {}
        for row in SETTINGS:
            value = values.get(row[0], row[5])
            now[row[1]] = row[5] if fault_of(row, value) else value
        self._now = now

    def _tell(self) -> None:
        for callback in self.changed:
            callback()


def _check(values: "dict[Any, Any]") -> "tuple[int, str]":
    """(E_*, setting) of the first fault, in ascending order of ids; (E_NONE, "") when all is well."""
    for key in sorted(values, key=str):
        row = row_of(key) if type(key) is int else None
        if row is None:
            return E_UNKNOWN, str(key)[:48]
        if fault_of(row, values[key]):
            return E_ARGUMENT, row[1]
    return E_NONE, ""
