"""A flash that is new: the first start of a provisioned node, and making the file system itself."""

from protocol.identity import PATH
from tools.powercut.device.facts import expect
from tools.powercut.device.operations.operation import Operation
from tools.powercut.device.stage import identity

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tools.powercut.device.stage import Stage


class FirstBoot(Operation):
    """The first start after flashing: folders, boot number and outbox come into being."""

    NAME = "first-boot"

    def prepare(self, stage: "Stage") -> None:
        """What is on the flash before."""
        stage.format()
        with stage:
            stage.provision(self.KIND)

    def act(self, stage: "Stage") -> None:
        """Write."""
        stage.boot().live()


class Format(Operation):
    """MicroPython formats a blank partition. A cut leaves nothing, a file system, or a flash that is neither: then the
    board says so and has to be flashed again, which must do."""

    NAME = "format"

    def prepare(self, stage: "Stage") -> None:
        """What is on the flash before."""

    def perform(self, stage: "Stage") -> None:
        """Make the file system, then write to it."""
        stage.format()
        with stage:
            stage.facts.change("identity", identity(self.KIND), lambda: stage.provision(self.KIND))

    def verdict(self, stage: "Stage") -> None:
        """It mounts, or it is made again; then a node can be put on it and runs."""
        if not self._mounts(stage):
            expect(not stage.facts.allowed("identity"), "a file system that was made is gone")
            stage.format()
        with stage:
            if stage.files.read(PATH) is None:
                stage.provision(self.KIND)
            stage.boot().live()

    def _mounts(self, stage: "Stage") -> bool:
        try:
            with stage:
                return True
        except OSError:
            return False
