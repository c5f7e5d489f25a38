"""A node that is left alone for long neither leaks, nor falls behind, nor restarts. `--soak SECONDS` of its time."""

import pytest

from hil_tests.conftest import SETTINGS, Measure
from hil_tests.harness.node import Node

SAMPLES = 12
SLOPE_MAX = 2048  # bytes of heap per hour that may be noise
HOUR_S = 3600


def test_a_node_that_is_left_alone_stays_as_it_is(request: pytest.FixtureRequest, node: Node, measure: Measure) -> None:
    total = request.config.getoption("--soak")
    began = node.now()
    node.record(4 * SETTINGS["report_s"], began)
    points = []
    for number in range(SAMPLES):
        node.sleep(total / SAMPLES)
        health = node.health()
        points.append((health["up_s"], health["heap_min"] or health["heap_free"]))
        measure(f"heap_{number}", health["heap_free"], "By", low=20_000)
    assert points[0][0] < points[-1][0], "it restarted"
    half = len(points) // 2
    lost = min(free for _, free in points[:half]) - min(free for _, free in points[half:])
    hours = (points[-1][0] - points[0][0]) / HOUR_S
    measure("heap_lost", lost, "By", high=4096 + SLOPE_MAX * hours)
    measure("task_restarts", health["task_restarts"], "1", high=0)
    measure("mqtt_connects", health["mqtt_connects"], "1")
    measure("loop_lag_p95", health["loop_lag_p95_ms"] or 0, "ms", high=500)
    expected = (node.now() - began) * node.rate / max(SETTINGS["interval_s"], SETTINGS["report_s"])
    measure("records", len(node.records(began)), "1", low=expected * 0.8)
    assert not node.events("task_restart", began)
    assert node.settled().missing == 0
