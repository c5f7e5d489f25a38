"""The serial console: what is said on it, what it means, and who is there."""

import contextlib
import errno
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import serial
from hypothesis import given
from hypothesis import strategies as st

from fleet.errors import FleetError, NotAllowedError, NotFoundError, TimedOutError, UnreachableError, UsageError
from fleet.flashing import console, signs
from fleet.flashing.console import Condition, Console, PortLostError, Report
from fleet.flashing.text import LINE_MAX, LineReader
from fleet.tests.serial_rig import NODE, Answer, ScriptedPort, node, prompt
from protocol.console import FIELDS

RESET = b"ets Jun  8 2016 00:22:57\r\n\r\nrst:0x%s,boot:0x13 (SPI_FAST_FLASH_BOOT)\r\n"
DOWNLOAD = b"rst:0x1 (POWERON_RESET),boot:0x3 (DOWNLOAD_BOOT(UART0/UART1/SDIO_REI_REO_V2))\r\nwaiting for download\r\n"


@pytest.fixture
def wire(tmp_path: Path) -> Iterator[ScriptedPort]:
    with ScriptedPort(tmp_path / "port") as found:
        yield found


@contextlib.contextmanager
def board(path: Path, answer: Answer) -> Iterator[Console]:
    with ScriptedPort(path, answer), Console(str(path)) as found:
        yield found


# Lines


@given(st.lists(st.binary(max_size=200)))
def test_the_lines_do_not_depend_on_how_the_bytes_were_cut(pieces: list[bytes]) -> None:
    one, many = LineReader(), LineReader()
    whole = one.feed(b"".join(pieces))
    assert [line for piece in pieces for line in many.feed(piece)] == whole
    assert one.rest == many.rest


@given(st.binary(max_size=20_000))
def test_no_bytes_make_a_line_that_is_too_long_or_moves_a_cursor(data: bytes) -> None:
    reader = LineReader()
    for line in [*reader.feed(data), reader.rest]:
        assert len(line) <= LINE_MAX
        assert line.replace("\t", "").isprintable()


