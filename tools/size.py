"""What the firmware costs a board: `python -m tools.size [--json]` prints it and exits 1 when a budget is exceeded.

Flash is the sum of the modules of one product as mpy-cross compiles them. Heap is what stays allocated after importing
what a product keeps in memory from the file system. The unix MicroPython has 64-bit words; the same modules take two
thirds of that in a 32-bit build (134.5 of 200.4 KB, docs/explain/memory.md), which is the estimate for a board.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from fleet.flashing import firmware
from fleet.releases.size import BUDGET as FLASH_BUDGET
from protocol import manifest
from tools.interpreter import ROOT, micropython

HEAP_BUDGET = 140 * 1024  # bytes for the modules of one product on a 32-bit board
STOCK_HEAP = 164288  # bytes free at the prompt of a classic ESP32 without PSRAM, MicroPython 1.26
TLS_HEAP = 40 * 1024  # bytes that one TLS connection takes from the same memory
KINDS = ("air", "light")
_PROBE = """
import gc, sys
sys.path.insert(0, sys.argv[1])
gc.collect()
before = gc.mem_alloc()
from node import app
__import__('node.tasks.' + sys.argv[2], None, None, ('build',))
from node.drivers import registry
for family, parts in registry.PARTS.items():
    for part in parts:
        if (part in ('sen66', 'bme280')) == (sys.argv[2] == 'air'):
            registry.driver(family, part)
gc.collect()
print(gc.mem_alloc() - before)
"""


def flash(kind: str) -> dict[str, int]:
    """{module: bytes of its .mpy} of everything in a slot of a board of that kind."""
    return {name: len(data) for name, data in firmware.load(product=kind).slot.items() if name != manifest.PATH}


def heap(kind: str) -> int:
    """Bytes that stay allocated on the 64-bit unix port once the modules of a product are imported."""
    with tempfile.TemporaryDirectory() as directory:
        for name, data in firmware.load(product=kind).slot.items():
            path = Path(directory) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        probe = Path(directory) / "probe.py"
        probe.write_text(_PROBE)
        command = [micropython(), str(probe), directory, kind]
        return int(subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT).stdout)


def measure() -> dict[str, object]:
    """The figures, beside their budgets."""
    slots = {kind: flash(kind) for kind in KINDS}
    heaps = {kind: heap(kind) * 2 // 3 for kind in KINDS}
    return {
        "flash_bytes": {kind: sum(modules.values()) for kind, modules in slots.items()},
        "flash_budget": FLASH_BUDGET,
        "modules": {kind: len(modules) for kind, modules in slots.items()},
        "folders": {kind: _folders(modules) for kind, modules in slots.items()},
        "heap_estimate_bytes": heaps,
        "heap_budget": HEAP_BUDGET,
        "heap_left_without_psram": STOCK_HEAP - TLS_HEAP - max(heaps.values()),
    }


def _folders(modules: dict[str, int]) -> dict[str, int]:
    """{folder: bytes}, the largest first."""
    found: dict[str, int] = {}
    for name, size in modules.items():
        folder = "/".join(name.split("/")[:2]) if name.startswith("node/") else name.split("/")[0]
        found[folder] = found.get(folder, 0) + size
    return dict(sorted(found.items(), key=lambda row: -row[1]))


def main() -> int:
    """Print the figures; 1 when one exceeds its budget."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--json", action="store_true", help="one JSON line")
    as_json = parser.parse_args().json
    figures: dict[str, Any] = measure()
    flashes, heaps = figures["flash_bytes"], figures["heap_estimate_bytes"]
    if as_json:
        print(json.dumps(figures))
    else:
        for kind in KINDS:
            print(f"flash  {flashes[kind]:>7} of {FLASH_BUDGET} bytes in {figures['modules'][kind]} modules of {kind}")
            for folder, size in figures["folders"][kind].items():
                print(f"         {size:>7} {folder}")
        for kind in KINDS:
            print(f"heap   {heaps[kind]:>7} of {HEAP_BUDGET} bytes for the modules of {kind} (estimate for 32 bits)")
        print(f"       {figures['heap_left_without_psram']:>7} left on an ESP32 without PSRAM, TLS up, nothing frozen")
    return int(max(flashes.values()) > FLASH_BUDGET or max(heaps.values()) > HEAP_BUDGET)


if __name__ == "__main__":
    sys.exit(main())
