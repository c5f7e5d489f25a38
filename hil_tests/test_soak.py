"""A node that is left alone for long neither leaks, nor falls behind, nor restarts. `--soak SECONDS` of its time."""

import pytest

from hil_tests.conftest import SETTINGS, Measure
from hil_tests.harness.node import Node

LONG_S = 600  # of the node's time
SHORT_S = 60
SAMPLES = 6
GARBAGE = 0.15  # share of the free heap that may lie about until it is collected
LEAK = 256  # bytes of heap per hour
HOUR_S = 3600


def test_a_node_that_is_left_alone_stays_as_it_is(request: pytest.FixtureRequest, node: Node, measure: Measure) -> None:
    total = request.config.getoption("--soak") or (SHORT_S if request.config.getoption("--hil-short") else LONG_S)
    began = node.now()
    node.record(4 * SETTINGS["report_s"], began)
    found = []
    for _ in range(SAMPLES):
        node.sleep(total / SAMPLES)
        found.append(node.health())
    first, last = found[0], found[-1]
    assert first["up_s"] < last["up_s"], "it restarted"
    free = [health["heap_free"] for health in found]
    measure("heap_free", min(free), "By", low=20_000)
    hours = (last["up_s"] - first["up_s"]) / HOUR_S
    half = SAMPLES // 2
    measure("heap_lost", max(free[:half]) - max(free[half:]), "By", high=GARBAGE * max(free) + LEAK * hours)
    measure("task_restarts", last["task_restarts"], "1", high=0)
    measure("mqtt_connects", last["mqtt_connects"] - first["mqtt_connects"], "1", high=0)
    measure("loop_lag_p95", last["loop_lag_p95_ms"] or 0, "ms", high=500)
    expected = (node.now() - began) * node.rate / SETTINGS["report_s"]
    measure("records", len(node.records(began)), "1", low=expected * 0.8)
    assert not node.events("task_restart", began)
    assert node.settled().missing == 0
