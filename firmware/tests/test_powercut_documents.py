"""The power fails within any flash operation of the small documents: each is found as before a step or as after it."""

import sys

from firmware.boot import choose, start
from firmware.tests.fakes import Time
from firmware.tests.powercut import Trial
from node.core import boots, slots
from node.core.commands import Commands
from node.core.config import Config
from node.core.slots import Slots
from protocol.messages import DONE, E_PROBATION, RESET_WATCHDOG, Command, Reply
from protocol.messages import Config as Desired

_BLOCKS = 16


def nothing(files):
    pass


def test_a_configuration_is_old_or_new_and_a_trial_never_outlives_its_probation():
    def scenario(files, notes):
        config = Config(files, Time().clock)
        for rev in (1, 2, 3):
            notes.append(rev)
            config.offer(Desired(rev=rev, values={2: rev}))
            if rev != 2:
                config.confirm()
        notes.append("confirmed 3")

    def verdict(files, notes):
        newest = len([note for note in notes if type(note) is int])
        config = Config(files, Time().clock)
        assert config.get("batch") in (newest, newest - 1, 1, 5)
        assert config.applied <= config.desired <= newest
        if "confirmed 3" in notes:
            assert (config.applied, config.desired, config.on_probation) == (3, 3, False)
        if config.on_probation:
            again = Config(files, Time().clock)  # a second restart without a word from the broker
            assert not again.on_probation
            assert again.error == E_PROBATION
            assert again.get("batch") == (again.applied or 5)
        fresh = Config(files, Time().clock)
        fresh.offer(Desired(rev=9, values={2: 9}))
        fresh.confirm()
        assert Config(files, Time().clock).get("batch") == 9

    assert Trial(_BLOCKS, nothing, scenario, verdict).cuts > 50


def test_the_slot_pointer_always_names_a_slot_that_may_run():
    def begin(files):
        Slots(files, "a").confirm()
        files.write_atomic(slots.PATH, slots.Pointer().encode())

    def scenario(files, notes):
        running = Slots(files, "a")
        notes.append("a")
        running.try_next()
        notes.append("trying")
        running = Slots(files, "b")
        running.confirm()
        notes.append("b")

    def verdict(files, notes):
        slot, pointer = choose(files.read(slots.PATH))
        if notes and notes[-1] == "b":
            assert (slot, pointer) == ("b", None)
        elif notes and notes[-1] == "trying":
            assert slot == "b"
        else:
            assert (slot, pointer is None) in (("a", True), ("b", False))

    assert Trial(_BLOCKS, begin, scenario, verdict).cuts > 15


def test_a_slot_on_trial_is_never_run_more_often_than_it_may():
    def run_stage_0(files):
        start(files._root)
        return sys.path.pop(0)[-1]

    def begin(files):
        Slots(files, "a").try_next()

    def scenario(files, notes):
        for _ in range(slots.TRIES + 1):
            notes.append(run_stage_0(files))

    def verdict(files, notes):
        runs = notes + [run_stage_0(files) for _ in range(slots.TRIES + 1)]
        assert runs.count("b") <= slots.TRIES
        assert runs[-1] == "a"
        assert Slots(files, "a").reverted == "b"

    assert Trial(_BLOCKS, begin, scenario, verdict).cuts > 15


def test_a_boot_number_is_never_given_twice():
    def scenario(files, notes):
        for _ in range(4):
            notes.append(boots.begin(files, 0, RESET_WATCHDOG, False).boot)

    def verdict(files, notes):
        given = boots.begin(files, 0, RESET_WATCHDOG, False).boot
        assert given not in notes
        assert given <= len(notes) + 2

    assert Trial(_BLOCKS, nothing, scenario, verdict).cuts > 20


def test_a_command_runs_once_at_most_whenever_the_power_fails():
    def commands(files, boot, notes, replies):
        handlers = {"count": lambda args: notes.append("ran") or {}}
        made = Commands(files, Time().clock, boot, handlers, replies.append, lambda *_: None)
        made.resume(False)
        return made

    def order():
        return Command(id=b"12345678", name="count").encode()

    def scenario(files, notes):
        commands(files, 1, notes, []).handle(order())
        notes.append("replied")

    def verdict(files, notes):
        ran, replies = [], []
        commands(files, 2, ran, replies).handle(order())
        assert len(ran) + notes.count("ran") <= 1
        assert replies
        if "replied" in notes:
            assert Reply.decode(replies[-1]).status == DONE

    assert Trial(_BLOCKS, nothing, scenario, verdict).cuts > 20
