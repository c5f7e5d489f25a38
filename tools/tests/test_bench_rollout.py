"""The bench of rollouts, with a fleet that a test can wait for: no clock is judged, only what became of the nodes."""

import asyncio
import io
import json
from contextlib import redirect_stdout
from pathlib import Path

import pytest

from tools import bench_rollout
from tools.bench_rollout import Options, swarmed

NODES = 60


@pytest.mark.slow
def test_a_flaky_fleet_ends_in_the_truth_and_a_bad_release_is_halted(tmp_path: Path) -> None:
    found = asyncio.run(swarmed(tmp_path, Options(nodes=NODES, seed=3, flaky=300, cuts=150, deadline_s=30)))
    good, bad = found["good"], found["bad"]
    assert (good["phase"], bad["phase"]) == ("finished", "aborted")
    for row in (good, bad):
        assert row["bricks"] == ()
        assert row["untrue"] == {}
        assert sum(row["outcomes"].values()) == NODES
    assert good["cuts"] > 0
    assert "proved" not in bad["outcomes"]
    assert bad["touched"] < NODES, "the second wave was never ordered"
    assert bad["refused"] > 0
    assert bad["never_refused"] == 0
    assert found["explained"]["without"] == {}
    assert found["explained"]["asked"] >= NODES


def test_a_plan_of_nodes_on_paper_is_one_line_of_json() -> None:
    said = io.StringIO()
    with redirect_stdout(said):
        bench_rollout.main(["--nodes", "300", "--plan-only"])
    found = json.loads(said.getvalue())
    assert (found["nodes"], found["waves"]) == (300, 2)
    assert {row[0] for row in found["published"]} == {"hawkBit", "AWS IoT Jobs", "Mender"}


def test_what_is_flaky_passes_the_gates_of_the_good_release() -> None:
    for flaky in (0, 200, 400, 1000):
        for wave in bench_rollout.good_waves(Options(flaky=flaky)):
            assert 0 <= wave.gate.success <= 1000
            assert wave.gate.failures <= 1000
