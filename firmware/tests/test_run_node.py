"""A whole node, run by MicroPython's asyncio on a virtual clock, from power-on to its restarts; there is no broker."""

import asyncio
import gc
import io
import time

from firmware.tests.fakes import ENOSPC, Files, Settings, Time
from node import app
from node.core.breadcrumb import decode
from node.core.outbox import Outbox
from node.core.slots import PATH as SLOT
from node.core.slots import Pointer
from node.light.control import FULL
from protocol import events, manifest
from protocol.console import parse
from protocol.identity import PATH, Identity
from protocol.messages import DONE, RESET_HARD, RESET_POWER_ON, RUNNING, Batch, Boot, Command, Reply
from protocol.records import Event, Record
from tools.sim import clock as clocks
from tools.sim.board import HostBoard, HostNetwork
from tools.sim.models import Bench
from tools.sim.world import World

EPOCH_S = 1767225600


class Node:
    """One node of a kind; `run` is one run from power-on or reset to the next."""

    def __init__(self, kind):
        self.kind = kind
        self.files = Files()
        identity = Identity(
            node="abc", kind=kind, board="host", boot0=5, ca=b"-", cert=b"-", key=b"-", brokers=["127.0.0.1:1"]
        )
        self.files.write_atomic(PATH, identity.encode())
        self.memory = io.BytesIO(256)
        self.lines = []

    def run(self, seconds, during=None, cause=RESET_POWER_ON):
        """Let it run for that long, or until it restarts; `during(app)` runs beside it. True when it restarted."""
        core = asyncio.core
        before = core.ticks, core.IOQueue
        try:
            clock = clocks.VirtualClock(time.ticks_ms)
            clocks.install(clock)
            clock.leap(1 << 40, lambda: None)
            bench = Bench(self.kind, lambda: clock.elapsed_ms, World(1, "abc", EPOCH_S))
            ticks = (clock.ticks_ms, clocks.ticks_diff)
            board = HostBoard("host", ticks, bench, HostNetwork(), self.memory, cause)
            self.app = app.build(board, self.files, "a", self.lines.append)
            return asyncio.run(self._run(seconds, during))
        finally:
            core.ticks, core.IOQueue = before
            core.new_event_loop()
            gc.collect()

    async def _run(self, seconds, during):
        tasks = [asyncio.create_task(self._until_reset())]
        if during:
            tasks.append(asyncio.create_task(during(self.app)))
        try:
            await asyncio.wait_for(tasks[0], seconds)
            return True
        except asyncio.TimeoutError:
            return False
        finally:
            for task in tasks:
                task.cancel()
            self.app.supervise._over = True
            await self.app.supervise.stop()

    async def _until_reset(self):
        try:
            await self.app.run()
        except SystemExit:
            pass

    def entries(self):
        """Everything in the outbox: ({seq: record}, [event])."""
        records, found = {}, []
        outbox = Outbox(self.files, Time().clock, 99, Settings(), lambda _: None)  # of a later boot: nothing waits
        item = outbox.take()
        while item is not None:
            for entry in Batch.decode(outbox.render(item)).entries:
                if item.name == "tele":
                    record = Record.decode(entry)
                    records[item.boot, record.seq] = record
                else:
                    found.append(Event.decode(entry))
            outbox.done(item)
            item = outbox.take()
        return records, found

    def boot_event(self):
        """The last boot event in the outbox."""
        found = [event for event in self.entries()[1] if event.code == events.BOOT]
        return Boot.from_map(found[-1].attrs)


def order(name, **args):
    return Command(id=b"12345678", name=name, args=args).encode()


def test_an_air_node_measures_every_minute_and_keeps_it():
    node = Node("air")
    assert not node.run(1260)
    assert len(node.entries()[0]) == 20
    assert node.app.supervise.decider.restarts == 0
    assert node.app.boots.boot == 6


def test_a_light_node_reports_and_stays_in_its_task():
    node = Node("light")
    assert not node.run(1900)
    assert len(node.entries()[0]) >= 2
    assert node.app.supervise.decider.restarts == 0


def test_a_reboot_by_command_is_told_from_a_crash():
    replies = []

    async def command(application):
        application.link.publish = lambda name, payload, retain=False: replies.append((name, payload)) or True
        await asyncio.sleep(5)
        application.commands.handle(order("reboot"))

    node = Node("air")
    assert node.run(60, command)
    assert decode(node.memory.getvalue()).reason == "command reboot"
    assert [Reply.decode(payload).status for name, payload in replies if name == "reply"][-1] == RUNNING
    replies.clear()

    async def listen(application):
        application.link.publish = lambda name, payload, retain=False: replies.append((name, payload)) or True

    assert not node.run(10, listen, RESET_HARD)
    found = node.entries()[1]
    assert [event.code for event in found] == [events.BOOT, events.BOOT, events.COMMAND]
    boot = Boot.from_map(found[1].attrs)
    assert (boot.intended, boot.reason, boot.crashes) == (True, "command reboot", 0)
    assert boot.prev_up_s >= 5
    assert node.app.boots.boot == 7


