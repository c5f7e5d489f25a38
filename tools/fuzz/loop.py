"""The loop of a fuzz run, on either interpreter: `loop.py TARGET SEED FIRST RUNS BLOCK` prints one JSON line.

It is started by __main__.py in the root of the repository.
`digests` has a CRC-32 of the verdicts of every BLOCK inputs, `faults` the inputs on which the target raised or took
more memory than its bound; the run ends at the fifth. Inputs depend on SEED and their index alone.
"""

import binascii
import gc
import json
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MICROPYTHON = sys.implementation.name == "micropython"
MEASURED = 16  # one input of so many has its memory measured: that takes longer than the input
MAX_FAULTS = 5


def run(target: "Any", seed: int, first: int, runs: int, block: int) -> "dict[str, Any]":
    """Feed `runs` inputs from `first` on."""
    from tools.fuzz.rng import Random

    seeds = target.seeds()
    digests: list[int] = []
    faults: list[dict[str, Any]] = []
    digest = accepted = most = 0
    index = first - 1
    for index in range(first, first + runs):
        data = target.generate(Random(seed, index), seeds)
        try:
            said = target.verdict(data)
            accepted += said.startswith(b"ok")
            digest = binascii.crc32(said, digest)
            if index % MEASURED == 0:
                most = max(most, measure(target, data))
        except Exception as error:
            faults.append({"index": index, "hex": data.hex(), "error": f"{type(error).__name__}: {error}"})
            if len(faults) == MAX_FAULTS:
                break
        if (index - first + 1) % block == 0:
            digests.append(digest)
            digest = 0
    digests.append(digest)
    return {
        "accepted": accepted,
        "runs": index + 1 - first,
        "faults": faults,
        "digests": digests,
        "memory_percent_of_bound": most,
    }


def measure(target: "Any", data: bytes) -> int:
    """Per cent of the bound that parsing `data` takes; AssertionError above 100."""
    base, per_byte = target.BOUND
    share: int = taken(target, data) * 100 // (base + per_byte * len(data))
    assert share <= 100, f"memory: {share} % of the bound"
    return share


def taken(target: "Any", data: bytes) -> int:
    """Bytes that parsing `data` takes: everything it allocates on MicroPython, the peak on CPython."""
    if MICROPYTHON:
        gc.collect()
        gc.disable()
        before = gc.mem_alloc()  # type: ignore[attr-defined]
        try:
            target.parse(data)
            return int(gc.mem_alloc() - before)  # type: ignore[attr-defined]
        finally:
            gc.enable()
    import tracemalloc

    tracemalloc.start()
    try:
        target.parse(data)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def main(arguments: "list[str]") -> None:
    """Run what the command line says and print the result."""
    sys.path[0:1] = [".", "./firmware"]
    from tools.fuzz.targets import load

    seed, first, runs, block = [int(text) for text in arguments[1:]]
    print(json.dumps(run(load(arguments[0]), seed, first, runs, block)))


if __name__ == "__main__":
    main(sys.argv[1:])
