"""The errors of the host program, and the exit code of each (docs/reference/cli.md).

FleetError                 1  failed: what was asked was not done
├── UsageError             2  the request makes no sense: wrong option, wrong value
│   └── ConfigError        2  a line of fleet.toml is wrong
├── NotFoundError          3  no such fleet, node, file
├── NotAllowedError        4  refused: retired node, file that must not be overwritten, missing right
│   └── ConflictError      4  somebody else was faster: look again, then decide anew
├── UnreachableError       5  board, broker, server or database does not answer
├── PartlyFailedError      6  some of several did not work; `failed` lists which
├── VerificationError      7  a signature, certificate or digest does not hold
└── TimedOutError          8  no answer in the time allowed

The edges (cli, web) turn these into text or JSON; everything below raises them and never prints.
Errors of libraries are translated where the library is called. Ctrl-C is 130 and no error of this tree.
"""

from collections.abc import Mapping
from typing import ClassVar


class FleetError(Exception):
    """Base. `message` says what failed, `cause` why (may be empty), `hint` what to try next (may be empty)."""

    code: ClassVar[str] = "failed"
    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, hint: str = "", cause: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.cause = cause

    def __str__(self) -> str:
        return f"{self.message}: {self.cause}" if self.cause else self.message


class UsageError(FleetError):
    """The request itself is wrong; doing it again will not help."""

    code = "usage"
    exit_code = 2


class ConfigError(UsageError):
    """fleet.toml cannot be used. The message names the file and the key."""

    code = "config"


class NotFoundError(FleetError):
    """What was named does not exist."""

    code = "not-found"
    exit_code = 3


class NotAllowedError(FleetError):
    """It exists, and it must not be done."""

    code = "not-allowed"
    exit_code = 4


class ConflictError(NotAllowedError):
    """It is not any more what the request was made for."""

    code = "conflict"


class UnreachableError(FleetError):
    """The far end does not answer; the same request may work later."""

    code = "unreachable"
    exit_code = 5


class PartlyFailedError(FleetError):
    """Several were asked for and some failed: `failed` maps each of these to its reason, a text or an error."""

    code = "partly-failed"
    exit_code = 6

    def __init__(self, message: str, failed: Mapping[str, "str | FleetError"], hint: str = "", cause: str = "") -> None:
        super().__init__(message, hint, cause)
        self.failed = dict(failed)


class VerificationError(FleetError):
    """A signature, certificate or digest does not hold: what it covers must not be used."""

    code = "verification"
    exit_code = 7


class TimedOutError(FleetError):
    """No answer within the time allowed."""

    code = "timed-out"
    exit_code = 8
