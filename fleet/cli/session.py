"""One command's work on one fleet: its configuration and its open database."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from fleet.config import Config
    from fleet.store import Store

ACTOR_BYTES = 64  # Command.actor, SPEC 6


class Session(NamedTuple):
    """What a use case needs."""

    config: "Config"
    store: "Store"

    def note(self, at_s: int, action: str, about: str, why: str = "", **figures: Any) -> None:
        """Write into the audit log what whoever sits here has just done."""
        from fleet.store.audit import Act, body_of

        self.store.audit.append(Act(at_s, actor(), action, about, why, body_of(figures) if figures else b""))


@contextlib.contextmanager
def opened(directory: Path) -> Iterator[Session]:
    """The fleet in `directory`; NotFoundError when there is none."""
    from fleet import config
    from fleet.store import Store

    found = config.load(directory)
    with Store.open(found.store_url) as store:
        yield Session(found, store)


def actor() -> str:
    """Who is doing this, as `user@host`."""
    import getpass
    import socket

    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a user id without a name, as in some containers
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}".encode()[:ACTOR_BYTES].decode(errors="ignore")
