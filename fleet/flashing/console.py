"""The serial console of a board: opened without disturbing it, read line by line, asked politely who is there.

The port is any pyserial URL. Opening leaves DTR and RTS as the driver sets them, both on: on the usual reset circuit
that is neither reset nor loader, and switching either off first would pass through one of the two.
"""

import errno
import os
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, fields
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import serial

from fleet.errors import FleetError, NotAllowedError, NotFoundError, TimedOutError, UnreachableError, UsageError
from fleet.flashing import signs
from fleet.flashing.signs import Sign
from fleet.flashing.text import LineReader, is_noise
from protocol import console

BAUD = 115200
IDENTIFY_S = 3.0
REPORT_S = 20.0  # from reset to report: bootloader, interpreter and imports of an ESP32 take 2 to 4 s
_READ_S = 0.05  # grain of every wait
_WRITE_S = 2.0
_ASK_S = 0.4  # a prompt answers at once; so long it has before the node is asked
_ASK_AGAIN_S = 1.5
_QUIET_S = 1.0  # a board that has just been reset is listened to first
_PULSE_S = 0.1
_PROMPT = ">>> "
_LEAVE_RAW = b"\r\x02"  # a prompt that a program left in raw mode becomes one for people, and says its version
_RESTART = b"\r\x03\x03\x02\x04"  # stop, leave raw mode, soft reset
_ASK = b"\r\n?\r\n"
_KEPT = 200  # lines of evidence


class PortLostError(UnreachableError):
    """The port went away while it was open: unplugged, or the far end closed it."""


class Condition(StrEnum):
    """What is at the other end of a port."""

    REPORT = "report"  # our firmware, and it said who it is
    PROMPT = "prompt"  # MicroPython waits for a person
    DOWNLOAD = "download"  # the ROM waits for a loader
    BLANK = "blank"  # nothing that could be started
    BROWNOUT = "brown-out"
    PANIC = "panic"
    BOOT_LOOP = "boot-loop"
    NOISE = "noise"  # bytes that are no text
    OTHER = "other"  # it talks, but does not answer
    SILENCE = "silence"


@dataclass(frozen=True)
class Report:
    """The report line of a node (protocol/console.py), in its words."""

    node: str = ""
    fw: str = ""
    manifest: str = ""
    slot: str = ""
    boot: int = 0
    kind: str = ""
    board: str = ""
    mac: str = ""
    state: str = ""
    cause: int = 0
    waiting: int = 0

    @classmethod
    def parse(cls, line: str) -> "Report | None":
        """The report in a line of the console, or None."""
        found = console.parse(line)
        return None if found is None else cls(**{row.name: found[row.name] for row in fields(cls)})


@dataclass(frozen=True)
class Answer:
    """What `identify` found. `signs` are those of the lines that were heard, in order, each once."""

    condition: Condition
    report: Report | None = None
    micropython: str = ""  # version, where it was said
    signs: tuple[Sign, ...] = ()
    lines: tuple[str, ...] = field(default=(), repr=False)


