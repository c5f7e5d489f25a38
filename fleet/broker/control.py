"""Writing what a broker reads, and telling a running one, whichever process it belongs to."""

import contextlib
import fcntl
import os
import secrets
import signal
import time
from collections.abc import Iterable
from pathlib import Path

from fleet import files
from fleet.broker import mosquitto, nats
from fleet.broker.rights import User
from fleet.config import EMBEDDED, Config
from fleet.errors import FleetError, NotAllowedError, TimedOutError

LOCK_NAME = "lock"
LOG_NAME = "broker.log"
GUARD_NAME = "guard.secret"
CONFIRM_S = 10.0  # 10 000 users take 0.3 s
_POLL_S = 0.02
_SECRET_BYTES = 24


def write(config: Config, users: Iterable[User]) -> None:
    """Write the configuration of every kind of broker, each file whole."""
    every = list(users)
    directory = config.broker_dir
    files.make_private_dir(directory)
    files.make_private_dir(directory / mosquitto.DATA_NAME)
    files.replace(directory / nats.CONFIG_NAME, nats.config_text(config, every, guard_secret(config)).encode())
    files.replace(directory / mosquitto.CONFIG_NAME, mosquitto.config_text(config).encode())
    files.replace(directory / mosquitto.ACL_NAME, mosquitto.acl_text(every).encode())


def guard_secret(config: Config) -> str:
    """The password of the guard, random and made when it is first needed."""
    path = config.broker_dir / GUARD_NAME
    files.make_private_dir(config.broker_dir)
    if not path.exists():
        with contextlib.suppress(NotAllowedError):  # somebody else was faster
            files.write_new(path, secrets.token_urlsafe(_SECRET_BYTES).encode())
    return path.read_text()


def log_file(config: Config) -> Path:
    """Where the embedded broker's log goes."""
    return config.log_dir / LOG_NAME


def reload(config: Config) -> bool:
    """Make the embedded broker of this directory read its configuration again, and return when it has.

    False when none runs, or the broker is external and has to be told by whoever runs it. FleetError when the broker
    refuses the configuration, TimedOutError when it does not say that it took it.
    """
    pid = _running(config) if config.broker.kind == EMBEDDED else None
    if pid is None:
        return False
    said = log_file(config)
    start = said.stat().st_size
    os.kill(pid, signal.SIGHUP)
    dialect = nats.dialect(Path("nats-server"), config)
    end = time.monotonic() + CONFIRM_S
    while time.monotonic() < end:
        text = _since(said, start)
        if fault := dialect.failed.search(text):
            raise FleetError("the broker refuses its new configuration", hint=f"see {said}", cause=fault[0])
        if dialect.reloaded.search(text):
            return True
        time.sleep(_POLL_S)
    raise TimedOutError("the broker does not confirm its new configuration", hint=f"see {said}")


def _running(config: Config) -> int | None:
    """The process id of the embedded broker; its pid file counts only while somebody holds the lock."""
    try:
        with (config.broker_dir / LOCK_NAME).open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return None
    except FileNotFoundError:
        return None
    except BlockingIOError:
        pass
    try:
        return int((config.broker_dir / nats.PID_NAME).read_text())
    except (FileNotFoundError, ValueError):
        return None


def _since(path: Path, start: int) -> str:
    """What was written to a log after `start`; all of it when it was rotated meanwhile."""
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        file.seek(start if size >= start else 0)
        return file.read().decode(errors="replace")
