"""A whole update: fetched, unpacked, tried, confirmed; one that crashes on trial until the program before is back; and
one that is halted while it is on trial.

The manager is the one of the updater's own tests, which answers every question at once, in this process. Two things are
done once instead of in each boot, which touch no flash: importing the updater, and verifying a signature.
"""

from hashlib import sha256

import main  # beside stage 0

from firmware.tests.manager import NEW, NOW_S, OLD, Manager
from node.core import ed25519
from node.core.slots import TRIES
from node.core.update import epoch, job, judge, proof, pull, trial, updater  # noqa: F401 - what is here is not forgotten
from protocol import manifest
from protocol.messages import RESET_POWER_ON, RESET_WATCHDOG
from protocol.refusals import U_CRASHED, U_HALTED, U_NONE
from protocol.update import CONFIRMED, FINAL, REFUSED, REVERTED, STOPPED, WAITING, Status, prove
from tools.powercut.device.facts import expect
from tools.powercut.device.operations.operation import Operation
from tools.powercut.device.run import Run, stage_zero
from tools.powercut.device.stage import PROOF_KEY

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator
    from typing import Any

    from tools.powercut.device.facts import Facts
    from tools.powercut.device.stage import Stage

# (slot that runs, it is on trial)
_BEFORE = ("a", False)
_TRIAL = ("b", True)
_AFTER = ("b", False)
_FLOOR = 2
_BOOTS = 24  # in which an update comes to its end, whatever happened before
_STEPS = 3000  # of the updater in one run
_MINUTE_MS = 60000
_verify = ed25519.verify
_verified: "dict[tuple[bytes, bytes, bytes], bool]" = {}


def verify(public: bytes, message: bytes, signature: bytes) -> "Generator[None, None, bool]":
    """What was found out before, else `ed25519.verify`."""
    asked = (public, message, signature)
    if asked not in _verified:
        _verified[asked] = yield from _verify(public, message, signature)
    return _verified[asked]


ed25519.verify = verify