class Console(AbstractContextManager["Console"]):
    """One board's console, for this process alone. Every method raises PortLostError when the port goes away."""

    def __init__(self, url: str, baud: int = BAUD) -> None:
        self.url = url
        self._port = open_port(url, baud)
        self._reader = LineReader()
        self._received = 0  # bytes

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Free the port; the board goes on as it is."""
        self._port.close()

    @property
    def rest(self) -> str:
        """What has come of the line that is not complete yet."""
        return self._reader.rest

    def take_rest(self) -> str:
        """What has come of the line that is not complete yet, which is then over."""
        return self._reader.take_rest()

    def read(self) -> list[str]:
        """The lines that came within the next 50 ms, as soon as there are some; none is no error."""
        try:
            data = self._port.read(1)
            data += self._port.read(self._port.in_waiting) if data else b""
        except (serial.SerialException, OSError, TypeError) as error:  # TypeError: pyserial, closed under its feet
            raise self._lost(error) from error
        self._received += len(data)
        return self._reader.feed(data)

    def lines(self, timeout_s: float) -> Iterator[str]:
        """Every complete line of the next `timeout_s`."""
        end = time.monotonic() + timeout_s
        while time.monotonic() < end:
            yield from self.read()

    def write(self, data: bytes) -> None:
        """Type `data`."""
        try:
            self._port.write(data)
        except serial.SerialTimeoutException as error:
            hint = "reset the board, or check the cable"
            raise TimedOutError(f"{self.url} takes no bytes", hint=hint) from error
        except (serial.SerialException, OSError) as error:
            raise self._lost(error) from error

    def reset(self) -> bool:
        """Pulse EN by RTS, as esptool does; False where the port has no such line and nothing happened."""
        if self.url.startswith("socket://"):  # pyserial only logs what it cannot do there
            return False
        try:
            self._port.dtr = False  # GPIO0 high: start the program
            self._port.rts = True
            time.sleep(_PULSE_S)
            self._port.rts = False
        except OSError as error:
            if error.errno in (errno.ENOTTY, errno.EINVAL):  # a pseudo-terminal
                return False
            raise self._lost(error) from error
        return True

    def restart(self) -> None:
        """Reset the chip, or where the port cannot, stop the program and let the prompt start it again."""
        if not self.reset():
            self.write(_RESTART)

    def identify(self, timeout_s: float = IDENTIFY_S) -> Answer:
        """Ask who is there, without a reset and without stopping a program that runs.

        Ends with the first report or prompt, or when the board says that there will be none, else with the time.
        """
        listener = _Listener()
        before, asked = self._received, False
        self.write(_LEAVE_RAW)
        end = time.monotonic() + timeout_s
        ask_at = time.monotonic() + min(_ASK_S, timeout_s / 2)
        while (now := time.monotonic()) < end:
            if listener.hear(self.read()) or listener.is_certain():
                break
            if self._received > before and self.rest.endswith(_PROMPT):
                break
            if now >= ask_at:
                self.write(_ASK)
                asked, ask_at = True, now + _ASK_AGAIN_S
        return listener.answer(self.rest if self._received > before else "", asked)

    def wait_report(self, timeout_s: float = REPORT_S) -> Report:
        """The report that a node makes when it starts; it is asked for one when it makes none by itself.

        TimedOutError says what the board did instead, which may be certain before the time is over.
        """
        end = time.monotonic() + timeout_s
        listener = _Listener()
        listener.listen(self, min(timeout_s, _QUIET_S))
        answer = listener.answer(self.rest, False)
        while answer.report is None and (left := end - time.monotonic()) > 0 and answer.condition not in _FINAL:
            answer = self.identify(min(left, IDENTIFY_S))
            listener.hear(list(answer.lines))
        if answer.report is None:
            raise self._no_report(listener.answer(self.rest, True), timeout_s)
        return answer.report

    def _no_report(self, found: Answer, timeout_s: float) -> TimedOutError:
        worst = min(found.signs, key=lambda sign: _ORDER.index(sign.severity), default=None)
        cause = worst.says if worst and worst.severity != signs.INFO else SAYS[found.condition]
        hint = worst.hint if worst and worst.hint else f"look at what it says: fleet board monitor --port {self.url}"
        return TimedOutError(f"no report from {self.url} within {timeout_s:g} s", hint=hint, cause=cause)

    def _lost(self, error: Exception) -> PortLostError:
        hint = "plug the board in again, and check the cable"
        return PortLostError(f"{self.url} went away", hint=hint, cause=str(error))


SAYS = {
    Condition.REPORT: "it runs our firmware",
    Condition.PROMPT: "MicroPython waits at its prompt",
    Condition.DOWNLOAD: "the chip waits in its loader",
    Condition.BLANK: "there is no program in its flash",
    Condition.BROWNOUT: "its supply voltage falls too low",
    Condition.PANIC: "the interpreter crashed",
    Condition.BOOT_LOOP: "it starts again and again",
    Condition.NOISE: "it sends bytes that are no text",
    Condition.OTHER: "it talks, but does not answer",
    Condition.SILENCE: "it says nothing",
}
_ORDER = (signs.ERROR, signs.WARNING, signs.INFO)
_FINAL = (Condition.PROMPT, Condition.DOWNLOAD, Condition.BLANK)  # nothing will come of waiting
_STOPPED = (signs.DOWNLOAD, signs.BLANK)
_STARTING = 20  # lines that a start takes at most, up to the reason why it fails
_LOOPS = 2  # starts within one look
_BY_SIGN = {
    signs.DOWNLOAD: Condition.DOWNLOAD,
    signs.BLANK: Condition.BLANK,
    signs.BROWNOUT: Condition.BROWNOUT,
    signs.OTHER_CHIP: Condition.BOOT_LOOP,
    signs.FLASH_SIZE: Condition.BOOT_LOOP,
    signs.PANIC: Condition.PANIC,
}


class _Listener:
    """Collects lines and says what they amount to."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._report: Report | None = None
        self._boots = 0

    def listen(self, source: Console, timeout_s: float) -> bool:
        """Collect without asking; True as soon as there was a report."""
        end = time.monotonic() + timeout_s
        while time.monotonic() < end:
            if self.hear(source.read()):
                return True
        return False

    def hear(self, lines: list[str]) -> bool:
        """Take lines in; True when a report is among them."""
        for line in lines:
            self.lines.append(line)
            self._boots += signs.is_boot(line)
            self._report = Report.parse(line) or self._report
        del self.lines[:-_KEPT]
        return self._report is not None

    def is_certain(self) -> bool:
        """Whether the chip has said that it starts no program."""
        return any(sign.name in _STOPPED for sign in map(signs.sign_of, self.lines[-_STARTING:]) if sign is not None)

    def answer(self, rest: str, asked: bool) -> Answer:
        """What it all means; a traceback that our own question caused means nothing."""
        every = [*self.lines, rest]
        found = {sign.name: sign for sign in map(signs.sign_of, every) if sign is not None}
        version = next(filter(None, map(signs.version_of, reversed(every))), "")
        if rest.endswith(_PROMPT) and asked:
            found.pop(signs.TRACEBACK, None)
        condition = self._condition(rest, found)
        return Answer(condition, self._report, version, tuple(found.values()), tuple(self.lines))

    def _condition(self, rest: str, found: dict[str, Sign]) -> Condition:
        if self._report is not None:
            return Condition.REPORT
        if rest.endswith(_PROMPT):
            return Condition.PROMPT
        for name, condition in _BY_SIGN.items():
            if name in found:
                return condition
        if self._boots >= _LOOPS:
            return Condition.BOOT_LOOP
        if not any(line.strip() for line in self.lines) and not rest.strip():
            return Condition.SILENCE
        return Condition.NOISE if is_noise([*self.lines, rest]) else Condition.OTHER


