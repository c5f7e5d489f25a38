"""Which boards a command means."""

import os
from collections.abc import Mapping, Sequence

from fleet.errors import UsageError
from fleet.flashing import ports
from fleet.flashing.ports import Port


def chosen(wanted: Sequence[str], every: bool = False, environ: Mapping[str, str] = os.environ) -> list[Port]:
    """Those that are named, all that are attached, or the only one; the errors are those of `fleet.flashing.ports`."""
    return ports.choose(ports.attached(environ), wanted, every)


def one(wanted: str | None, environ: Mapping[str, str] = os.environ) -> Port:
    """The one board that a command works on."""
    found = ports.choose(ports.attached(environ), [wanted] if wanted else [], hint="name one with --port")
    if len(found) > 1:
        raise UsageError(f"{wanted} fits {len(found)} ports", hint="name one of them")
    return found[0]


def all_of(environ: Mapping[str, str] = os.environ) -> list[Port]:
    """Every board that is attached; none is no error."""
    return ports.attached(environ)
