"""Rotation of roots on a node: the chain, what it resets and what it does not, and whose it is."""

from firmware.tests.manager import NEW, OLD, Manager, Node
from protocol import refusals as u
from protocol import update

ROLES_2 = {"root": (1, ["root 2"]), "build": (1, ["build"]), "campaign": (1, ["online 2"])}
ROLES_3 = {"root": (1, ["root 3"]), "build": (1, ["build 3"]), "campaign": (1, ["online 2"])}


def test_a_node_that_was_away_follows_the_chain_of_roots():
    manager = Manager()
    node = Node(manager)
    node.update(manager, manager.release(NEW, sequence=7, floor=7))
    manager.counter = 0  # whoever has the new key begins to count anew
    manager.rotate(ROLES_2)
    manager.rotate(ROLES_3)
    program = manager.release(OLD, sequence=1, by=["build 3"])
    status = node.order(manager, manager.campaign(program, by=["online 2"]))
    assert (status.stage, status.code, status.root) == (update.WAITING, u.U_NONE, 3)
    assert [ask.version for ask in manager.asked if ask.what == update.ROOT] == [2, 3]
    node.start()
    assert node.order(manager, manager.campaign(program, by=["online 2"])).root == 3
    assert len([ask for ask in manager.asked if ask.what == update.ROOT]) == 2


def test_floor_and_counter_begin_anew_with_the_keys_that_they_guard_and_not_before():
    manager = Manager()
    node = Node(manager)
    node.update(manager, manager.release(NEW, sequence=7, floor=7))
    manager.rotate({"root": (1, ["root 2"]), "build": (1, ["build"]), "campaign": (1, ["online"])})
    status = node.order(manager, manager.campaign(manager.release(OLD, sequence=6)))
    assert (status.root, status.code, status.stage) == (2, u.U_ROLLBACK, update.REFUSED)
    status = node.order(manager, manager.campaign(manager.release(OLD, sequence=8), counter=1))
    assert status.code == u.U_CAMPAIGN_REPLAYED
    manager.rotate({"root": (1, ["root 2"]), "build": (1, ["build 3"]), "campaign": (1, ["online"])})
    node.time.sleep(60000)
    status = node.order(manager, manager.campaign(manager.release(OLD, sequence=6, by=["build 3"])))
    assert (status.root, status.code, status.stage, status.floor) == (3, u.U_NONE, update.WAITING, 0)
    status = node.order(manager, manager.campaign(manager.release(OLD, sequence=5, by=["build 3"]), counter=2))
    assert status.code == u.U_CAMPAIGN_REPLAYED


def test_a_hint_that_brings_no_root_is_worth_nothing():
    manager = Manager()
    node = Node(manager)
    status = node.order(manager, manager.campaign(manager.release(NEW), hint=9))
    assert (status.stage, status.root) == (update.WAITING, 1)


def test_a_board_of_another_fleet_does_not_use_what_the_last_one_left():
    manager = Manager()
    node = Node(manager)
    manager.rotate(ROLES_2)
    node.order(manager, manager.campaign(manager.release(NEW), by=["online 2"]))
    assert node.status.root == 2
    other = Manager({"root": (1, ["their root"]), "build": (1, ["their build"]), "campaign": (1, ["theirs"])})
    node.identity.root = other.document
    node.start()
    status = node.order(other, other.campaign(other.release(OLD, by=["their build"]), by=["theirs"]))
    assert (status.root, status.code, status.counter) == (1, u.U_NONE, 1)