def test_a_task_that_raises_is_reported_and_started_again():
    async def spoil(application):
        await asyncio.sleep(20)
        application.timesync.run = None
        application.supervise._tasks["report"].cancel()

    node = Node("air")
    assert not node.run(90, spoil)
    assert node.app.supervise.decider.restarts == 1
    found = [event for event in node.entries()[1] if event.code == events.TASK_RESTART]
    assert [event.attrs[1] for event in found] == ["report"]
    assert decode(node.memory.getvalue()).task == "report"


def test_a_node_that_keeps_crashing_ends_in_safe_mode_with_its_lamp_on():
    node = Node("light")
    for count in range(6):
        assert not node.run(5, None, RESET_HARD)
        boot = node.boot_event()
        assert (boot.crashes, boot.safe_mode) == (count, count >= 5)
    assert node.app.product.metering is None
    assert "lamp" in [row[0] for row in node.app.product.tasks]
    assert not node.run(700, None, RESET_HARD)
    assert not node.run(5, None, RESET_HARD)
    assert not node.app.boots.safe_mode


def test_a_flash_that_takes_nothing_leaves_the_lamp_lit_and_is_told():
    node = Node("light")
    node.files.write_atomic(SLOT, Pointer("a", "b", 0).encode())  # a revert that cannot be settled either
    node.files.fail = ENOSPC
    lit = []

    async def look(application):
        await asyncio.sleep(100)
        application.timesync.offset_ms = 1 << 40
        application.reporter.state().encode()
        lit.append(application.product.control.level)

    assert not node.run(120, look)
    assert lit == [FULL]
    assert node.app.outbox.evicted >= 1
    assert node.app.supervise.decider.restarts == 0
    assert any("takes no boot number" in line for line in node.lines)
    node.files.fail = 0
    assert not node.run(70, None, RESET_HARD)
    assert node.boot_event().crashes == 0
    assert node.app.boots.boot == 6


def test_a_task_that_died_without_a_word_is_started_again():
    async def spoil(application):
        await asyncio.sleep(20)
        resolver, failed = application.link.resolver, application.supervise._failed
        is_up = resolver.is_up
        resolver.is_up = application.supervise._failed = None
        while not application.supervise._tasks["time"].done():  # it may be waiting for its next round
            await asyncio.sleep(1)
        resolver.is_up, application.supervise._failed = is_up, failed

    node = Node("air")
    assert not node.run(180, spoil)
    assert node.app.supervise.decider.restarts == 1
    found = [event for event in node.entries()[1] if event.code == events.TASK_RESTART]
    assert [event.attrs[1] for event in found] == ["time"]
    assert found[0].attrs[3].startswith("lost")


def test_a_link_that_was_restarted_for_its_silence_gets_the_time_to_connect():
    async def hush(application):
        async def slow():
            await asyncio.sleep(15)
            return False

        application.net.connect = slow
        await asyncio.sleep(40)
        application.supervise.decider._tasks["link"].beat_ms -= 100_000

    node = Node("air")
    assert not node.run(120, hush)
    assert node.app.supervise.decider.restarts == 1


def test_an_override_outlives_a_restart():
    async def command(application):
        await asyncio.sleep(3)
        application.commands.handle(order("set_level", level=60, seconds=900))

    levels = []

    async def look(application):
        await asyncio.sleep(8)
        levels.append(application.product.control.level)

    node = Node("light")
    assert not node.run(10, command)
    assert not node.run(10, look, RESET_HARD)
    assert levels == [60]


def test_a_node_says_who_it_is_before_all_else_and_what_it_runs():
    node = Node("air")
    document = manifest.build("1", {"node/app.mpy": b""}).encode()
    node.files.write_atomic("/a/manifest.cbor", document)
    assert not node.run(130)
    found = parse(node.lines[0])
    assert (found["state"], found["node"], found["boot"], found["cause"]) == ("node", "abc", 6, RESET_POWER_ON)
    assert found["manifest"] == manifest.digest(document).hex()
    assert found["waiting"] == 0
    node.app.report()
    assert parse(node.lines[-1])["waiting"] == 3  # the start and two minutes
    assert node.app.reporter.state().manifest == node.boot_event().manifest == manifest.digest(document)


def test_commands_of_the_product_are_there_too():
    replies = []

    async def command(application):
        application.link.publish = lambda name, payload, retain=False: replies.append(payload) or True
        await asyncio.sleep(3)
        application.commands.handle(order("set_level", level=100, seconds=60))

    node = Node("light")
    assert not node.run(10, command)
    assert Reply.decode(replies[-1]).status == DONE
