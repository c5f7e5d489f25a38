"""The bench of updates: what goes over the wire is a promise, what a node needs is measured as it says."""

from pathlib import Path

import pytest

from fleet.releases.delta import Program
from protocol import manifest
from tools import bench_update, update_probe
from tools.bench_update import CHANGES, Node, committed, missing, sizes

needs_history = pytest.mark.skipif(missing() is not None, reason="a clone without the history of the firmware")
OLD = {"node/app.mpy": bytes(range(256)) * 40, "node/lamp.mpy": b"on and off " * 90, "node/gone.mpy": b"gone"}
NEW = {**OLD, "node/lamp.mpy": b"on and off " * 89 + b"off and on "}


def program(files: dict[str, bytes]) -> Program:
    return Program(manifest.build("1.0.0", files).encode(), files)


@needs_history
def test_a_one_line_fix_costs_less_than_its_share(tmp_path: Path) -> None:
    fix = CHANGES[0]
    row = sizes(committed(fix.old, tmp_path, False), committed(fix.new, tmp_path, True))
    assert row["changed"] == 2, "the module that was mended and the one with the version"
    assert row["delta_pc"] < bench_update.BOUND_PC
    assert row["delta"] < row["changed_deflated"] < row["full"] < row["gzip"] * 1.4
    assert row["full"] < row["program"]


@needs_history
def test_what_has_changed_more_costs_more(tmp_path: Path) -> None:
    rows = [sizes(committed(one.old, tmp_path, False), committed(one.new, tmp_path, True)) for one in CHANGES]
    deltas = [row["delta"] for row in rows]
    assert deltas == sorted(deltas)
    assert all(row["delta"] < row["packets"]["delta"] < row["delta"] * 1.2 + 400 for row in rows)
    assert all(row["delta"] < row["changed_deflated"] for row in rows)


def test_a_clone_without_history_says_what_it_lacks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(bench_update, "ROOT", tmp_path)
    said = missing()
    assert said is not None
    assert "is not in this clone" in said


def test_packets_are_asks_and_blocks() -> None:
    assert bench_update.carried(0, b"") == 0
    one = bench_update.carried(100, bytes(32))
    assert 100 + 150 < one < 100 + 300
    assert bench_update.carried(4096, b"") < 4096 * 1.1
    whole = bench_update.carried(65536, b"")
    assert 65536 * 1.05 < whole < 65536 * 1.1, "what the blocks cost on top"


def test_documents_are_of_the_size_that_nodes_take() -> None:
    found = bench_update.documents(bench_update.release_of(program(NEW)))
    assert 200 < found["campaign"] < found["release_of_two_signers"] < 1024
    assert sum(found.values()) - found["packets"] < found["packets"]


@pytest.mark.slow
def test_a_node_verifies_and_installs_and_heaps_are_bounds(tmp_path: Path) -> None:
    node = Node(tmp_path)
    node.offer(program(OLD), program(NEW))
    for job in ("verify", "install"):
        heap = node.least_heap(job)
        done = node.run(job, heap=heap)
        assert 0 < done["kept"] < heap < bench_update.HEAP, job
        assert not node.run(job, heap=heap // 2), job
    installed = node.run("install")
    assert installed["written"] > sum(map(len, NEW.values()))
    assert installed["erased"] > 0
    assert node.run("hash_program")["read"] > sum(map(len, NEW.values()))
    assert node.run("verify_again")["us"] < node.run("verify")["us"] * 100, "both were done"
    assert node.run("hash_message", 10)["read"] == 0


@pytest.mark.slow
def test_a_job_that_fails_is_no_figure(tmp_path: Path) -> None:
    node = Node(tmp_path)
    (tmp_path / update_probe.SIGNATURE).write_bytes(bytes(200))
    with pytest.raises(RuntimeError, match="does not hold"):
        node.run("verify")
