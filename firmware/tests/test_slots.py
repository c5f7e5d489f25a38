"""Slots: what stage 0 runs, when an application is confirmed, when it is given up."""

import sys

from firmware.boot import choose
from firmware.tests.fakes import Files
from node.core.slots import NONE, PATH, TRIES, Pointer, Slots, decode
from protocol import cbor


def doc(good, trial=NONE, tries=0):
    return Pointer(good, trial, tries).encode()


def test_the_pointer_is_the_cbor_map_it_claims_to_be():
    assert cbor.decode(doc("a", "b", 3)) == {1: "a", 2: "b", 3: 3}
    assert cbor.encode({1: "b", 2: NONE, 3: 0}) == doc("b")


def test_stage_0_and_the_application_read_the_pointer_alike():
    rows = {
        "no pointer": (b"", "a", None),
        "one good slot": (doc("a"), "a", None),
        "the other good slot": (doc("b"), "b", None),
        "a fresh trial is counted down before it runs": (doc("a", "b", 3), "b", doc("a", "b", 2)),
        "the last try": (doc("a", "b", 1), "b", doc("a", "b", 0)),
        "no try left": (doc("a", "b", 0), "a", None),
        "no try left, the other way round": (doc("b", "a", 0), "b", None),
        "a trial of the good slot itself": (doc("a", "a", 2), "a", doc("a", "a", 1)),
        "tries without a trial": (doc("b", NONE, 3), "b", None),
        "longer than it may be": (doc("b") + b"\x00", "a", None),
        "shorter than it may be": (doc("b")[:-1], "a", None),
        "another key": (b"\xa3\x01\x61b\x02\x61-\x04\x00", "a", None),
        "a slot that does not exist": (doc("c"), "a", None),
        "erased flash": (b"\xff" * 9, "a", None),
    }
    for sentence, row in rows.items():
        data, slot, write = row
        assert choose(data) == (slot, write), sentence
        if write is None:
            assert decode(data).good == slot, sentence


class Node:
    """A flash with two slots, restarted by stage 0."""

    def __init__(self):
        self.files = Files()

    def start(self):
        slot, pointer = choose(self.files.read(PATH) or b"")
        if pointer:
            self.files.write_atomic(PATH, pointer)
        return Slots(self.files, slot)


def test_an_update_that_proves_itself_stays():
    node = Node()
    running = node.start()
    assert (running.running, running.on_trial, running.spare) == ("a", False, "b")
    running.try_next()
    running = node.start()
    assert (running.running, running.on_trial, running.is_kept) == ("b", True, False)
    running.confirm()
    assert (running.on_trial, running.is_kept) == (False, True)
    for _ in range(5):
        running = node.start()
        assert (running.running, running.on_trial, running.reverted) == ("b", False, None)


def test_an_update_that_never_proves_itself_is_given_up_after_its_tries():
    node = Node()
    node.start().try_next()
    for _ in range(TRIES):
        assert node.start().running == "b"
    running = node.start()
    assert (running.running, running.reverted) == ("a", "b")
    running.settle()
    running = node.start()
    assert (running.running, running.reverted) == ("a", None)


def test_during_the_last_try_nothing_is_called_reverted():
    node = Node()
    node.start().try_next()
    for _ in range(TRIES):
        assert node.start().reverted is None


def test_a_restart_of_the_old_slot_before_the_trial_does_not_call_it_reverted():
    node = Node()
    running = node.start()
    running.try_next()
    assert running.reverted is None
    assert not running.on_trial


def test_confirming_twice_writes_once():
    node = Node()
    node.start().try_next()
    running = node.start()
    before = node.files.writes
    running.confirm()
    running.confirm()
    assert node.files.writes == before + 1


def test_importing_stage_0_does_nothing():
    assert "/a" not in sys.path