class Update(Operation):
    """A new program is fetched, unpacked, started, and proves itself. A state of the slot is (what runs, on trial)."""

    NAME = "update"
    END = CONFIRMED, U_NONE
    GROUP = 7
    _word = b""  # that the broker has for every node after a cut

    def prepare(self, stage: "Stage") -> None:
        """A node that trusts the manager and runs the old program."""
        self._manager: "Any" = Manager()
        self._program = self._manager.release(NEW, floor=_FLOOR)
        self._campaign = self._manager.campaign(self._program, group=self.GROUP)
        stage.format()
        with stage:
            stage.provision(self.KIND, self._manager.document)
            old = manifest.build("1.1", OLD).encode()
            for path, data in list(OLD.items()) + [(manifest.PATH, old)]:
                stage.files.write_atomic("/a/" + path, data)
            self._programs = {manifest.digest(old): "a", self._program.manifest: "b"}
            stage.boot().live()
            stage.facts.settle("slot", _BEFORE)

    def act(self, stage: "Stage") -> None:
        """Write."""
        self._install(stage)
        run = self._boot(stage)
        stage.facts.change("slot", _AFTER, run.app.update.confirm)
        self._ends_as_meant(run, self._order(run))
        self._boot(stage)

    def _install(self, stage: "Stage") -> None:
        run = self._boot(stage)
        stage.facts.may("slot", _TRIAL)
        status = self._order(run)
        expect(status.stage == WAITING and run.app.update.resident.ready, "not installed: {}", status)
        stage.facts.settle("slot", _TRIAL)

    def _boot(self, stage: "Stage", cause: int = RESET_POWER_ON) -> Run:
        run = stage.boot(cause)
        run.live()
        return run

    def again(self, facts: "Facts") -> None:
        """The boot after a cut may have been the last try."""
        if facts.trials >= TRIES and _TRIAL in facts.allowed("slot"):
            facts.may("slot", _BEFORE)

    def check(self, run: Run) -> None:
        """What runs is one of the two programs, whole, and says which; with the power on the update ends as it must."""
        for _ in range(_BOOTS):
            self._is_whole(run)
            status = self._order(run, self._word)
            if status.stage in FINAL and not run.app.slots.on_trial:
                self._ends_as_meant(run, status)
                return
            run = self._tried(run) if run.app.slots.on_trial else self._next(run)
        expect(False, "it does not end: {}", status)

    def _tried(self, run: Run) -> Run:
        """The new program runs, and what comes of it: the run that follows, or the same."""
        run.app.update.confirm()
        return run

    def _next(self, run: Run, cause: int = RESET_POWER_ON) -> Run:
        following = Run(run.files._root, run.facts, cause)
        following.live()
        return following

    def _is_whole(self, run: Run) -> None:
        slot, files = run.slot, run.files
        data = files.read("/{}/{}".format(slot, manifest.PATH))
        expect(data, "slot {} has no manifest", slot)
        digest = manifest.digest(data)
        expect(self._programs.get(digest) == slot, "slot {} runs neither the old program nor the new one", slot)
        expect(run.app.slots.manifest == digest, "slot {} says that another program runs", slot)
        for file in manifest.load(data).files:
            found = files.read("/{}/{}".format(slot, file.path))
            expect(sha256(found or b"").digest() == file.sha256, "{} of slot {} is damaged", file.path, slot)

    def _order(self, run: Run, word: bytes = b"") -> Status:
        """A session in which the campaign comes again, after an epoch if there is one, and everything that follows;
        what the node says at last."""
        said: "list[Status]" = []

        def publish(data: bytes) -> bool:
            said.append(Status.decode(data))
            return True

        app, resident = run.app, run.app.update.resident
        resident.publish = publish
        app.clock.set_utc(NOW_S * 1000 + app.boots.boot * _MINUTE_MS)
        resident.up()
        if word:
            resident.halt(word)
        resident.offer(self._campaign)
        left = _STEPS
        while resident.busy:
            for step in resident.work():
                left -= 1
                expect(left, "the updater does not come to rest")
                if isinstance(step, int):
                    run.passes(step // 1000 + 1)
                elif step is not None:
                    for block in self._manager.answer(step):
                        resident.block(block)
        expect(said, "the updater says nothing")
        return said[-1]

    def _ends_as_meant(self, run: Run, status: Status) -> None:
        expect((status.stage, status.code) == self.END, "the update ends with {}", status)
        self._is_whole(run)
        made = status.proof
        expect(made and made.mac == prove(PROOF_KEY, run.app.identity.node, made), "no proof that holds: {}", made)
        expect(made and made.manifest == self._program.manifest and made.confirmed, "it proves {}", made)
        expect(status.floor == _FLOOR, "the floor is {}", status.floor)


class Revert(Update):
    """A new program ends with an exception, each time that it is tried; the one before runs again and says why."""

    NAME = "revert"
    END = REVERTED, U_CRASHED

    def act(self, stage: "Stage") -> None:
        """Write."""
        self._install(stage)
        stage_zero(stage.root)  # it dies at its first line
        self._crashes(stage.root)
        for left in range(TRIES - 1, 0, -1):
            if left == 1:
                stage.facts.may("slot", _BEFORE)
            self._boot(stage, RESET_WATCHDOG)
            self._crashes(stage.root)
        stage.facts.settle("slot", _BEFORE)
        run = self._boot(stage, RESET_WATCHDOG)
        self._ends_as_meant(run, self._order(run))

    def again(self, facts: "Facts") -> None:
        """The boot after a cut may have been the last try: the first one is in nobody's count."""
        if _TRIAL in facts.allowed("slot"):
            facts.may("slot", _BEFORE)

    def _tried(self, run: Run) -> Run:
        self._crashes(run.files._root)
        return self._next(run, RESET_WATCHDOG)

    def _crashes(self, root: str) -> None:
        """What main.py does about it; then the watchdog of stage 0 comes."""
        main.note(ValueError("a fault of the new program"), root)

    def _ends_as_meant(self, run: Run, status: Status) -> None:
        expect((status.stage, status.code) == self.END, "the update ends with {}", status)
        expect("a fault of the new program" in status.text, "it says {!r}", status.text)
        self._is_whole(run)
        expect(run.slot == "a" and not run.app.slots.on_trial, "slot {} runs", run.slot)
        expect(status.floor == 0, "the floor is {}", status.floor)


class Halt(Update):
    """A new program is on trial when an epoch halts its group: the one before runs again, whatever the node knew."""

    NAME = "halt"

    def prepare(self, stage: "Stage") -> None:
        """The same, and an epoch."""
        super().prepare(stage)
        self._word = self._manager.epoch(self.GROUP)

    def act(self, stage: "Stage") -> None:
        """Write."""
        self._install(stage)
        run = self._boot(stage)
        stage.facts.may("slot", _BEFORE)
        self._order(run, self._word)
        expect(run.app.update.resident.ready, "it stays on trial")
        stage.facts.settle("slot", _BEFORE)
        run = self._boot(stage)
        self._ends_as_meant(run, self._order(run, self._word))

    def check(self, run: Run) -> None:
        """The epoch comes first, and nothing of the new program stays."""
        run.facts.may("slot", _BEFORE)
        super().check(run)

    def _tried(self, run: Run) -> Run:
        expect(False, "it may confirm what is halted")
        return run

    def _ends_as_meant(self, run: Run, status: Status) -> None:
        expect(status.stage in (STOPPED, REFUSED) and status.code == U_HALTED, "the update ends with {}", status)
        expect(status.epoch == 1, "the epoch is {}", status.epoch)
        self._is_whole(run)
        expect(run.slot == "a" and not run.app.slots.on_trial, "slot {} runs", run.slot)
        expect(status.floor == 0, "the floor is {}", status.floor)
