"""The broker as a child process: started, watched, restarted when it ends, never left behind.

One thread owns the child: it starts it, reads its log line by line, and starts it again with a growing pause.
The kernel's parent-death signal belongs to that thread, which lives as long as the child.
"""

import collections
import contextlib
import logging
import logging.handlers
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from fleet.broker import tether
from fleet.errors import FleetError, TimedOutError, UnreachableError

READY_S = 20.0  # a start on a full JetStream directory takes some seconds
RELOAD_S = 10.0  # 10 000 users take 0.3 s
STOP_S = 10.0  # until it is killed; both brokers survive that
PAUSE_FIRST_S = 0.1
PAUSE_MAX_S = 30.0
STEADY_S = 60.0  # alive for so long: the next pause is the first again
GIVE_UP_STARTS = 3  # starts that end before the broker was ready make `wait_ready` fail at once
LOG_BYTES = 4 << 20
LOG_FILES = 4
LINE_MAX = 2000
_TAIL = 20
_PORT_TAKEN = "address already in use"  # as NATS says it


@dataclass(frozen=True)
class Dialect:
    """How one kind of broker is started, and what its log says."""

    command: tuple[str, ...]
    ready: re.Pattern[str]
    reloaded: re.Pattern[str]
    failed: re.Pattern[str]  # a reload that did not happen, or a start; what follows is the reason
    alarms: Mapping[str, re.Pattern[str]]  # kind of alarm -> a line that means it
    facts: Mapping[str, re.Pattern[str]] = field(default_factory=dict)  # name -> where a line tells it (group 1)


class BrokerProcess:
    """`on_alarm(kind, line)` and `on_ready()` are called from the owning thread and must return soon."""

    def __init__(
        self,
        dialect: Dialect,
        directory: Path,
        log_file: Path,
        on_alarm: Callable[[str, str], None] | None = None,
        on_ready: Callable[[], None] | None = None,
    ) -> None:
        self._dialect = dialect
        self._lock_file = directory / "lock"
        self._log_file = log_file
        self._on_alarm = on_alarm
        self._on_ready = on_ready
        self._child: subprocess.Popen[str] | None = None
        self._thread: threading.Thread | None = None
        self._changed = threading.Condition()
        self._stopping = False
        self._ready = False
        self._reloads = 0
        self._reload_fault = ""
        self._tail: collections.deque[str] = collections.deque(maxlen=_TAIL)
        self.starts = 0
        self.alarms: collections.Counter[str] = collections.Counter()
        self.facts: dict[str, str] = {}  # what the running child told about itself

    @property
    def pid(self) -> int | None:
        """The child's process id, or None while there is none."""
        child = self._child
        return child.pid if child is not None and child.poll() is None else None

    @property
    def alive(self) -> bool:
        """Whether the child runs and has said that it is ready."""
        return self._ready and self.pid is not None

    @property
    def restarts(self) -> int:
        """How often it had to be started again."""
        return max(0, self.starts - 1)

    def start(self) -> None:
        """Begin; returns at once."""
        self._thread = threading.Thread(target=self._own, name="broker", daemon=True)
        self._thread.start()

    def wait_ready(self, timeout_s: float = READY_S) -> None:
        """Return when the broker takes connections; UnreachableError with its own words when it does not start."""
        with self._changed:
            self._changed.wait_for(lambda: self._ready or self._hopeless(), timeout_s)
            if not self._ready:
                cause = self._last_fault()
                hint = f"its log is {self._log_file}"
                if _PORT_TAKEN in cause:
                    hint = f"end the program that has the port, or change [broker] port in fleet.toml; {hint}"
                raise UnreachableError("the broker does not start", hint=hint, cause=cause)

    def reload(self, timeout_s: float = RELOAD_S) -> None:
        """Make the broker read its configuration again, and return when it has; FleetError when it refuses it."""
        with self._changed:
            child, before, self._reload_fault = self._child, self._reloads, ""
            if child is None or not self._ready:
                return  # it reads the file when it starts
            child.send_signal(signal.SIGHUP)
            done = self._changed.wait_for(
                lambda: self._reloads > before or self._reload_fault or self._child is not child, timeout_s
            )
            if self._reload_fault:
                raise FleetError("the broker refuses its new configuration", cause=self._reload_fault)
            if not done:
                raise TimedOutError("the broker does not confirm its new configuration", hint=f"see {self._log_file}")

    def restart(self) -> None:
        """End the child; its owner starts it again."""
        child = self._child
        if child is not None:
            child.terminate()

    def stop(self) -> None:
        """End the child and its owner: asked first, killed after STOP_S."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
            child = self._child
        if child is not None:
            child.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(STOP_S)
            child.kill()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def alarm(self, kind: str, text: str) -> None:
        """Count a breach of the rules and tell it."""
        self.alarms[kind] += 1
        if self._on_alarm is not None:
            self._on_alarm(kind, text)

    def _own(self) -> None:
        """The thread: one child after the other."""
        log = logging.handlers.RotatingFileHandler(
            self._log_file, maxBytes=LOG_BYTES, backupCount=LOG_FILES, encoding="utf-8"
        )
        pause = PAUSE_FIRST_S
        with contextlib.closing(log):
            while True:
                started = time.monotonic()
                with self._changed:
                    if self._stopping:
                        return
                    child = self._child = self._spawn()
                    self.starts += 1
                self._follow(child, log)
                pause = PAUSE_FIRST_S if time.monotonic() - started > STEADY_S else pause
                with self._changed:
                    self._ready, self._child = False, None
                    self._changed.notify_all()
                    self._changed.wait_for(lambda: self._stopping, pause)
                pause = min(pause * 2, PAUSE_MAX_S)

    def _spawn(self) -> subprocess.Popen[str]:
        parent = (sys.executable, "-I", "-S", tether.__file__)
        return subprocess.Popen(
            (*parent, str(os.getpid()), str(self._lock_file), *self._dialect.command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            errors="replace",
        )

    def _follow(self, child: "subprocess.Popen[str]", log: logging.Handler) -> None:
        """Read the child's log to its end, which is the child's end too."""
        assert child.stdout is not None
        with child.stdout as lines:
            while line := lines.readline(LINE_MAX):
                text = line.rstrip()
                log.emit(logging.makeLogRecord({"msg": text}))
                self._note(text)
        child.wait()

    def _note(self, line: str) -> None:
        """What one line of the log means."""
        dialect = self._dialect
        for kind, pattern in dialect.alarms.items():
            if pattern.search(line):
                self.alarm(kind, line)
        for name, pattern in dialect.facts.items():
            if found := pattern.search(line):
                self.facts[name] = found[1]
        with self._changed:
            self._tail.append(line)
            if found := dialect.failed.search(line):
                self._reload_fault = line[found.start() :]
            self._reloads += bool(dialect.reloaded.search(line))
            became_ready = not self._ready and dialect.ready.search(line) is not None
            self._ready = self._ready or became_ready
            self._changed.notify_all()
        if became_ready and self._on_ready is not None:
            self._on_ready()

    def _hopeless(self) -> bool:
        return self._child is None and self.starts >= GIVE_UP_STARTS

    def _last_fault(self) -> str:
        faults = [line for line in self._tail if self._dialect.failed.search(line)]
        return (faults or list(self._tail) or ["it said nothing"])[-1]
