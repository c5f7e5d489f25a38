"""What esptool's error messages mean, and what to try. The texts are those of esptool 5.0 to 5.6."""

import re
from dataclasses import dataclass

from fleet.errors import (
    FleetError,
    NotAllowedError,
    UnreachableError,
    UsageError,
    VerificationError,
)

_ANSI = re.compile(r"\x1b\[[0-9;]*m")
_BOOT_BUTTON = "hold BOOT, press and release EN, release BOOT, then flash with --before no-reset"
_LINE = "use a short cable for data, no hub, and a lower --baud (115200)"


@dataclass(frozen=True)
class Meaning:
    """`pattern` in esptool's output is an `error` that says `message`."""

    pattern: re.Pattern[str]
    error: type[FleetError]
    message: str
    hint: str


def _row(pattern: str, error: type[FleetError], message: str, hint: str) -> Meaning:
    return Meaning(re.compile(pattern, re.IGNORECASE), error, message, hint)


# The first that fits: what is special stands before what is general.
MEANINGS: tuple[Meaning, ...] = (
    _row(
        r"Wrong boot mode detected",
        UnreachableError,
        "the chip started its program instead of its loader",
        f"its reset circuit does not do it: {_BOOT_BUTTON}",
    ),
    _row(
        r"Download mode successfully detected, but getting no sync reply",
        UnreachableError,
        "the loader speaks but does not hear",
        "check the wire from the computer's TX to the chip's RX",
    ),
    _row(
        r"This chip is (?P<what>\S+), not \S+",
        UsageError,
        "the chip is {what}",
        "say --chip auto, or take the board that was meant",
    ),
    _row(
        r"Failed to autodetect chip type|unexpected chip|Unknown.*chip",
        UsageError,
        "the chip is none that esptool knows",
        "name it with --chip",
    ),
    _row(
        r"Invalid head of packet|Possible serial noise|Invalid SLIP escape|Corrupt data|Digest mismatch",
        UnreachableError,
        "the line garbles what goes over it",
        _LINE,
    ),
    _row(
        r"Failed to start stub flasher",
        UnreachableError,
        "the flasher stub does not start",
        "run it again with --no-stub, or with a lower --baud",
    ),
    _row(
        r"Failed to connect",
        UnreachableError,
        "the loader does not answer",
        f"check cable and power; is it the right port? Otherwise {_BOOT_BUTTON}",
    ),
    _row(
        r"MD5 of file does not match|written flash region is empty|Verification failed",
        VerificationError,
        "the flash holds something else than was written",
        "run it again with a lower --baud; if it happens again, check the supply, then the flash chip",
    ),
    _row(
        r"will not fit in|Can't access flash regions larger|flash size.*larger than the available",
        UsageError,
        "the image is larger than the flash of this chip",
        "take an image for this size of flash",
    ),
    _row(
        r"Secure Boot|flash encryption|secure download mode|security features|JTAG re-enable|encrypt functionality",
        NotAllowedError,
        "the chip is locked",
        "its eFuses forbid it for ever: take another board",
    ),
    _row(
        r"Failed to set baud rate|Unable to set baud|CHANGE_BAUDRATE",
        UsageError,
        "the bit rate does not work",
        "take another one: --baud 115200",
    ),
    _row(
        r"readiness to read but returned no data|device disconnected|Input/output error|No such device|write failed",
        UnreachableError,
        "the port went away",
        "plug the board in again, and check cable and supply",
    ),
    _row(
        r"ROM does not support|only supported by ESP stub|not available without stub|only.*via the stub",
        UsageError,
        "the loader in ROM cannot do that",
        "leave --no-stub away",
    ),
    _row(
        r"Timed out waiting|No more data to read|The chip stopped responding|Packet content transfer stopped"
        r"|No serial data received|serial exception"
        r"|Failed to (?:write|enter|read|erase|calculate|set|configure|attach)",
        UnreachableError,
        "the chip stopped answering",
        f"check cable and supply: {_LINE}",
    ),
)


def error_of(url: str, output: str) -> FleetError:
    """The error that an esptool which ended with a failure tells of."""
    said = _ANSI.sub("", output)
    for meaning in MEANINGS:
        found = meaning.pattern.search(said)
        if found:
            message = meaning.message.format(**found.groupdict())
            return meaning.error(f"{url}: {message}", hint=meaning.hint, cause=_words(said))
    hint = "the same command by hand says more: esptool --trace"
    return FleetError(f"{url}: esptool failed", hint=hint, cause=_words(said) or "it said nothing")


def _words(said: str) -> str:
    """What esptool calls the error, on one line."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    for line in lines:
        found = re.search(r"(?:A fatal error occurred:|ERROR:|A serial exception error occurred:)\s*(.+)", line)
        if found:
            return re.sub(r"^A fatal error occurred:\s*", "", found[1])
    return lines[-1] if lines else ""
