"""An update from the campaign to the proof: campaigns, time, roots, and what stays in memory."""

import sys

from firmware.tests.manager import NEW, NOW_S, OLD, Manager, Node
from node.core.update.record import DOWNLOAD, PATH
from protocol import manifest, trust, update
from protocol import refusals as u
from protocol.messages import RESET_POWER_ON


def test_an_update_is_fetched_tried_confirmed_and_proved():
    manager = Manager()
    node = Node(manager)
    program = manager.release(NEW, floor=2)
    node.order(manager, manager.campaign(program))
    assert (node.status.stage, node.status.code, node.resident.ready) == (update.WAITING, u.U_NONE, True)
    assert [status.stage for status in node.statuses] == [
        update.IDLE,
        update.CHECKING,
        update.DOWNLOADING,
        update.INSTALLING,
        update.WAITING,
    ]
    assert node.start() == "b"
    assert not node.resident.ready
    node.confirm(manager)
    status = node.status
    assert (status.floor, status.release, status.spare) == (2, program.digest, node_manifest(node, "a"))
    proof = status.proof
    assert (proof.nonce, proof.manifest, proof.slot, proof.boot) == (b"\x01" * 16, program.manifest, "b", 2)
    assert proof.confirmed
    assert proof.mac == update.prove(b"p" * 32, "air-1", proof)
    assert [(event[2], event[3]) for event in node.events] == [(update.TRIAL, u.U_NONE)]
    assert node.start() == "b"


def node_manifest(node, slot):
    return manifest.digest(bytes(node.files.data["/{}/manifest.cbor".format(slot)]))


def test_the_same_campaign_again_is_only_answered():
    manager = Manager()
    node = Node(manager)
    envelope = manager.campaign(manager.release(NEW))
    node.order(manager, envelope)
    asked, writes = len(manager.asked), node.files.writes
    assert node.order(manager, envelope).stage == update.WAITING
    node.start()
    assert node.order(manager, envelope).stage == update.TRIAL
    node.resident.confirm()
    node.work(manager)
    writes = node.files.writes
    for _ in range(3):
        status = node.order(manager, envelope)
        assert (status.stage, status.proof.confirmed) == (update.CONFIRMED, True)
    assert (len(manager.asked), node.files.writes) == (asked, writes)
    assert len(node.events) == 1


def test_the_same_campaign_in_the_middle_of_the_work_does_not_disturb_it():
    manager = Manager()
    node = Node(manager)
    envelope = manager.campaign(manager.release(NEW))

    def again(blocks):
        node.resident.up()
        node.resident.offer(envelope)
        return blocks

    manager.carry = again
    node.order(manager, envelope)
    assert node.status.stage == update.WAITING
    assert len([ask for ask in manager.asked if ask.what == update.RELEASE]) == 1


def test_a_forged_campaign_in_the_middle_of_the_work_does_not_disturb_it():
    manager = Manager()
    node = Node(manager)
    forged = manager.campaign(manager.release(OLD), by=["stranger"])

    def disturb(blocks):
        node.resident.offer(forged)
        return blocks

    manager.carry = disturb
    assert node.order(manager, manager.campaign(manager.release(NEW))).stage == update.WAITING
    assert u.U_CAMPAIGN_FORGED in [status.code for status in node.statuses]
    assert len(node.events) == 1


def test_what_runs_already_is_confirmed_at_once():
    manager = Manager()
    program = manager.release(NEW)
    node = Node(manager)
    node.update(manager, program)
    asked = len(manager.asked)
    status = node.order(manager, manager.campaign(program))
    assert (status.stage, status.counter, status.proof.nonce) == (update.CONFIRMED, 2, b"\x02" * 16)
    assert [ask.what for ask in manager.asked[asked:]] == [update.RELEASE]


