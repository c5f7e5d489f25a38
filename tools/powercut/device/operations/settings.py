"""The configuration: tried, confirmed, refused, taken back, and a restart in the middle of a probation."""

from node.core.config import Config
from protocol.messages import E_ARGUMENT, E_NONE, E_PROBATION
from protocol.messages import Config as Desired
from tools.powercut.device.facts import expect
from tools.powercut.device.operations.operation import Operation
from tools.powercut.device.verdict import state_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tools.powercut.device.facts import Facts
    from tools.powercut.device.run import Run
    from tools.powercut.device.stage import Stage

_BATCH = 2  # id of the setting that these configurations set
_DEFAULT = 5
_PROBATION_S = 600
_TOO_LARGE = 1000


class Configuration(Operation):
    """Each state is (applied, desired, error, on probation, value in use)."""

    NAME = "config"

    def act(self, stage: "Stage") -> None:
        """Write."""
        run, facts = stage.boot(), stage.facts
        facts.settle("config", (0, 0, E_NONE, False, _DEFAULT))
        facts.change("config", (0, 1, E_NONE, True, 1), lambda: self._offer(run, 1, 1))
        facts.change("config", (1, 1, E_NONE, False, 1), run.app.config.confirm)
        facts.change("config", (1, 2, E_NONE, True, 2), lambda: self._offer(run, 2, 2))
        run.passes(_PROBATION_S)
        facts.change("config", (1, 2, E_PROBATION, False, 1), run.app.config.tick)
        facts.change("config", (1, 3, E_ARGUMENT, False, 1), lambda: self._offer(run, 3, _TOO_LARGE))
        facts.change("config", (1, 4, E_NONE, True, 4), lambda: self._offer(run, 4, 4))
        facts.may("config", (1, 4, E_PROBATION, False, 1))  # the second restart takes it back
        run = stage.boot()
        facts.change("config", (4, 4, E_NONE, False, 4), run.app.config.confirm)
        facts.change("config", (4, 5, E_NONE, True, 6), lambda: self._offer(run, 5, 6))
        facts.change("config", (5, 5, E_NONE, False, 6), run.app.config.confirm)

    def _offer(self, run: "Run", rev: int, batch: int) -> None:
        run.app.config.handle(Desired(rev=rev, values={_BATCH: batch}, probation_s=_PROBATION_S).encode())

    def again(self, facts: "Facts") -> None:
        """The second restart of a probation takes it back."""
        for applied, desired, _, trial, _ in facts.allowed("config"):
            if trial:
                before = {0: _DEFAULT, 1: 1, 4: 4}[applied]
                facts.may("config", (applied, desired, E_PROBATION, False, before))

    def check(self, run: "Run") -> None:
        """A probation does not outlive a second restart, and a new configuration lasts."""
        again = run.app.config
        for _ in range(2):
            again = Config(run.files, run.app.clock) if again.on_probation else again
        expect(not again.on_probation, "a probation outlives two restarts")
        rev = again.desired + 1
        again.offer(Desired(rev=rev, values={_BATCH: 9}))
        again.confirm()
        lasts = state_of(Config(run.files, run.app.clock)) == (rev, rev, E_NONE, False, 9)
        expect(lasts, "a new configuration does not last")
