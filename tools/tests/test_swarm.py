"""The parts of a simulated node, one by one: flash, flaws, signatures, and the firmware's updater on them."""

import itertools
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from firmware.tests.manager import Manager
from firmware.tests.manager import Node as Reference
from firmware.tests.signer import Key
from fleet.rollout.model import Execution, Stage
from protocol.messages import RESET_HARD, RESET_POWER_ON
from protocol.update import CONFIRMED, TRIAL, WAITING, Status
from tools.swarm import flaws, truth
from tools.swarm.crew import Facts
from tools.swarm.device import Device, flashed
from tools.swarm.flash import Flash, Pool, PowerCut
from tools.swarm.loop import Loop
from tools.swarm.signatures import Verifier, installed
from tools.swarm.watch import Curve

OLD = {"node/app.mpy": b"the old program" * 40, "node/trial": b""}
NEW = {"node/app.mpy": b"the new program" * 300, "node/more.mpy": b"more", "node/trial": b""}
TARGET, OTHER = "aa", "bb"
NOW_MS = 1_800_000_000_000


class Bench:
    """A device that a manager in memory updates, by a clock that moves when somebody waits."""

    def __init__(self, cut_at: int = 0, cut_late: bool = False) -> None:
        self.manager = Manager()
        self.flash = Flash(flashed(OLD, "1.1"), Pool())
        self.flash.cut_at, self.flash.cut_late = cut_at, cut_late
        self.now_ms = 0
        self.said: list[Status] = []
        identity = Reference(self.manager).identity
        self.device = Device(identity, self.flash, lambda: self.now_ms, lambda _: 0, self._publish, lambda _: True)
        self.envelope = self.manager.campaign(self.manager.release(NEW))

    def _publish(self, data: bytes) -> bool:
        self.said.append(Status.decode(data))
        return True

    def update(self) -> int:
        """Until the new program is confirmed, whatever happens; how often the power failed."""
        cuts, cause = 0, RESET_POWER_ON
        for _ in range(8):
            try:
                self._run(cause)
                cause = RESET_HARD
                if self.said[-1].stage == CONFIRMED:
                    return cuts
            except PowerCut:
                cuts, cause = cuts + 1, RESET_POWER_ON
                self.flash.power_off()
            assert not self.device.is_brick()
        raise AssertionError("it never gets there")

    def _run(self, cause: int) -> None:
        """One run of the node: to the restart that it wants, or to its proof."""
        device = self.device
        device.start(cause)
        device.clock.set_utc(NOW_MS)
        device.resident.up()
        device.resident.offer(self.envelope)
        self._work()
        if self.said[-1].stage == TRIAL:
            device.resident.confirm()
            self._work()
        elif self.said[-1].stage == WAITING:
            assert device.resident.depart()

    def _work(self) -> None:
        resident = self.device.resident
        while resident.busy:
            for step in resident.work():
                if isinstance(step, bytes):
                    for block in self.manager.answer(step):
                        resident.block(block)
                elif step is not None:
                    self.now_ms += step


@pytest.fixture(autouse=True)
def _quick() -> Iterator[None]:
    with installed(Verifier()):
        yield


def test_an_update_runs_to_its_proof() -> None:
    bench = Bench()
    assert bench.update() == 0
    assert bench.device.slots.running == "b"
    assert bench.said[-1].proof is not None
    assert bench.said[-1].proof.mac


@pytest.mark.parametrize("late", [False, True], ids=["before the write", "after the write"])
def test_wherever_the_power_fails_the_node_boots_and_gets_there(late: bool) -> None:
    for at in itertools.count(1):
        if Bench(at, late).update() == 0:  # there is no such write any more
            break
    assert at > 12, "an update writes more often than that"


def test_what_was_not_written_is_not_there_and_nothing_is_written_without_power() -> None:
    flash = Flash({"/a": b"old"}, Pool())
    flash.cut_at = 1
    with pytest.raises(PowerCut):
        flash.write_atomic("/a", b"new")
    with pytest.raises(PowerCut):
        flash.append("/b", b"more")
    assert (flash.read("/a"), flash.read("/b")) == (b"old", None)
    flash.power_on()
    flash.write_atomic("/a", b"new")
    assert flash.read("/a") == b"new"


def test_a_file_that_was_open_when_the_power_failed_is_not_there() -> None:
    flash = Flash({}, Pool())
    file = flash.writer("/a/x")
    file.write(b"half of it")
    flash.power_off()
    with pytest.raises(PowerCut):
        file.close()
    assert flash.size("/a/x") is None


def test_nodes_share_what_they_have_in_common() -> None:
    pool, program = Pool(), {"/a/x": b"x" * 100}
    first, second = Flash(program, pool), Flash(program, pool)
    assert first.read("/a/x") is second.read("/a/x")
    for flash in (first, second):
        flash.write_atomic("/b/x", bytes(b"y" * 100))
    assert first.read("/b/x") is second.read("/b/x")
    first.append("/a/x", b"!")
    assert second.read("/a/x") == b"x" * 100


