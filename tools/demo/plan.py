"""How large a demonstration may be, and who takes part."""

from pathlib import Path

from tools.testbed.node import Seat

MEMORY_KB = 42_000  # of one node, measured: 27 MB of its board, 13 MB of its MicroPython
SERVICE_KB = 500_000  # of broker, service and this program, 210 MB, and of six esptools while boards are flashed
RATE = 60.0  # a minute per second
WORK = 600.0  # nodes times rate that a small computer keeps up with
LIGHT_EVERY = 3  # one node of three is a street light
MORNING_S = 7 * 3600 + 40 * 60  # of the UTC day: lamps are off for hours, and one that is lit does not restart
_DAY_S = 86400
_MEMINFO = Path("/proc/meminfo")


class TooLargeError(Exception):
    """This computer cannot hold so many nodes; the text says how many it can."""


def seats(count: int, seed: int) -> list[Seat]:
    """`count` nodes: air, air, light, air, air, light, ..."""
    found = []
    numbers = {"air": 0, "light": 0}
    for index in range(count):
        kind = "light" if index % LIGHT_EVERY == LIGHT_EVERY - 1 else "air"
        numbers[kind] += 1
        found.append(Seat(f"{kind}-{numbers[kind]}", kind, f"esp32_{kind}", seed))
    return sorted(found, key=lambda seat: (seat.kind, int(seat.node.split("-")[1])))


def rate_for(count: int) -> float:
    """How fast time runs unless somebody says otherwise: RATE, and less for many nodes."""
    return max(1.0, min(RATE, WORK // count))


def begin_s(now_s: float, head_start_s: float) -> float:
    """When the nodes begin: on a morning, at least `head_start_s` before now, so that fast time stays in the past."""
    latest = now_s - head_start_s - MORNING_S
    return latest - latest % _DAY_S + MORNING_S


def check_memory(count: int, meminfo: Path = _MEMINFO) -> None:
    """TooLargeError when `count` nodes need more memory than there is; silent where nobody can tell."""
    try:
        rows = dict(line.split(":", 1) for line in meminfo.read_text().splitlines())
        free_kb = int(rows["MemAvailable"].split()[0])
    except (OSError, KeyError, ValueError):
        return
    most = max(0, (free_kb - SERVICE_KB) // MEMORY_KB)
    if count > most:
        needed_mb = (count * MEMORY_KB + SERVICE_KB) // 1000
        raise TooLargeError(
            f"{count} nodes need about {needed_mb} MB of memory and {free_kb // 1000} MB are free: try --nodes {most}"
            if most
            else f"a node needs about {(MEMORY_KB + SERVICE_KB) // 1000} MB of memory and {free_kb // 1000} MB are free"
        )
