"""How long `fleet --help` takes, as whole processes from fork to exit: one JSON line with medians in milliseconds.

Beside it, in the same run and in turn: Python alone, `import click` alone, and the help of a group. Budget: 150 ms.
"""

import json
import os
import statistics
import subprocess
import sys
import time

RUNS = 31
BUDGET_MS = 150
COMMANDS = {
    "python_ms": ["-c", "pass"],
    "click_ms": ["-c", "import click"],
    "help_ms": ["-m", "fleet", "--help"],
    "node_help_ms": ["-m", "fleet", "node", "--help"],
}


def one(arguments: list[str]) -> float:
    """The time of one process in milliseconds."""
    started = time.perf_counter()
    subprocess.run([sys.executable, *arguments], stdout=subprocess.DEVNULL, check=True)
    return (time.perf_counter() - started) * 1000


def main() -> int:
    """Print the line; 1 when the median is above the budget."""
    for arguments in COMMANDS.values():
        one(arguments)  # the files are in the page cache from here on, and byte code is written
    times: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(RUNS):
        for name, arguments in COMMANDS.items():
            times[name].append(one(arguments))
    medians = {name: round(statistics.median(found), 1) for name, found in times.items()}
    load = round(os.getloadavg()[0], 2)
    print(
        json.dumps(
            {"bench": "cli", **medians, "runs": RUNS, "budget_ms": BUDGET_MS, "cpus": os.cpu_count(), "load": load}
        )
    )
    return 0 if medians["help_ms"] <= BUDGET_MS else 1


if __name__ == "__main__":
    sys.exit(main())