def open_port(url: str, baud: int) -> serial.Serial:
    """The port, for this process alone; NotFoundError, NotAllowedError or UnreachableError say why not."""
    try:
        patience = None if url.startswith("rfc2217:") else _WRITE_S  # pyserial has none there
        port = serial.serial_for_url(url, baudrate=baud, timeout=_READ_S, write_timeout=patience, exclusive=True)
    except ValueError as error:
        raise NotFoundError(f"{url} is no port", hint="a device path or a pyserial URL", cause=str(error)) from error
    except (serial.SerialException, OSError) as error:
        raise refusal(url, error) from error
    return port


def refusal(url: str, error: OSError) -> FleetError:
    """Why a port cannot be opened, and what to do."""
    if error.errno == errno.ENOENT:
        return UnreachableError(f"there is no port {url}", hint="fleet board list shows what is attached")
    if error.errno in (errno.EACCES, errno.EPERM):
        hint = "add yourself to the group of the port: sudo usermod -aG dialout $USER, then log in again"
        return NotAllowedError(f"{url} may not be opened", hint=hint, cause=error.strerror or str(error))
    if error.errno in (errno.EAGAIN, errno.EBUSY):
        held = ", ".join(holders(url)) or "another program"
        return UnreachableError(f"{url} is in use", hint="end that program first", cause=f"held by {held}")
    if "://" not in url and not _is_serial(url):
        return UsageError(f"{url} is no serial port", hint="fleet board list shows what is attached")
    hint = "check the address, and that the far end runs" if "://" in url else "unplug the board and plug it in again"
    return UnreachableError(f"{url} cannot be opened", hint=hint, cause=str(error))


def _is_serial(path: str) -> bool:
    """False for a file or another device that somebody took for a port; True when it cannot be seen."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOCTTY | os.O_NONBLOCK)
    except OSError:
        return True
    try:
        return os.isatty(handle)
    finally:
        os.close(handle)


def holders(url: str, proc: Path = Path("/proc")) -> list[str]:
    """The processes that have the port open, as "name (pid)", those of other users only as far as the kernel tells."""
    target = Path(url).resolve()
    found = []
    for process in sorted(proc.glob("[0-9]*"), key=lambda path: int(path.name)):
        try:
            if any(handle.resolve() == target for handle in (process / "fd").iterdir()):
                found.append(f"{(process / 'comm').read_text().strip()} ({process.name})")
        except OSError:  # it has ended, or is not ours
            continue
    return found


def as_row(report: Report) -> dict[str, Any]:
    """The fields of a report by name, for output."""
    return {row.name: getattr(report, row.name) for row in fields(report)}
