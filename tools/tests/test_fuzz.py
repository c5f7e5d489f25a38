"""A short run of every target in every test run (the long one is `make fuzz`), and the fuzzer's own promises."""

from typing import Any

import pytest

from protocol.errors import DecodeError
from tools.fuzz import __main__ as fuzz
from tools.fuzz import inputs, loop
from tools.fuzz.rng import Random
from tools.fuzz.targets import TARGETS, cbor, load

RUNS = 10_000


@pytest.mark.parametrize("name", TARGETS)
def test_a_short_run_finds_nothing(name: str) -> None:
    report = fuzz.fuzz(name, seed=7, runs=RUNS)
    assert report["faults"] == []
    assert report["runs"] == RUNS
    assert report["accepted"] * 200 > RUNS, "inputs must be good enough to get past the door"
    assert all(0 < share <= 100 for share in report["memory_percent_of_bound"].values())


def test_an_input_depends_on_seed_and_index_alone() -> None:
    seeds = cbor.seeds()
    assert cbor.generate(Random(1, 5), seeds) == cbor.generate(Random(1, 5), seeds)
    assert len({cbor.generate(Random(1, index), seeds) for index in range(200)}) > 150
    assert len({cbor.generate(Random(seed, 5), seeds) for seed in range(200)}) > 150


class Faulty:
    """A target with a parser that fails in every way there is."""

    BOUND = (100, 1)

    @staticmethod
    def seeds() -> list[bytes]:
        return [b"seed"]

    @staticmethod
    def generate(random: Random, seeds: list[bytes]) -> bytes:
        return inputs.damaged(random, seeds)

    @staticmethod
    def parse(data: bytes) -> None:
        bytes(1 << 16)

    @staticmethod
    def verdict(data: bytes) -> bytes:
        if len(data) == 4:
            raise IndexError("escaped")
        return b"refused"


def test_what_escapes_and_what_takes_too_much_is_a_fault() -> None:
    result = loop.run(Faulty, seed=1, first=0, runs=1000, block=100)
    errors = {fault["error"].split(":")[0] for fault in result["faults"]}
    assert len(result["faults"]) == loop.MAX_FAULTS
    assert errors == {"IndexError", "AssertionError"}
    assert result["runs"] < 1000


def test_a_disagreement_is_traced_to_its_input(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(name: str, seed: int, first: int, runs: int, block: int) -> dict[str, dict[str, Any]]:
        blocks = [
            [index // block == 4321 // block for index in range(first, first + runs, block)],
            [False] * (runs // block),
        ]
        empty = {"faults": [], "runs": runs, "accepted": 0, "memory_percent_of_bound": 1}
        return {str(where): {**empty, "digests": digests} for where, digests in enumerate(blocks)}

    monkeypatch.setattr(fuzz, "_run", run)
    (fault,) = fuzz.fuzz("cbor", seed=1, runs=10_000)["faults"]
    assert fault["index"] == 4321
    assert fault["hex"] == cbor.generate(Random(1, 4321), cbor.seeds()).hex()


def test_a_command_costs_a_node_little_memory() -> None:
    """The widest commands that the bounds admit, in the form that takes most."""
    for filler in (b"\x80", b"\xa0", b"\x81\x80", b"\xa1\x00\xa0", b"\x60"):
        count = 2000 // len(filler)
        data = b"\xa1\x03\x99" + count.to_bytes(2, "big") + filler * count
        kind = load("cbor").meaning.KINDS["command"]
        with pytest.raises(DecodeError, match="too many items"):
            kind.decode(data)