def test_flaws_come_from_the_seed_and_as_often_as_was_asked_for() -> None:
    fleet = [flaws.draw(7, number, 200, 50) for number in range(5000)]
    assert fleet == [flaws.draw(7, number, 200, 50) for number in range(5000)]
    assert fleet != [flaws.draw(8, number, 200, 50) for number in range(5000)]
    flaky = [one for one in fleet if one.kind]
    assert 900 < len(flaky) < 1100
    assert 200 < sum(one.cut_at > 0 for one in fleet) < 300
    assert {one.kind for one in flaky} == set(flaws.KINDS)
    assert all(flaws.draw(7, number, 0, 0) == flaws.SOUND for number in range(100))


def test_what_was_verified_once_is_known() -> None:
    verifier = Verifier()

    def ask(signature: bytes) -> bool:
        steps = verifier.verify(key.public, b"message", signature)
        while True:
            try:
                next(steps)
            except StopIteration as end:
                return bool(end.value)

    key = Key("anybody")
    signature = key.sign(b"message")
    assert [ask(signature), ask(signature), ask(bytes(64)), ask(b"")] == [True, True, False, False]
    assert (verifier.asked, verifier.computed) == (4, 3)


def test_timers_come_in_their_order_and_not_when_they_were_cancelled() -> None:
    loop, found = Loop(), []
    for wait_ms, name in ((20, "late"), (1, "early"), (5, "never")):
        timer = loop.after(wait_ms, lambda name=name: found.append(name))  # type: ignore[misc]
        if name == "never":
            timer.cancel()
    loop.after(30, loop.stop)
    loop.run()
    loop.close()
    assert found == ["early", "late"]


REAL = Facts(
    node="air-1", flaws="none", manifest=OTHER, is_kept=True, is_brick=False, is_up=True, is_silent=False, boots=1,
    cuts=0, connects=1, steps=0, orders=(), epochs=(), said=(), sessions=(NOW_MS,),
)  # fmt: skip
SAID = Execution("air-1", tries=1, counter=4, deadline_s=NOW_MS // 1000 + 60)
SPOKE = ((NOW_MS + 1000, 4, 2, 0),)
TRUTHS: dict[str, tuple[Stage, dict[str, Any], dict[str, Any], bool]] = {
    "a node that runs the target is proved": (Stage.PROVED, {}, {"manifest": TARGET}, True),
    "a node that runs something else is not proved": (Stage.PROVED, {}, {}, False),
    "a node that runs the target on trial is not proved": (
        Stage.PROVED, {}, {"manifest": TARGET, "is_kept": False}, False,
    ),
    "a node that runs the target has not failed": (Stage.FAILED, {}, {"manifest": TARGET}, False),
    "a node that failed runs something else": (Stage.FAILED, {}, {}, True),
    "a node that got there late is told to be late": (Stage.DARK, {"late": True}, {"manifest": TARGET}, True),
    "a node that reverted runs something else": (Stage.REVERTED, {}, {}, True),
    "a node that speaks is not dark": (Stage.DARK, {}, {"said": SPOKE}, False),
    "a node that was away at its deadline is dark": (
        Stage.DARK, {}, {"said": SPOKE, "sessions": (NOW_MS, NOW_MS + 50_000, NOW_MS + 90_000)}, True,
    ),
    "a node that fell silent is dark": (Stage.DARK, {}, {"said": SPOKE, "is_silent": True}, True),
    "a node that speaks timed out": (Stage.TIMED_OUT, {}, {"said": SPOKE}, True),
    "a node that never spoke did not time out": (Stage.TIMED_OUT, {}, {"is_silent": True}, False),
    "a node on its way has not ended": (Stage.ACTIVE, {}, {}, False),
}  # fmt: skip


@pytest.mark.parametrize("sentence", TRUTHS)
def test_of_what_the_store_says(sentence: str) -> None:
    stage, said, real, is_true = TRUTHS[sentence]
    text = truth.fault(replace(SAID, stage=stage, **said), replace(REAL, **real), TARGET)
    assert (text == "") is is_true, text


def test_only_who_was_online_all_the_time_is_asked_when_it_refused() -> None:
    there = replace(REAL, node="there", epochs=((NOW_MS + 900, 3),))
    back = replace(REAL, node="back", epochs=((NOW_MS + 5000, 3),), sessions=(NOW_MS, NOW_MS + 700, NOW_MS + 4000))
    deaf = replace(REAL, node="deaf")
    gone = replace(REAL, node="gone", sessions=(NOW_MS, NOW_MS + 700))
    silent = replace(REAL, node="silent", is_silent=True)
    took, missing = truth.refusing_ms([there, back, deaf, gone, silent], 3, NOW_MS + 500)
    assert (took, missing) == ({"there": NOW_MS + 900}, ["deaf"])


def test_a_rate_is_that_between_two_counts() -> None:
    curve = Curve()
    for at_s, count in ((0.0, 0), (1.0, 0), (2.0, 10), (5.0, 10), (7.0, 10), (8.0, 1010), (9.0, 2010), (12.0, 2011)):
        curve.add(at_s, count)
    assert curve.rate(10, 2010) == 1000.0, "the burst began after the last look that found nothing of it"
    assert curve.rate(2011, 5000) == 0.0
