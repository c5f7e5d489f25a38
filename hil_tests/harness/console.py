"""The console of a board in a test: expect something of it, ask it who it is, stop its program, lend its port."""

import contextlib
import time
from collections.abc import Iterator
from re import Match

import pexpect  # type: ignore[import-untyped]
from pytest_embedded_serial.dut import SerialDut  # type: ignore[import-untyped]

from fleet.flashing.console import Report
from hil_tests.harness.board import BenchBoard
from hil_tests.harness.console_log import ConsoleLog
from hil_tests.harness.line import Line
from protocol.report import ASK

SLACK_S = 10.0  # of a loaded computer, on top of what a board may take
_ASK_EVERY_S = 1.0
_POLL_S = 0.05
_STOP = b"\r\x03\x03"
_LEAVE_RAW = b"\r\x02"


class Console:
    """Every `within_s` is in the board's time."""

    def __init__(self, dut: SerialDut, line: Line, log: ConsoleLog, board: BenchBoard) -> None:
        self._dut = dut
        self._line = line
        self._board = board
        self._rate = board.rate()
        self.log = log

    def expect(self, pattern: str, within_s: float) -> Match[bytes]:
        """The next text that fits the regular expression; what came before it is passed over."""
        try:
            found: Match[bytes] = self._dut.expect(pattern, timeout=within_s / self._rate + SLACK_S)
        except pexpect.TIMEOUT:
            last = " | ".join(self.log.lines[-5:])
            raise AssertionError(f"no {pattern!r} within {within_s:g} s on the console; last: {last}") from None
        return found

    def report(self, within_s: float = 20.0, asking: bool = True) -> Report:
        """The next report of the board; it is asked for one unless it has to come by itself."""
        seen = len(self.log.reports)
        end = time.monotonic() + within_s / self._rate + SLACK_S
        ask_at = time.monotonic()
        while len(self.log.reports) == seen:
            now = time.monotonic()
            assert now < end, f"no report within {within_s:g} s; last: {' | '.join(self.log.lines[-5:])}"
            if asking and now >= ask_at:
                self._line.send(f"\r\n{ASK}\r\n".encode())
                ask_at = now + _ASK_EVERY_S
            time.sleep(_POLL_S)
        return self.log.reports[seen]

    def stop_program(self) -> None:
        """Interrupt the program: the board waits at its prompt, and its watchdog is fed no more."""
        self._line.send(_STOP)
        self.expect("KeyboardInterrupt", 10)
        self._line.send(_LEAVE_RAW)
        self.expect(">>> ", 10)

    def type(self, text: str) -> None:
        """Type a line at the prompt."""
        self._line.send(text.encode() + b"\r\n")

    @contextlib.contextmanager
    def lent(self, what: str) -> Iterator[None]:
        """Somebody else uses the port meanwhile, for `what`."""
        self.log.note(f"the port is lent: {what}")
        with self._board.real_time(), self._line.released():
            yield
        self.log.note("the port is back")
