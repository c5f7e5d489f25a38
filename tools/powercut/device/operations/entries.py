"""Records and events: kept in segments, sent, deleted, and given up when there is no room."""

from protocol import events
from protocol.messages import Config as Desired
from protocol.records import Sample
from tools.powercut.device.operations.operation import Operation
from tools.powercut.device.verdict import HOUR_S

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tools.powercut.device.run import Run
    from tools.powercut.device.stage import Stage

_OUTBOX_KB = 16  # four segments
_FILL = 8  # records of `keep` that leave a segment with room for two
_ENTRIES = 10  # of one boot
_TEXT = 4  # attribute that makes an event long


def keep(run: "Run", is_event: bool) -> None:
    """The program notices something, or measures: an entry of about 400 bytes."""
    journal = run.app.journal
    if is_event:
        journal.event(events.TASK_RESTART, attrs={_TEXT: "x" * 400})
    else:
        journal.record(
            {channel: Sample(1000 + channel, 1, 60, 9, 1, 70000) for channel in range(1, 24)}, *run.app.clock.stamp()
        )


class Outbox(Operation):
    """Both classes are written over two boots, segments fill, batches are acknowledged, segments are deleted."""

    NAME = "outbox"

    def act(self, stage: "Stage") -> None:
        """Write."""
        for _ in range(2):
            run = stage.boot()
            for index in range(_ENTRIES):
                keep(run, index % 3 == 0)
                if index % 4 == 3:
                    run.acknowledge()
            run.passes(HOUR_S)
            for _ in range(_ENTRIES // 2):
                run.acknowledge()


class Eviction(Operation):
    """The outbox is full of records: the oldest segments give way to events and to newer records."""

    NAME = "eviction"

    def prepare(self, stage: "Stage") -> None:
        """What is on the flash before."""
        super().prepare(stage)
        with stage:
            run = stage.boot()
            run.app.config.offer(Desired(rev=1, values={8: _OUTBOX_KB}))
            run.app.config.confirm()
            run = stage.boot()
            while not run.app.outbox.evicted:
                keep(run, False)
            for _ in range(_FILL):
                keep(run, False)
        stage.facts.may_evict = True

    def act(self, stage: "Stage") -> None:
        """Write."""
        run = stage.boot()
        for index in range(6):
            keep(run, index % 2 == 0)