@pytest.mark.parametrize("size", [LINE_MAX - 1, LINE_MAX, LINE_MAX + 1, 3 * LINE_MAX])
def test_a_long_line_comes_in_pieces_and_nothing_of_it_is_lost(size: int) -> None:
    reader = LineReader()
    found = reader.feed(b"x" * size + b"\r\n")
    assert "".join(found) == "x" * size
    assert len(found) == -(-size // LINE_MAX)


def test_colours_of_the_bootloader_go_and_its_words_stay() -> None:
    assert LineReader().feed(b"\x1b[0;31mE (30) boot: no\x1b[0m\r\n") == ["E (30) boot: no"]


# Signs

MEANINGS = {
    "rst:0x1 (POWERON_RESET),boot:0x13 (SPI_FAST_FLASH_BOOT)": ("boot", "power on"),
    "rst:0xc (SW_CPU_RESET),boot:0x13 (SPI_FAST_FLASH_BOOT)": ("boot", "program restarted"),
    "rst:0x3 (RTC_SW_SYS_RST),boot:0x8 (SPI_FAST_FLASH_BOOT)": ("boot", "program restarted"),
    "rst:0x5 (DEEPSLEEP_RESET),boot:0x13 (SPI_FAST_FLASH_BOOT)": ("boot", "deep sleep"),
    "rst:0x5 (DSLEEP),boot:0xc (SPI_FAST_FLASH_BOOT)": ("boot", "deep sleep"),
    "rst:0x15 (USB_UART_CHIP_RESET),boot:0xc (SPI_FAST_FLASH_BOOT)": ("boot", "over USB"),
    "rst:0x8 (TG1WDT_SYS_RESET),boot:0x13 (SPI_FAST_FLASH_BOOT)": ("watchdog", "watchdog"),
    "rst:0x10 (RTCWDT_RTC_RESET),boot:0x13 (SPI_FAST_FLASH_BOOT)": ("watchdog", "watchdog"),
    "rst:0xf (RTCWDT_BROWN_OUT_RESET),boot:0x13 (SPI_FAST_FLASH_BOOT)": ("brown-out", "voltage"),
    "rst:0x1 (POWERON_RESET),boot:0x3 (DOWNLOAD_BOOT(UART0/UART1/SDIO_REI_REO_V2))": ("download", "GPIO0"),
    "rst:0x1 (POWERON),boot:0x4 (DOWNLOAD(USB/UART0/1))": ("download", "GPIO9"),
    "rst:0x1 (POWERON),boot:0x0 (USB_BOOT)": ("boot", "power on"),
    "waiting for download": ("download", "loader"),
    "Brownout detector was triggered": ("brown-out", "voltage"),
    "invalid header: 0xffffffff": ("blank", "no program"),
    "E (40) boot: No bootable app partitions in the partition table": ("blank", "no program"),
    "E (38) esp_image: image at 0x10000 has invalid magic byte (nothing flashed here?)": ("blank", "damaged"),
    "E (31) boot_comm: mismatch chip ID, expected 0, found 9": ("other-chip", "another chip"),
    "E (31) boot_comm: This chip is revision v1.0 but the application is configured for minimum revision v3.0": (
        "other-chip",
        "another chip",
    ),
    "E (55) spi_flash: Detected size(4096k) smaller than the size in the binary image header(8192k). Probe failed.": (
        "flash-size",
        "another size",
    ),
    "Guru Meditation Error: Core  0 panic'ed (LoadProhibited). Exception was unhandled.": ("panic", "crashed"),
    "abort() was called at PC 0x400d1234 on core 0": ("panic", "crashed"),
    "The filesystem appears to be corrupted. If you had important data there, you": ("files", "mounted"),
    "Traceback (most recent call last):": ("traceback", "error"),
    "MicroPython 1.24 or newer is needed: flash a newer image": ("too-old", "too old"),
    "no /id.cbor: provision this node": ("unprovisioned", "no identity"),
    "/id.cbor is damaged (truncated): provision this node again": ("damaged", "cannot be read"),
    "MPY: soft reboot": ("restart", "restarts"),
}


@pytest.mark.parametrize("line", MEANINGS)
def test_what_a_board_says_has_a_meaning(line: str) -> None:
    found = signs.sign_of(line)
    assert found is not None
    name, words = MEANINGS[line]
    assert (found.name, words in found.says + found.hint) == (name, True)
    assert found.severity == signs.INFO or found.hint or found.name in (signs.WATCHDOG, signs.TRACEBACK)


@pytest.mark.parametrize(
    "line",
    ["", "hello", "I (28) boot: chip revision: v3.0", "12.345 I link: connected to broker", "load:0x3fff0030,len:1184"],
)
def test_what_is_said_every_day_is_no_sign(line: str) -> None:
    assert signs.sign_of(line) is None


@given(st.text(max_size=LINE_MAX))
def test_no_line_takes_the_readers_long_or_down(line: str) -> None:
    signs.sign_of(line)
    signs.log_of(line)
    signs.version_of(line)
    Report.parse(line)


def test_a_line_of_our_log_in_its_parts() -> None:
    assert signs.log_of("61.007 W link: no network") == (61007, signs.WARNING, "link", "no network")
    assert signs.log_of("61.007 link: no network") is None


def test_every_field_of_the_contract_is_a_field_of_the_report() -> None:
    found = Report.parse(NODE)
    assert found is not None
    assert list(console.as_row(found)) == [row[0] for row in FIELDS]
    assert (found.node, found.waiting, found.mac) == ("air-1", 3, "240ac4000001")


# Who is there

SCENES: dict[str, tuple[Answer, bytes, Condition, str]] = {
    "a node that runs": (node(), b"", Condition.REPORT, ""),
    "MicroPython at its prompt": (prompt, b"", Condition.PROMPT, "1.29.0"),
    "a board that says nothing": (lambda _: b"", b"", Condition.SILENCE, ""),
    "a chip in its loader": (lambda _: b"", DOWNLOAD, Condition.DOWNLOAD, ""),
    "blank flash": (
        lambda _: b"",
        RESET % b"10 (RTCWDT_RTC_RESET)" + b"invalid header: 0xffffffff\r\n",
        Condition.BLANK,
        "",
    ),
    "a weak supply": (
        lambda _: b"",
        (RESET % b"f (RTCWDT_BROWN_OUT_RESET)" + b"\r\nBrownout detector was triggered\r\n\r\n") * 3,
        Condition.BROWNOUT,
        "",
    ),
    "an interpreter that crashes": (
        lambda _: b"",
        RESET % b"1 (POWERON_RESET)" + b"Guru Meditation Error: Core  0 panic'ed (LoadProhibited)\r\nRebooting...\r\n",
        Condition.PANIC,
        "",
    ),
    "a board that starts again and again": (
        lambda _: b"",
        RESET % b"8 (TG1WDT_SYS_RESET)" * 4,
        Condition.BOOT_LOOP,
        "",
    ),
    "another bit rate": (lambda _: b"", bytes(range(128, 255)) * 4, Condition.NOISE, ""),
    "other firmware": (lambda _: b"", b"temperature 21.5\r\n", Condition.OTHER, ""),
}


@pytest.mark.parametrize("scene", SCENES)
def test_a_board_is_recognised(tmp_path: Path, scene: str) -> None:
    answer, says, condition, version = SCENES[scene]
    with ScriptedPort(tmp_path / "port", answer) as wire, Console(str(wire.path)) as found:
        wire.say(says)
        answered = found.identify(0.9)
    assert (answered.condition, answered.micropython) == (condition, version)
    assert (answered.report is not None) == (condition is Condition.REPORT)


def test_a_question_that_the_prompt_does_not_understand_is_no_traceback_of_the_board(tmp_path: Path) -> None:
    slow = iter([b"", b">>> ?\r\nTraceback (most recent call last):\r\nSyntaxError: invalid syntax\r\n>>> "])
    with board(tmp_path / "port", lambda _: next(slow, b"")) as found:
        answered = found.identify(2)
    assert (answered.condition, answered.signs) == (Condition.PROMPT, ())


def test_a_report_counts_from_whatever_it_was_surrounded_by(tmp_path: Path) -> None:
    around = f"1.000 I app: air-1\r\n{NODE}\r\n2.000 I link".encode()
    with board(tmp_path / "port", lambda typed: around if b"?" in typed else b"") as found:
        assert found.wait_report(5).node == "air-1"


WAITS = {
    "silence": (b"", "it says nothing", "fleet board monitor"),
    "brown-out": (b"Brownout detector was triggered\r\n", "the supply voltage fell too low", "cable"),
    "no identity": (b"no /id.cbor: provision this node\r\n>>> ", "the board has no identity yet", "provision"),
    "blank": (b"invalid header: 0xffffffff\r\n", "no program", "fleet board flash"),
}


@pytest.mark.parametrize("scene", WAITS)
def test_a_report_that_does_not_come_is_an_error_with_its_reason(wire: ScriptedPort, scene: str) -> None:
    says, cause, hint = WAITS[scene]
    with Console(str(wire.path)) as found:
        wire.say(says)
        with pytest.raises(TimedOutError, match="no report") as raised:
            found.wait_report(1.5)
    assert cause in raised.value.cause
    assert hint in raised.value.hint


def test_what_is_certain_is_not_waited_for(wire: ScriptedPort) -> None:
    began = time.monotonic()
    with Console(str(wire.path)) as found:
        wire.say(b"invalid header: 0xffffffff\r\n")
        with pytest.raises(TimedOutError):
            found.wait_report(60)
    assert time.monotonic() - began < 30


# The port


def test_a_port_has_one_user_and_the_other_is_named(wire: ScriptedPort) -> None:
    with Console(str(wire.path)), pytest.raises(UnreachableError, match="in use") as raised:
        Console(str(wire.path))
    assert f"({os.getpid()})" in raised.value.cause


def test_a_port_that_goes_away_is_an_error_of_its_own(wire: ScriptedPort) -> None:
    with Console(str(wire.path)) as found:
        wire.unplug()
        with pytest.raises(PortLostError, match="went away"):
            list(found.lines(5))


def test_a_pseudo_terminal_has_no_reset_line(wire: ScriptedPort) -> None:
    with Console(str(wire.path)) as found:
        assert not found.reset()


REFUSALS = {
    errno.ENOENT: (UnreachableError, "no port"),
    errno.EACCES: (NotAllowedError, "dialout"),
    errno.EBUSY: (UnreachableError, "in use"),
    errno.EAGAIN: (UnreachableError, "in use"),
    errno.EIO: (UnreachableError, "plug"),
}


@pytest.mark.parametrize("code", REFUSALS)
def test_a_port_that_cannot_be_opened_says_why(code: int) -> None:
    kind, words = REFUSALS[code]
    error = console.refusal("/dev/ttyUSB9", serial.SerialException(code, os.strerror(code)))
    assert type(error) is kind
    assert words in error.message + error.hint


def test_a_file_that_somebody_took_for_a_port_is_named_as_that(tmp_path: Path) -> None:
    (tmp_path / "ready").touch()
    for path in ("/dev/null", str(tmp_path / "ready")):
        with pytest.raises(UsageError, match="is no serial port"):
            Console(path)


@pytest.mark.parametrize("url", ["nothing://x", "/nonexistent/port", "socket://127.0.0.1:1"])
def test_a_port_that_is_none(url: str) -> None:
    with pytest.raises((NotFoundError, UnreachableError)) as raised:
        Console(url)
    assert isinstance(raised.value, FleetError)
    assert raised.value.hint
