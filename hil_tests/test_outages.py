"""Network and broker fail, records do not get lost: whatever a node made is stored, once, when all is well again."""

from collections import Counter

import pytest

from hil_tests.conftest import SETTINGS, Measure
from hil_tests.harness.board import BenchBoard
from hil_tests.harness.city import City
from hil_tests.harness.console import Console
from hil_tests.harness.node import Node
from hil_tests.harness.stimulus import WIFI, Stimulus

INTERVAL_S = SETTINGS["interval_s"]
OUTAGE_S = 120  # of the node's time
AGAIN_S = 240  # keep-alive, back-off, network, handshake


def all_there(node: Node, city: City) -> None:
    """Everything that the node made is in the store, once."""
    account = node.settled(AGAIN_S)
    assert account.missing == 0, f"{account.missing} of {node.name}'s entries are not in the store"
    since = node.now()
    node.record(4 * INTERVAL_S, since)  # and it goes on
    twice = [key for key, count in Counter(city.rows_of(node.name)).items() if count > 1]
    assert not twice, f"stored twice: {twice[:3]}"


@pytest.mark.parametrize("fault", ["cut", pytest.param("refuse", marks=pytest.mark.slow)])
def test_a_node_without_a_way_to_the_broker_keeps_its_records(
    fault: str, node: Node, board: BenchBoard, city: City, console: Console, measure: Measure
) -> None:
    node.record(4 * INTERVAL_S)
    getattr(city, fault)(board.id)
    console.log.note(f"network: {fault}")
    node.sleep(OUTAGE_S)
    waiting = console.report().waiting
    measure("kept", waiting, "1", low=OUTAGE_S / max(INTERVAL_S, SETTINGS["report_s"]) / 2)
    since = node.now()
    city.heal(board.id)
    console.log.note("network: well")
    node.state(AGAIN_S, since, online=True)
    measure("reconnected", (node.now() - since) * node.rate, "s", high=AGAIN_S)
    node.event("link_lost", AGAIN_S, since)
    all_there(node, city)


def test_connections_that_are_reset_are_made_again(node: Node, board: BenchBoard, city: City) -> None:
    for _ in range(3):
        since = node.now()
        city.drop(board.id)
        node.state(AGAIN_S, since, online=True)
    all_there(node, city)


@pytest.mark.fixtures(WIFI)
@pytest.mark.slow
def test_a_node_without_an_access_point_keeps_its_records(node: Node, city: City, stimulus: Stimulus) -> None:
    node.record(4 * INTERVAL_S)
    stimulus.wifi(False)
    node.sleep(OUTAGE_S)
    since = node.now()
    stimulus.wifi(True)
    node.state(AGAIN_S, since, online=True)
    all_there(node, city)


@pytest.mark.alone
@pytest.mark.parametrize("what", ["broker", pytest.param("service", marks=pytest.mark.slow)])
def test_a_broker_that_is_killed_loses_nothing(what: str, node: Node, city: City) -> None:
    node.record(4 * INTERVAL_S)
    since = node.now()
    city.kill_broker() if what == "broker" else city.kill_service()
    node.state(AGAIN_S, since, online=True)
    all_there(node, city)


@pytest.mark.switch
def test_what_waits_outlives_a_power_cut(node: Node, board: BenchBoard, city: City, console: Console) -> None:
    node.record(4 * INTERVAL_S)
    city.cut(board.id)
    node.sleep(6 * INTERVAL_S)
    waiting = console.report().waiting
    assert waiting
    board.power_off()
    board.power_on()
    assert console.report(30, asking=False).waiting >= waiting
    since = node.now()
    city.heal(board.id)
    node.state(AGAIN_S, since, online=True)
    all_there(node, city)
