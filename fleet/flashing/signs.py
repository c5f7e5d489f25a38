"""What a board says about its own trouble: texts of ROM, bootloader, MicroPython and our firmware, and what they mean.

The texts are those of Espressif's ROMs (ESP32 to ESP32-C3), of the ESP-IDF 5 bootloader, and of MicroPython 1.24 to
1.29. A line has one sign at most: the first row that matches, so what is special stands before what is general.
"""

import re
from dataclasses import dataclass
from typing import NamedTuple

ERROR = "error"
WARNING = "warning"
INFO = "info"

BOOT = "boot"  # names of signs that others ask for
BLANK = "blank"
BROWNOUT = "brown-out"
DOWNLOAD = "download"
FILES = "files"
FLASH_SIZE = "flash-size"
OTHER_CHIP = "other-chip"
PANIC = "panic"
TOO_OLD = "too-old"
TRACEBACK = "traceback"
UNPROVISIONED = "unprovisioned"
DAMAGED = "damaged"
WATCHDOG = "watchdog"

_POWER = "use a short cable on a port or hub that gives 500 mA, and take off what else the board feeds"
_REFLASH = "flash the board: fleet board flash --force"


@dataclass(frozen=True)
class Sign:
    """One kind of trouble or news. `says` is what the line means, `hint` what to try (empty when nothing is wrong)."""

    name: str
    severity: str
    pattern: re.Pattern[str]
    says: str
    hint: str = ""


class LogLine(NamedTuple):
    """A line of our firmware's log: `up_ms` since boot."""

    up_ms: int
    severity: str
    tag: str
    text: str


def _sign(name: str, severity: str, pattern: str, says: str, hint: str = "") -> Sign:
    return Sign(name, severity, re.compile(pattern), says, hint)


SIGNS: tuple[Sign, ...] = (
    _sign(
        DOWNLOAD,
        WARNING,
        r"boot:0x[0-9a-f]+ \((?:USB_|UART_)?DOWNLOAD|waiting for download",
        "the chip waits in its loader: the boot pin (GPIO0, on C3 GPIO9) was low when it started",
        "release the BOOT button, take off what pulls that pin down, then press EN or power the board again",
    ),
    _sign(BROWNOUT, ERROR, r"Brownout detector was triggered", "the supply voltage fell too low", _POWER),
    _sign(BROWNOUT, ERROR, r"rst:0x[0-9a-f]+ \(\w*BROWN_?OUT\w*\)", "restarted since the voltage fell too low", _POWER),
    _sign(BOOT, INFO, r"rst:0x[0-9a-f]+ \(POWERON\w*\)", "power on, or the EN pin was pulsed"),
    _sign(BOOT, INFO, r"rst:0x[0-9a-f]+ \(D\w*SLEEP\w*\)", "woke from deep sleep"),
    _sign(
        WATCHDOG,
        WARNING,
        r"rst:0x[0-9a-f]+ \(\w*WDT\w*\)",
        "a watchdog restarted the chip: the program was stuck, or crashed early",
        "read the lines before this one; while it repeats, the image does not suit the board",
    ),
    _sign(BOOT, INFO, r"rst:0x[0-9a-f]+ \(\w*SW\w*\)", "the program restarted the chip"),
    _sign(BOOT, INFO, r"rst:0x[0-9a-f]+ \(USB\w*\)", "the computer restarted the chip over USB"),
    _sign(BROWNOUT, WARNING, r"rst:0x[0-9a-f]+ \(\w*GLITCH\w*\)", "restarted by a glitch on the supply", _POWER),
    _sign(BOOT, INFO, r"rst:0x[0-9a-f]+ \(", "the chip restarted"),
    _sign(
        BLANK,
        ERROR,
        r"invalid header: 0x[0-9a-f]{8}|No bootable app partitions|No factory image",
        "the flash holds no program that the chip could start",
        _REFLASH,
    ),
    _sign(
        OTHER_CHIP,
        ERROR,
        r"mismatch chip ID|chip is revision|requires chip rev",
        "the image in flash is for another chip",
        "flash an image for this chip: fleet board flash --chip auto --force",
    ),
    _sign(
        FLASH_SIZE,
        ERROR,
        r"Detected size\(\d+k\) (?:smaller|larger) than the size in the binary image header",
        "the image was made for another size of flash",
        "flash it anew: fleet board flash writes the size that the chip reports",
    ),
    _sign(
        FLASH_SIZE,
        ERROR,
        r"partition \S+ invalid|exceeds flash chip size|Failed to verify partition table",
        "the partition table does not fit the flash",
        _REFLASH,
    ),
    _sign(
        BLANK,
        ERROR,
        r"flash read err|csum err|invalid magic byte|Checksum failed|image corrupted|Image hash failed",
        "the image in flash is damaged",
        _REFLASH,
    ),
    _sign(
        PANIC,
        ERROR,
        r"Guru Meditation Error|abort\(\) was called|assert failed:|[Ss]tack (?:smashing|canary)",
        "the interpreter itself crashed",
        "note the lines from here to `Rebooting`; when it repeats, flash the base image anew",
    ),
    _sign(
        FILES,
        ERROR,
        r"filesystem appears to be corrupted",
        "the file system cannot be mounted",
        "save what matters with `esptool read-flash`, then fleet board flash --force",
    ),
    _sign(
        TOO_OLD,
        ERROR,
        r"MicroPython 1\.24 or newer is needed",
        "the base image is too old for the firmware",
        "flash a newer one: fleet board flash --micropython VERSION",
    ),
    _sign(
        UNPROVISIONED,
        WARNING,
        r"no /id\.cbor: provision this node",
        "the board has no identity yet",
        "give it one: fleet board provision",
    ),
    _sign(
        DAMAGED,
        ERROR,
        r"/id\.cbor is damaged",
        "the identity cannot be read",
        "make it anew: fleet board provision NODE --yes",
    ),
    _sign(
        TRACEBACK,
        ERROR,
        r"^Traceback \(most recent call last\):",
        "the program ended with an error",
        "the last line of the traceback names it",
    ),
    _sign(WATCHDOG, WARNING, r"[Tt]ask watchdog got triggered", "a task has not yielded for long"),
    _sign("restart", INFO, r"^Rebooting\.\.\.|^MPY: soft reboot", "the interpreter restarts"),
    _sign("prompt", INFO, r"^MicroPython \S+ on \d{4}-", "the interpreter is at its prompt"),
)

_BANNER = re.compile(r"MicroPython v?(\d{1,4}\.\d{1,4}\S{0,24}) on ")
_LOG = re.compile(r"(\d{1,12})\.(\d{3}) ([EWID]) (\S{1,16}): (.*)", re.DOTALL)
_SEVERITIES = {"E": ERROR, "W": WARNING, "I": INFO, "D": "debug"}


def sign_of(line: str) -> Sign | None:
    """What a line means, or None for one that means nothing in particular."""
    return next((sign for sign in SIGNS if sign.pattern.search(line)), None)


def log_of(line: str) -> LogLine | None:
    """A line of our log (node/core/log.py) in its parts, or None."""
    found = _LOG.fullmatch(line)
    if found is None:
        return None
    return LogLine(int(found[1]) * 1000 + int(found[2]), _SEVERITIES[found[3]], found[4], found[5])


def version_of(line: str) -> str:
    """The version in a banner of MicroPython ("1.29.0"), or nothing."""
    found = _BANNER.search(line)
    return found[1] if found else ""


def is_boot(line: str) -> bool:
    """Whether the ROM says here that the chip has just started."""
    return re.search(r"\brst:0x[0-9a-f]+ \(", line) is not None
