"""What esptool says, what it means, and what to try; in esptool's own words."""

import pytest

from fleet.errors import FleetError, NotAllowedError, UnreachableError, UsageError, VerificationError
from fleet.flashing.loader_errors import MEANINGS, error_of

FATAL = "A fatal error occurred: "
SAID: dict[str, tuple[str, type[FleetError], str]] = {
    "nothing answers": (
        "Failed to connect to ESP32: No serial data received.",
        UnreachableError,
        "the loader does not answer",
    ),
    "the program runs instead": (
        "Failed to connect to ESP32: Wrong boot mode detected (0x13)! The chip needs to be in download mode.",
        UnreachableError,
        "its program instead of its loader",
    ),
    "it does not hear": (
        "Failed to connect to ESP32: Download mode successfully detected, but getting no sync reply: "
        "The serial TX path seems to be down.",
        UnreachableError,
        "does not hear",
    ),
    "noise": (
        "Failed to connect to ESP32: Invalid head of packet (0x37): Possible serial noise or corruption.",
        UnreachableError,
        "garbles",
    ),
    "another chip": ("This chip is ESP32, not ESP32-S3. Wrong chip argument?", UsageError, "the chip is ESP32"),
    "no stub": ("Failed to start stub flasher. There was no response.", UnreachableError, "stub"),
    "damaged": ("MD5 of file does not match data in flash!", VerificationError, "something else than was written"),
    "nothing was written": (
        "Write failed, the written flash region is empty.",
        VerificationError,
        "something else than was written",
    ),
    "too large": (
        "'x' (length 1717) at offset 0x00010000 will not fit in 1048576 bytes of flash.",
        UsageError,
        "larger than the flash",
    ),
    "locked": ("Secure Boot V1 detected, writing to flash regions < 0x8000 is disabled", NotAllowedError, "locked"),
    "lost on the way": (
        "Failed to write compressed data to flash after seq 12 (result was 0105: Operation failed)",
        UnreachableError,
        "stopped answering",
    ),
    "silent on the way": ("No more data to read from the serial port.", UnreachableError, "stopped answering"),
    "no such thing in ROM": ("ESP32 ROM does not support function erase_flash.", UsageError, "ROM cannot do that"),
    "something new": ("The moon is in the wrong place.", FleetError, "esptool failed"),
}


@pytest.mark.parametrize("case", SAID)
def test_meaning(case: str) -> None:
    said, kind, message = SAID[case]
    error = error_of("/dev/ttyUSB0", f"esptool v5.6.0\nConnecting...\n\x1b[31m{FATAL}\x1b[0m{said}\nFor more see\n")
    assert type(error) is kind
    assert message in error.message
    assert error.message.startswith("/dev/ttyUSB0: ")
    assert error.cause == said
    assert error.hint


def test_an_unplugged_board() -> None:
    said = (
        "A serial exception error occurred: device reports readiness to read but returned no data (device disconnected"
    )
    assert "went away" in error_of("p", said).message


def test_a_usage_error_of_esptool_keeps_its_words() -> None:
    assert error_of("p", "Usage: esptool\n\nError: no such option").cause == "Error: no such option"
    assert error_of("p", "").cause == "it said nothing"


def test_every_meaning_says_what_to_try() -> None:
    assert all(meaning.hint and meaning.message for meaning in MEANINGS)
