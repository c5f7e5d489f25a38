"""The updater in its task: what it asks for is sent, what it waits for is waited for, and when the node restarts."""

import asyncio
import time

from firmware.tests.fakes import Files
from node.core.commands import CommandError
from node.core.slots import PATH as POINTER
from node.core.slots import Pointer, Slots
from node.tasks import update
from node.tasks.update import CRASH, Update
from protocol.identity import Identity
from protocol.messages import RESET_HARD
from protocol.tests.expect import raises
from protocol.update import Proof
from protocol.update import prove as mac_of
from tools.sim import clock as clocks

KEY = bytes(range(32))


class Fields:
    """An object of given attributes."""

    def __init__(self, **fields):
        for name in fields:
            setattr(self, name, fields[name])


class Parts:
    """A node as the updater sees it."""

    def __init__(self, pointer=None, running="a"):
        self.files = Files()
        if pointer:
            self.files.write_atomic(POINTER, pointer.encode())
        self.slots = Slots(self.files, running)
        self.board = Fields(chip=lambda: "esp32", base=lambda: None, random=lambda below: 0)
        self.identity = Identity(
            node="abc", kind="air", board="b", boot0=1, ca=b"-", cert=b"-", key=b"-", brokers=["h:1"], proof_key=KEY
        )
        self.clock = Fields(uptime_ms=lambda: 0, utc_s=lambda: None, wait_s=lambda spans: self.wait_s, floor_s=0)
        self.wait_s = 0
        self.boots = Fields(boot=7)
        self.config = Fields(get=lambda name: 0)
        self.journal = Fields(event=lambda code, attrs=None: True)
        self.sent = []
        stats = Fields(connects=1)
        self.link = Fields(up=True, handlers={}, on_up=[], stats=stats, publish=self.publish)
        self.product = Fields(may_restart=lambda: self.may, working=lambda: self.working)
        self.may = True
        self.working = 3
        self.restarts = []
        self.lines = []

    def log(self, level, tag, text):
        self.lines.append(text)

    def publish(self, name, payload):
        self.sent.append((name, payload))
        return True

    def restart(self, reason, wait_ms=0):
        self.restarts.append(reason)


class Work:
    """In the place of the resident part: its work is a list of steps; `at` says when each was taken up again."""

    def __init__(self, clock, *steps):
        self.busy = True
        self.ready = self.now = False
        self.on_ready = None
        self.at = []
        self._clock = clock
        self._steps = steps

    def work(self):
        for step in self._steps:
            yield step
            self.at.append(self._clock.elapsed_ms)
        self.busy = False


def run(parts, steps, seconds, during=None):
    """The task for that long, with that work; the work."""
    core = asyncio.core
    before = core.ticks, core.IOQueue
    try:
        clock = clocks.VirtualClock(time.ticks_ms)
        clocks.install(clock)
        clock.leap(1 << 40, lambda: None)
        task = Update(parts)
        work = task.resident = Work(clock, *steps)
        work.on_ready = task._wake.set
        asyncio.run(lives(task, work, seconds, during))
        return work
    finally:
        core.ticks, core.IOQueue = before
        core.new_event_loop()


async def lives(task, work, seconds, during):
    beats = []
    tasks = [asyncio.create_task(task.run(lambda: beats.append(1)))]
    if during:
        tasks.append(asyncio.create_task(during(work)))
    await asyncio.sleep(seconds)
    assert len(beats) >= seconds // 10, "the task is alive all the time"
    tasks[0].cancel()


