"""Follows what a board says on its console: line by line with the time of its arrival, explained, over replugging."""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from fleet.errors import NotAllowedError, UnreachableError
from fleet.flashing import signs
from fleet.flashing.console import BAUD, Console, PortLostError, Report, as_row
from protocol import messages

TEXT = "text"  # kinds of lines
LOG = "log"
REPORT = "report"
SIGN = "sign"
PORT = "port"  # not the board's: what happened to the port
_RETRY_S = 0.25
_PROMPT_S = 0.3  # a line that does not end within this is shown as it is: a prompt
_BLOCKS = {"Traceback (most recent call last):": signs.TRACEBACK, "Guru Meditation Error": signs.PANIC}
CAUSES = {
    messages.RESET_POWER_ON: "power on",
    messages.RESET_HARD: "reset",
    messages.RESET_WATCHDOG: "watchdog",
    messages.RESET_DEEP_SLEEP: "deep sleep",
    messages.RESET_SOFT: "soft reset",
}


@dataclass(frozen=True)
class Line:
    """One line. `severity` is error, warning, info, debug or nothing; `says` and `hint` explain a sign of trouble."""

    time_ms: int  # UTC of its arrival
    kind: str
    text: str
    severity: str = ""
    says: str = ""
    hint: str = ""
    fields: Mapping[str, Any] = field(default_factory=dict)


class Decoder:
    """Says what each line of a console means; knows which lines belong to a traceback or a crash that began above."""

    def __init__(self) -> None:
        self._block = ""

    def line(self, text: str, time_ms: int) -> Line:
        """The meaning of the next line."""
        inside, self._block = self._block, self._follow(text)
        report = Report.parse(text)
        if report is not None:
            return Line(time_ms, REPORT, text, signs.INFO, _in_words(report), fields=as_row(report))
        sign = signs.sign_of(text)
        if sign is not None:
            return Line(time_ms, SIGN, text, sign.severity, sign.says, sign.hint, {"sign": sign.name})
        log = signs.log_of(text)
        if log is not None:
            return Line(time_ms, LOG, text, log.severity, fields={"up_ms": log.up_ms, "tag": log.tag, "text": log.text})
        return Line(time_ms, TEXT, text, signs.ERROR if inside else "")

    def _follow(self, text: str) -> str:
        """The block that goes on below this line."""
        for start, block in _BLOCKS.items():
            if start in text:
                return block
        if self._block == signs.TRACEBACK:
            return self._block if text.startswith(" ") else ""  # its last line is the error itself
        return "" if text.startswith(("Rebooting", "ets ", "ESP-ROM")) else self._block


def _in_words(report: Report) -> str:
    if report.state != "node":
        return f"{report.node or 'a board without identity'}, {report.state}, firmware {report.fw}"
    cause = CAUSES.get(report.cause, "unknown cause")
    waiting = f", {report.waiting} entries wait" if report.waiting else ""
    return f"{report.node} runs {report.fw} in slot {report.slot}, boot {report.boot} after {cause}{waiting}"


def follow(
    url: str,
    baud: int = BAUD,
    reset: bool = False,
    timeout_s: float | None = None,
    now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
) -> Iterator[Line]:
    """The lines of a board from now on, for `timeout_s` or for ever; a port that goes away is waited for.

    `reset` restarts the board first. Whatever keeps the port from being opened the first time is raised.
    """
    end = time.monotonic() + timeout_s if timeout_s is not None else float("inf")
    console = Console(url, baud)
    if reset:
        console.restart()
    while True:
        with console:
            yield from _until_lost(console, end, now_ms)
        if time.monotonic() >= end:
            return
        yield Line(now_ms(), PORT, f"{url} went away", signs.WARNING, "waiting for it to come back")
        found = _reopened(url, baud, end)
        if found is None:
            return
        console = found
        yield Line(now_ms(), PORT, f"{url} is back", signs.INFO)


def _until_lost(console: Console, end: float, now_ms: Callable[[], int]) -> Iterator[Line]:
    decoder = Decoder()
    quiet_at = time.monotonic() + _PROMPT_S
    try:
        while (now := time.monotonic()) < end:
            lines = console.read()
            if lines or not console.rest:
                quiet_at = now + _PROMPT_S
            elif now >= quiet_at:
                lines = [console.take_rest()]
            for text in lines:
                yield decoder.line(text, now_ms())
    except PortLostError:
        return


def _reopened(url: str, baud: int, end: float) -> Console | None:
    """The port once it can be opened again; None when the time is over."""
    while time.monotonic() < end:
        try:
            return Console(url, baud)
        except (UnreachableError, NotAllowedError):  # not there yet, not ours yet, or somebody flashes it
            time.sleep(_RETRY_S)
    return None