def test_a_newer_campaign_takes_the_place_of_one_at_work():
    manager = Manager()
    node = Node(manager)
    first, second = manager.release(NEW), manager.release({"node/x.mpy": b"x" * 9000}, sequence=3)
    node.order(
        manager, manager.campaign(first), until=lambda node: node.statuses and node.status.stage == update.DOWNLOADING
    )
    assert node.order(manager, manager.campaign(second)).stage == update.WAITING
    assert node.status.manifest == second.manifest
    assert node.order(manager, manager.campaign(first)).manifest == first.manifest
    assert node.start() == "b"
    assert node.slots.manifest == first.manifest


def test_the_other_slot_starts_again_without_a_download():
    manager = Manager()
    node = Node(manager)
    node.update(manager, manager.release(NEW))
    before, asked = node_manifest(node, "a"), len(manager.asked)
    status = node.order(manager, manager.boot(before))
    assert (status.stage, status.manifest, len(manager.asked)) == (update.WAITING, before, asked)
    assert node.start() == "a"
    node.confirm(manager)
    assert node.status.proof.manifest == before
    rows = {"a program that is not there": bytes(32), "no program": b""}
    for sentence, wanted in rows.items():
        status = node.order(manager, manager.boot(wanted))
        assert (status.stage, status.code) == (update.REFUSED, u.U_NO_SLOT), sentence
    node.files.data["/b/node/app.mpy"][0] ^= 1
    status = node.order(manager, manager.boot(node_manifest(node, "b")))
    assert (status.stage, status.code) == (update.REFUSED, u.U_NO_SLOT), "a file of it is damaged"


def test_what_is_in_the_other_slot_already_is_not_fetched():
    manager = Manager()
    program = manager.release(NEW)
    node = Node(manager)
    node.fill("b", NEW, "1.2")
    assert node.order(manager, manager.campaign(program)).stage == update.WAITING
    assert [ask.what for ask in manager.asked] == [update.RELEASE]


def test_stop_at_every_stage():
    def at(stage):
        return lambda node: node.statuses and node.status.stage == stage

    for stage in (update.CHECKING, update.DOWNLOADING, update.INSTALLING, update.WAITING):
        manager = Manager()
        node = Node(manager)
        node.order(manager, manager.campaign(manager.release(NEW)), until=at(stage))
        assert node.status.stage == stage
        status = node.order(manager, manager.stop())
        assert (status.stage, status.code, status.counter) == (update.STOPPED, u.U_STOPPED, 2), stage
        assert not node.resident.ready
        assert node.files.size(DOWNLOAD) is None
        assert node.start() == "a", stage
        assert node.events[-1][2] == update.STOPPED
    status = node.order(manager, manager.stop())
    assert (status.stage, status.code) == (update.STOPPED, u.U_NONE), "nothing to stop"


def test_stop_of_a_download_that_runs():
    manager = Manager()
    node = Node(manager)

    def stop(blocks):
        if len(manager.asked) == 3:
            node.resident.offer(manager.stop())
        return blocks

    manager.carry = stop
    node.order(manager, manager.campaign(manager.release(NEW)))
    assert node.status.stage == update.STOPPED
    assert len(manager.asked) == 3


def test_stop_on_trial_goes_back_and_says_so():
    manager = Manager()
    node = Node(manager)
    program = manager.release(NEW)
    node.order(manager, manager.campaign(program))
    node.start()
    node.order(manager, manager.stop(now=True))
    assert (node.resident.ready, node.resident.now) == (True, True)
    assert node.status.stage == update.TRIAL
    assert not node.resident.prove(b"").confirmed
    assert node.start() == "a"
    node.resident.up()
    node.work(manager)
    assert (node.status.stage, node.status.code, node.status.counter) == (update.STOPPED, u.U_STOPPED, 2)
    assert node.order(manager, manager.campaign(program)).stage == update.WAITING, "it is not taken for bad"


def test_other_campaigns_wait_for_the_end_of_a_trial():
    manager = Manager()
    node = Node(manager)
    node.order(manager, manager.campaign(manager.release(NEW)))
    node.start()
    third = manager.release({"node/x.mpy": b"x" * 100}, sequence=3)
    node.order(manager, manager.campaign(third))
    assert not node.resident.busy
    assert node.status.stage == update.TRIAL
    node.resident.confirm()
    node.work(manager)
    assert (node.status.stage, node.status.manifest) == (update.WAITING, third.manifest)
    assert node.start() == "a"


