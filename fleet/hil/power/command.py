"""A relay with a program of its own: two argument lists, run without a shell."""

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field

from fleet.errors import FleetError, TimedOutError, UnreachableError
from fleet.hil.power.base import Driver
from fleet.hil.schema import key

SAID = 2000  # characters of a program's last words that an error shows


@dataclass(frozen=True)
class CommandSettings:
    """The two command lines."""

    on: tuple[str, ...] = field(metadata=key('Gives the power, as a list: ["usbrelay", "HURTM_1=1"].'))
    off: tuple[str, ...] = field(metadata=key("Takes it away."))
    timeout_s: int = field(default=10, metadata=key("How long a command may take.", low=1, high=300))


class Command(Driver[CommandSettings]):
    """Runs what the bench's owner wrote down."""

    Settings = CommandSettings

    def on(self) -> None:
        """Run the command for on."""
        call(self.settings.on, self.settings.timeout_s, self.board)

    def off(self) -> None:
        """Run the command for off."""
        call(self.settings.off, self.settings.timeout_s, self.board)


def call(argv: Sequence[str], timeout_s: int, board: str, hint: str = "") -> str:
    """Run a program; its output. UnreachableError when there is none, FleetError when it fails."""
    what = f"cannot switch the power of {board}"
    try:
        done = subprocess.run(list(argv), stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout_s, check=False)
    except subprocess.TimeoutExpired:
        raise TimedOutError(what, cause=f"{argv[0]} did not end within {timeout_s} s", hint=hint) from None
    except (OSError, IndexError) as error:
        cause = f"{argv[0]}: {getattr(error, 'strerror', None) or error}" if argv else "the command is empty"
        raise UnreachableError(what, cause=cause, hint=hint or "install it, or write its whole path") from error
    said = (done.stdout + b"\n" + done.stderr).decode(errors="replace").strip()
    if done.returncode:
        raise FleetError(what, cause=f"{argv[0]} ended with {done.returncode}: {said[-SAID:]}", hint=hint)
    return said
