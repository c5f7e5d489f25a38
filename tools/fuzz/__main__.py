"""Fuzz the parsers that face the wire: `python -m tools.fuzz TARGET|all [--runs N] [--seed S] [--json FILE]`.

Exits with 1 when a target raised what it does not declare, took more memory than its bound, contradicted itself, or
when the interpreters disagree; the input is printed in hex, and seed and index make it again.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tools.fuzz import loop
from tools.fuzz.rng import Random
from tools.fuzz.targets import TARGETS, load
from tools.interpreter import ROOT, micropython

BLOCK = 1000  # inputs of one digest
HEAP = "1m"  # of MicroPython: what a parser cannot do in it, it does not do
COMMANDS = {
    "cpython": lambda: [sys.executable, "tools/fuzz/loop.py"],
    "micropython": lambda: [micropython(), "-X", f"heapsize={HEAP}", "tools/fuzz/loop.py"],
}


def fuzz(name: str, seed: int, runs: int, first: int = 0) -> dict[str, Any]:
    """Run a target on its interpreters, beside each other, and compare; `faults` is empty when all is well."""
    start = time.monotonic()
    ran = _run(name, seed, first, runs, BLOCK)
    faults = [{"interpreter": where, **fault} for where, result in ran.items() for fault in result["faults"]]
    digests = [result["digests"] for result in ran.values()]
    if not faults and any(other != digests[0] for other in digests):
        block = next(at for at in range(len(digests[0])) if len({other[at] for other in digests}) > 1)
        faults.append(_disagreement(name, seed, first + block * BLOCK))
    report: dict[str, Any] = {"target": name, "seed": seed, "runs": min(result["runs"] for result in ran.values())}
    report |= {"interpreters": list(ran), "accepted": next(iter(ran.values()))["accepted"]}
    report |= {"memory_percent_of_bound": {where: result["memory_percent_of_bound"] for where, result in ran.items()}}
    return {**report, "seconds": round(time.monotonic() - start, 1), "faults": faults}


def _run(name: str, seed: int, first: int, runs: int, block: int) -> dict[str, dict[str, Any]]:
    """The result of loop.py on each interpreter of a target; the processes run beside each other."""
    numbers = [str(number) for number in (seed, first, runs, block)]
    children = {
        where: subprocess.Popen([*COMMANDS[where](), name, *numbers], cwd=ROOT, stdout=subprocess.PIPE)
        for where in load(name).INTERPRETERS
    }
    results = {}
    for where, child in children.items():
        output, _ = child.communicate()
        if child.returncode:
            error = f"{where} ended with {child.returncode}: parser or target took the interpreter down"
            results[where] = {"runs": 0, "accepted": 0, "digests": [], "memory_percent_of_bound": 0}
            results[where]["faults"] = [{"index": first, "hex": "", "error": error}]
        else:
            results[where] = json.loads(output)
    return results


def _disagreement(name: str, seed: int, first: int) -> dict[str, Any]:
    """The first input of a block on which the interpreters disagree."""
    ran = _run(name, seed, first, BLOCK, 1)
    for at, digests in enumerate(zip(*(result["digests"] for result in ran.values()), strict=True)):
        if len(set(digests)) > 1:
            target = load(name)
            data = target.generate(Random(seed, first + at), target.seeds())
            return {"index": first + at, "hex": data.hex(), "error": "the interpreters disagree"}
    return {"index": first, "hex": "", "error": "the interpreters disagree, but not twice"}


def again(name: str, data: bytes) -> dict[str, Any]:
    """What this interpreter makes of one input."""
    target = load(name)
    return {"target": name, "hex": data.hex(), "bytes_taken": loop.taken(target, data)} | {
        "verdict": target.verdict(data).decode(errors="backslashreplace")
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Fuzz what the command line says and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tools.fuzz", description=__doc__)
    parser.add_argument("target", choices=[*TARGETS, "all"])
    parser.add_argument("--runs", type=int, default=20_000, help="inputs for each target and interpreter")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first", type=int, default=0, help="index of the first input")
    parser.add_argument("--hex", help="judge this one input instead, here")
    parser.add_argument("--json", type=Path, help="write the report here, too")
    options = parser.parse_args(arguments)
    sys.path.append(str(ROOT / "firmware"))  # as loop.py does: targets of the device import it
    if options.hex is not None:
        print(json.dumps(again(options.target, bytes.fromhex(options.hex))))
        return 0
    reports = []
    for name in TARGETS if options.target == "all" else (options.target,):
        reports.append(fuzz(name, options.seed, options.runs, options.first))
        print(json.dumps(reports[-1]), flush=True)
    if options.json:
        options.json.write_text(json.dumps(reports, indent=2) + "\n")
    return 1 if any(report["faults"] for report in reports) else 0


if __name__ == "__main__":
    sys.exit(main())
