"""Who a node is: written over the cable and by the claim of the node itself, for the first time and again."""

import io

from fleet.flashing import put
from node.core.clock import ticks_diff
from node.tasks.claim import Claiming
from protocol.claim import Ticket
from protocol.identity import PATH, TICKET_PATH
from protocol.report import UNPROVISIONED
from tools.powercut.device import verdict
from tools.powercut.device.facts import expect
from tools.powercut.device.operations.operation import Operation
from tools.powercut.device.stage import identity
from tools.sim.board import HostBoard, HostNetwork
from tools.sim.models import Bench
from tools.sim.world import World

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tools.powercut.device.run import Run
    from tools.powercut.device.stage import Stage


class Provisioning(Operation):
    """A board without identity gets one over the cable, runs, and gets another one twice."""

    NAME = "provisioning"

    def prepare(self, stage: "Stage") -> None:
        """Nothing: the board is blank."""
        stage.format()
        stage.facts.settle("identity", None)

    def act(self, stage: "Stage") -> None:
        """Provision it three times."""
        for serial in (1, 2, 3):
            self._replace(stage, serial)
            stage.boot().live()

    def _replace(self, stage: "Stage", serial: int) -> None:
        new = identity(self.KIND, serial)
        stage.facts.change("identity", new, lambda: self._write(stage.root + PATH, new))

    def _write(self, path: str, data: bytes) -> None:
        """By the very program that `fleet board provision` runs on a board."""
        names: "dict[str, dict[str, str]]" = {}
        exec(put.program(path, data), names)  # noqa: S102 - our own
        expect(names["answer"]["sha256"] == put.digest(data), "the flash holds something else than was written")

    def nobody(self, stage: "Stage", run: "Run") -> "Run":
        """It says that it has no identity, which must be allowed, and is provisioned again."""
        stage.facts.check("identity", stage.files.read(PATH))
        state = verdict.said(run)["state"]
        expect(state == UNPROVISIONED, "a board without identity says that it is {}", state)
        self._replace(stage, 1)
        return stage.boot()


class Claim(Operation):
    """A board with a ticket gets its identity and keeps it; it has one of the two at any time."""

    NAME = "claim"
    TICKET = Ticket(
        urls=["https://fleet.lumenair.test/claim"],
        ca=b"\xa0" * 420,
        batch="b",
        until=9,
        secret=bytes(32),
        kind="air",
        board="esp32_air",
    )

    def prepare(self, stage: "Stage") -> None:
        """A ticket."""
        stage.format()
        with stage:
            stage.files.write_atomic(TICKET_PATH, self.TICKET.encode())
        stage.facts.settle("identity", None)

    def act(self, stage: "Stage") -> None:
        """Keep what the server has answered, then start with it."""
        self._keep(stage)
        expect(stage.files.read(TICKET_PATH) is None, "the ticket is left")
        stage.boot().live()

    def _keep(self, stage: "Stage") -> None:
        parts = Bench("air", lambda: 0, World())
        board = HostBoard("esp32_air", (lambda: 0, ticks_diff), parts, HostNetwork(), io.BytesIO(bytes(256)))
        claiming = Claiming(board, stage.files, self.TICKET, lambda *_: None)
        new = identity(self.KIND)
        stage.facts.change("identity", new, lambda: claiming._keep(new))

    def nobody(self, stage: "Stage", run: "Run") -> "Run":
        """It goes on claiming, with the same ticket."""
        stage.facts.check("identity", stage.files.read(PATH))
        expect(run.ticket == self.TICKET, "neither identity nor ticket: {}", " | ".join(run.lines))
        self._keep(stage)
        return stage.boot()

    def check(self, run: "Run") -> None:
        """No ticket is left beside an identity."""
        expect(run.files.read(TICKET_PATH) is None, "the ticket is left")