def test_without_the_time_nothing_begins_unless_it_is_too_late_for_certain():
    manager = Manager()
    node = Node(manager)
    node.start(knows_time=False)
    status = node.order(manager, manager.campaign(manager.release(NEW)))
    assert (status.stage, status.code, node.resident.busy) == (update.CHECKING, u.U_TIME, False)
    assert not node.events
    node.time.clock.floor_s = NOW_S
    node.time.clock.set_utc(NOW_S * 1000)
    assert node.resident.busy
    node.work(manager)
    assert node.status.stage == update.WAITING
    node = Node(manager)
    node.start(knows_time=False)
    node.time.clock.floor_s = NOW_S + 90000
    status = node.order(manager, manager.campaign(manager.release(NEW)))
    assert (status.stage, status.code) == (update.REFUSED, u.U_CAMPAIGN_STALE)


def test_an_update_at_work_waits_for_the_time_after_a_reset():
    manager = Manager()
    node = Node(manager)
    node.order(
        manager,
        manager.campaign(manager.release(NEW)),
        until=lambda node: node.statuses and node.status.stage == update.DOWNLOADING,
    )
    node.start(RESET_POWER_ON, knows_time=False)
    node.resident.up()
    node.work(manager)
    assert (node.status.stage, node.status.code, node.resident.busy) == (update.DOWNLOADING, u.U_TIME, False)
    node.time.clock.set_utc(NOW_S * 1000)
    node.work(manager)
    assert (node.status.stage, node.status.code) == (update.WAITING, u.U_NONE)


def loaded():
    """The parts of the updater that are in memory."""
    names = [name for name in sys.modules if name.startswith("node.core.update.") or name == "node.core.ed25519"]
    return {name.split(".")[-1] for name in names}


def test_between_two_pieces_of_work_nothing_of_it_stays_in_memory_and_never_all_of_it():
    names = [name for name in sys.modules if name.startswith("node.core.update.") or name == "node.core.ed25519"]
    kept = {name: sys.modules.pop(name) for name in names if name != "node.core.update.resident"}
    for name in kept:
        package, last = name.rsplit(".", 1)
        delattr(sys.modules[package], last)
    try:
        manager = Manager()
        node = Node(manager)
        seen = {}

        def look(node):
            stage = node.status.stage if node.statuses else update.IDLE
            seen[stage] = seen.get(stage, set()) | loaded()

        node.order(manager, manager.campaign(manager.release(NEW)), until=look)
        assert "install" not in seen[update.CHECKING]
        assert seen[update.INSTALLING] == {
            "resident",
            "updater",
            "record",
            "job",
            "room",
            "install",
            "payload",
            "proof",
        }
        assert loaded() == {"resident"}
        node.start()
        assert len(node.resident.prove(b"1").mac) == 32
        assert loaded() == {"resident"}
    finally:
        for name, module in kept.items():
            sys.modules[name] = module
            package, last = name.rsplit(".", 1)
            setattr(sys.modules[package], last, module)


def test_a_flash_that_refuses_is_said_and_leaves_the_node_as_it_was():
    manager = Manager()
    node = Node(manager)
    envelope = manager.campaign(manager.release(NEW))
    node.files.fail = 5
    status = node.order(manager, envelope)
    assert (status.stage, status.code) == (update.REFUSED, u.U_STORAGE)
    node.files.fail = 0
    assert node.files.size(PATH) is None
    assert node.order(manager, envelope).stage == update.WAITING, "it may be taken another time"


def test_the_brokers_for_a_node_that_lost_its_own():
    manager = Manager(recovery=["there:8883"], recovery_s=7200)
    assert Node(manager).resident.recovery() == (["there:8883"], 7200)
    assert Node(None).resident.recovery() == ([], 0)
    assert trust.Root.decode(manager.document).recovery_s == 7200
