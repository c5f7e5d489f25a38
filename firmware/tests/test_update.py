"""An update from the campaign to the proof, and every way in which a trial ends."""

from firmware.tests.manager import NEW, Manager, Node
from protocol import refusals as u
from protocol import update


def test_an_update_is_fetched_tried_confirmed_and_proved():
    manager = Manager()
    node = Node(manager)
    program = manager.release(NEW, floor=2)
    node.order(manager, manager.campaign(program))
    assert (node.status.stage, node.status.code) == (update.WAITING, u.U_NONE)
    assert node.resident.ready
    assert node.start() == "b"
    node.resident.up()
    node.work(manager)
    assert node.status.stage == update.TRIAL
    node.resident.confirm()
    node.work(manager)
    assert node.status.stage == update.CONFIRMED
    assert (node.status.floor, node.status.proof.manifest) == (2, program.manifest)
    assert node.status.proof.mac == update.prove(b"p" * 32, "air-1", node.status.proof)