def test_what_it_asks_for_is_sent_and_what_it_waits_for_is_waited_for():
    parts = Parts()
    work = run(parts, (None, b"ask", 25000, None, b"more", 1000), 60)
    assert parts.sent == [("block", b"ask"), ("block", b"more")]
    assert [ms // 1000 for ms in work.at] == [0, 0, 25, 25, 25, 26]
    assert not work.busy


def test_a_wait_ends_when_something_came():
    async def news(work):
        await asyncio.sleep(3)
        work.on_ready()

    work = run(Parts(), (60000, 5000), 30, news)
    assert [ms // 1000 for ms in work.at] == [3, 8]


def test_nothing_is_asked_for_without_a_session():
    parts = Parts()
    parts.link.up = False

    async def up(work):
        await asyncio.sleep(95)
        parts.link.up = True
        work.on_ready()

    work = run(parts, (b"ask", 5000), 120, up)
    assert [ms // 1000 for ms in work.at] == [95, 100]
    assert parts.sent == [("block", b"ask")]


STAGED = (Pointer("a", "b", 3), "a")
GIVEN_UP = (Pointer("a", "-", 0), "b")
# pointer and slot that runs, ready, at once, the product may: whether it restarts
RESTARTS = {
    "nothing is ready": (STAGED, False, False, True, False),
    "it is ready, and the product may": (STAGED, True, False, True, True),
    "the product may not": (STAGED, True, False, False, False),
    "it may not, but it is to be now": (STAGED, True, True, False, True),
    "a program that is given up does not wait": (GIVEN_UP, True, False, False, True),
}


def test_it_restarts_when_it_may():
    for sentence, row in RESTARTS.items():
        parts = Parts(*row[0])
        task = Update(parts)
        task.resident.ready, task.resident.now, parts.may = row[1:4]
        task.tick()
        assert bool(parts.restarts) is row[4], sentence


def test_it_does_not_restart_outside_of_its_spans_nor_while_something_is_unread():
    rows = {
        "outside of its spans": (lambda parts, resident: setattr(parts, "wait_s", 60), False),
        "the time is unknown": (lambda parts, resident: setattr(parts, "wait_s", None), False),
        "the last span is over": (lambda parts, resident: setattr(parts, "wait_s", -1), False),
        "an epoch is unread": (lambda parts, resident: resident.halt(b"epoch"), False),
        "a campaign is unread": (lambda parts, resident: resident.offer(b"stop"), False),
        "none of that": (lambda parts, resident: None, True),
    }
    for sentence, row in rows.items():
        parts = Parts(*STAGED)
        task = Update(parts)
        task.resident.ready = task.resident.now = True
        row[0](parts, task.resident)
        writes = parts.files.writes
        task.tick()
        assert bool(parts.restarts) is row[1], sentence
        assert (parts.files.writes > writes) is row[1], "and costs no write: " + sentence


def test_a_program_that_is_given_up_waits_for_nothing():
    parts = Parts(*GIVEN_UP)
    task = Update(parts)
    task.resident.ready = True
    parts.wait_s = 60
    task.resident.halt(b"epoch")
    task.tick()
    assert parts.restarts


def test_what_is_found_wrong_at_the_last_moment_is_no_reason_to_restart():
    parts = Parts()
    task = Update(parts)
    task.resident.ready = True
    task.resident.depart = lambda: False
    task.tick()
    assert parts.restarts == []


def test_a_program_is_fit_when_all_works_that_worked_before():
    rows = {
        "all of it": (3, 3, True),
        "more of it": (1, 3, True),
        "what was broken is broken": (1, 1, True),
        "less of it": (3, 1, False),
        "nothing is known of before": (None, 0, True),
    }
    for sentence, row in rows.items():
        parts = Parts()
        task = Update(parts)
        if row[0] is not None:
            parts.working = row[0]
            task.resident.ready = True
            task.tick()
        parts.working = row[1]
        assert Update(parts).is_fit() is row[2], sentence


def test_the_note_of_the_last_run_is_read_once():
    parts = Parts()
    parts.files.write_atomic(CRASH, b"ImportError: no \xff module")
    told = []
    task = Update(parts)
    task.resident.begin = lambda *words: told.append(words)
    task.begin(RESET_HARD, "")
    task.begin(RESET_HARD, "update")
    assert told == [(RESET_HARD, "", "ImportError: no ? module"), (RESET_HARD, "update", "")]


def test_a_fault_of_the_updater_does_not_keep_the_node_from_its_work():
    parts = Parts()
    task = Update(parts)
    task.resident.begin = None
    task.begin(RESET_HARD, "")
    assert "begin" in parts.lines[0]


def test_a_node_proves_what_runs():
    task = Update(Parts())
    proof = Proof.decode(task.prove({"nonce": b"12345678"})["proof"])
    assert (proof.nonce, proof.slot, proof.boot, proof.confirmed) == (b"12345678", "a", 7, True)
    mac, proof.mac = proof.mac, b""
    assert mac == mac_of(KEY, "abc", proof)
    for nonce in (b"x" * 33, "text", 5):
        raises(CommandError, lambda nonce=nonce: task.prove({"nonce": nonce}))


def test_facts_are_those_of_the_interpreter():
    chip, mpy, version = update.facts("esp32s3")
    assert (chip, mpy) == ("esp32s3", 6)
    assert len(version.split(".")) == 3
