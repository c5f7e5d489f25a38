"""What an operation of the matrix is, and what most of them have in common."""

from tools.powercut.device import verdict
from tools.powercut.device.facts import BadError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tools.powercut.device.facts import Facts
    from tools.powercut.device.run import Run
    from tools.powercut.device.stage import Stage


class Operation:
    """One kind of writing. `act` runs once, the power fails within each flash operation of it, and after each cut
    `verdict` looks at a copy of the flash. What `act` is told to be done it writes into the facts of its stage."""

    NAME = ""
    KIND = "air"

    def prepare(self, stage: "Stage") -> None:
        """What is on the flash before: here a node that has run once."""
        stage.format()
        with stage:
            stage.provision(self.KIND)
            stage.boot().live()

    def perform(self, stage: "Stage") -> None:
        """Mount the flash and act."""
        with stage:
            self.act(stage)

    def act(self, stage: "Stage") -> None:
        """Write."""
        raise NotImplementedError

    def recover(self, stage: "Stage") -> "Run":
        """The boot after a cut, in which the power may fail again."""
        run = stage.boot()
        if run.app is None:
            run = self.nobody(stage, run)
        verdict.boots(run)
        run.live()
        return run

    def nobody(self, stage: "Stage", run: "Run") -> "Run":
        """The board has no identity, says so, and gets one: the boot after that. Here it must have one."""
        raise BadError("the identity is gone: " + " | ".join(run.lines))

    def again(self, facts: "Facts") -> None:
        """The power fails in that boot too: allow what may be different then. Here nothing."""

    def check(self, run: "Run") -> None:
        """BadError when anything of this operation is not as it must be. Here nothing."""

    def verdict(self, stage: "Stage") -> None:
        """BadError unless the node on this flash boots and is as it must be."""
        with stage:
            run = self.recover(stage)
            stage.boots = False
            verdict.survives(run)
            verdict.goes_on(run)
            self.check(run)
