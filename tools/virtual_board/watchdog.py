"""The watchdog of a program that never waits. One that waits is watched in its own time (device/machine.py)."""

from pathlib import Path

PERIOD_S = 0.25  # between two looks
LEAST_S = 3.0  # of computing or blocking before a program at a high rate is taken for dead
_STATE, _USER, _SYSTEM = 0, 11, 12  # fields of /proc/PID/stat after the name
_TICK_S = 0.01


class Watchdog:
    """Judges by processor time, so that a loaded machine bites nobody, and by real time while a program is blocked."""

    def __init__(self, rate: float) -> None:
        self._rate = max(rate, 1.0)
        self._feeds = -1
        self._cpu_s = 0.0
        self._blocked_s = 0.0

    def bites(self, feeds: int, timeout_ms: int, waiting: bool, cpu_s: float, blocked: bool) -> bool:
        """A look, each PERIOD_S: `feeds` so far, the time-out (0: none), whether the program waits where it is watched
        by itself, its processor time, and whether it is blocked elsewhere. True when it is dead."""
        if feeds != self._feeds or waiting or not timeout_ms:
            self._feeds, self._cpu_s, self._blocked_s = feeds, cpu_s, 0.0
            return False
        if blocked:
            self._blocked_s += PERIOD_S
        spent = cpu_s - self._cpu_s + self._blocked_s
        patience = timeout_ms / 1000
        return spent > max(patience / self._rate, min(patience, LEAST_S))


def usage(pid: int) -> tuple[float, bool]:
    """(processor time in s, it sleeps) of a process; ProcessLookupError when there is none."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    except FileNotFoundError:
        raise ProcessLookupError(pid) from None
    return (int(fields[_USER]) + int(fields[_SYSTEM])) * _TICK_S, fields[_STATE] != "R"
