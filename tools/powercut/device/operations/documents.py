"""The small documents of a running node: slot pointer, boot number, time, commands, and those of a lamp."""

from firmware.tests.fakes import Time as Ticks
from node.core import boots, slots
from node.core.commands import Commands as Obeyed
from node.core.timekeeper import Timekeeper
from node.light.counters import Counters
from protocol.messages import DONE, RESET_HARD, RESET_WATCHDOG, Command, Reply
from tools.powercut.device.facts import expect
from tools.powercut.device.operations.operation import Operation
from tools.powercut.device.run import EPOCH_S, stage_zero
from tools.powercut.device.verdict import HOUR_S, REVERTED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from node.light.arbiter import Arbiter
    from tools.powercut.device.facts import Facts
    from tools.powercut.device.run import Run
    from tools.powercut.device.stage import Stage


class Slot(Operation):
    """A new slot is tried and confirmed; the next one is tried as often as it may and given up.

    A state is (slot that runs, it is on trial); `reverted` is what the boot says about a trial that failed."""

    NAME = "slot"

    def act(self, stage: "Stage") -> None:
        """Write."""
        facts = stage.facts
        facts.settle("reverted", "")
        facts.settle("slot", ("a", False))
        run = stage.boot()
        facts.change("slot", ("b", True), run.app.slots.try_next)
        run = stage.boot()
        facts.change("slot", ("b", False), run.app.slots.confirm)
        facts.trials = 0
        facts.change("slot", ("a", True), run.app.slots.try_next)
        for _ in range(slots.TRIES - 1):
            stage.boot()
        self.again(facts)
        stage.boot()
        facts.settle("slot", ("b", False))
        facts.settle("reverted", REVERTED + "a")
        run = stage.boot()
        facts.change("reverted", "", run.app.slots.settle)

    def again(self, facts: "Facts") -> None:
        """The last try may have been counted down by a start that the power cut ended."""
        if ("a", True) in facts.allowed("slot"):
            facts.may("slot", ("b", False))
            facts.may("reverted", REVERTED + "a")

    def check(self, run: "Run") -> None:
        """However often it restarts from here, a slot on trial runs no more often than it may."""
        facts = run.facts
        trials = facts.trials
        for _ in range(slots.TRIES + 1):
            slot = stage_zero(run.files._root)
            trials += 1 if (slot, True) in facts.allowed("slot") and (slot, False) not in facts.allowed("slot") else 0
        expect(trials <= slots.TRIES, "the slot on trial may run {} times", trials)
        expect((slot, True) not in facts.allowed("slot") or (slot, False) in facts.allowed("slot"), "it never ends")


class Boots(Operation):
    """Restarts of all kinds in a row: no number is given twice, and crashes are counted."""

    NAME = "boots"

    def act(self, stage: "Stage") -> None:
        """Write."""
        for cause in (RESET_WATCHDOG, RESET_HARD, RESET_WATCHDOG):
            run = stage.boot(cause)
            run.live()
        boots.beyond_help(run.files, run.app.boots)
        boots.steady(run.files, stage.boot(RESET_HARD).app.boots)


class Time(Operation):
    """The floor of the time and the anchors of past boots. A state is (floor, UTC of uptime 0 of each boot)."""

    NAME = "time"

    def act(self, stage: "Stage") -> None:
        """Write."""
        facts = stage.facts
        anchors: "dict[int, int]" = {}
        floor = 0
        facts.settle("time", (floor, anchors))
        for turn in range(3):
            run = stage.boot()
            clock, number = run.app.clock, run.app.boots.boot
            clock.set_utc((EPOCH_S + turn * 40000) * 1000)
            anchors = dict(anchors)
            anchors[number] = clock.anchor_s
            self._tick(run, (floor, anchors), False)
            for _ in range(2):
                run.passes(HOUR_S + 1)
                floor = clock.utc_s()
                self._tick(run, (floor, anchors), True)

    def _tick(self, run: "Run", state: "tuple[int, dict[int, int]]", proved: bool) -> None:
        run.facts.change("time", state, lambda: run.app.time.tick(proved))

    def check(self, run: "Run") -> None:
        """As it was found, not as this run may have gone on with it."""
        found = Timekeeper(run.files, Ticks().clock, 0, 0)
        numbers = {boot for _, anchors in run.facts.allowed("time") for boot in anchors}
        known = {boot: found.zero_s(boot) for boot in numbers if found.zero_s(boot) is not None}
        run.facts.check("time", (found._clock.floor_s, known))


class Commands(Operation):
    """A command runs once at most, whenever the power fails, and is answered when it is sent again."""

    NAME = "commands"

    def act(self, stage: "Stage") -> None:
        """Write."""
        run = stage.boot()
        for index in range(6):
            stage.facts.settle("ran", index, index)
            obeyed = self._commands(run, index, [])
            obeyed.handle(order(index))
            stage.facts.settle("replied", index)

    def _commands(self, run: "Run", index: int, replies: "list[bytes]") -> Obeyed:
        def count(_: object) -> "dict[str, int]":
            run.facts.settle("ran", index, index + 1)
            return {}

        made = Obeyed(run.files, run.app.clock, 1, {"count": count}, replies.append, lambda *_: None)
        made.resume(False)
        return made

    def check(self, run: "Run") -> None:
        """Send the newest command once more."""
        if not run.facts.allowed("ran"):
            return
        index, before = run.facts.allowed("ran")
        replied = run.facts.allowed("replied") == [index]
        run.facts.settle("ran", index, index)
        replies: "list[bytes]" = []
        self._commands(run, index, replies).handle(order(index))
        after = run.facts.allowed("ran")[1]
        expect(before == index or after == index, "a command runs twice")
        expect(replies, "a command that is sent again is not answered")
        status = Reply.decode(replies[-1]).status
        expect(status == DONE or not replied, "a command that was done now ends with {}", status)


def order(index: int) -> bytes:
    """The command of that number."""
    return Command(id=b"command" + bytes([0x30 + index]), name="count").encode()


class Lamp(Operation):
    """Counters and overrides of a light node. States: (energy, starts) saved; the level that is held, or None."""

    NAME = "lamp"
    KIND = "light"

    def act(self, stage: "Stage") -> None:
        """Write."""
        facts = stage.facts
        run = stage.boot()
        counters, arbiter = run.app.product.counters, run.app.product.control.arbiter
        facts.settle("counters", (0, 0))
        facts.settle("held", None)
        for turn in range(3):
            self._hold(facts, arbiter, 40 + turn)
            counters.energy(3600000000)
            counters.lamp(turn % 2 == 0, turn * 1000)
            facts.change("counters", (counters.now.energy_wh, counters.now.starts), lambda: counters.save(0))
        facts.change("held", None, lambda: arbiter.clear(0))

    def _hold(self, facts: "Facts", arbiter: "Arbiter", level: int) -> None:
        facts.change("held", level, lambda: arbiter.override(level, HOUR_S, 0))

    def check(self, run: "Run") -> None:
        """What was saved is there; what has been added since is this run's."""
        if run.facts.allowed("held"):
            held = run.app.product.control.arbiter.decide((-1, 0), 0)[0]
            run.facts.check("held", None if held == -1 else held)
        found = Counters(run.files, False, 0).saved
        allowed = run.facts.allowed("counters")
        expect(not allowed or found.energy_wh in [row[0] for row in allowed], "energy {}", found.energy_wh)
        expect(not allowed or found.starts >= min([row[1] for row in allowed]), "starts {}", found.starts)
