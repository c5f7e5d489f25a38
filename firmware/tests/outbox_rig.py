"""An outbox with all that is around it, for tests on both interpreters."""

from firmware.tests.fakes import Files, Settings, Time
from node.core.journal import Journal
from node.core.outbox import Outbox
from node.core.segment import FOLDER
from protocol.messages import Batch
from protocol.records import Event, Record, Sample

NOW_S = 1_800_000_000
SAMPLES = {channel: Sample(1000 + channel) for channel in range(1, 10)}


class Rig:
    """A node's outbox on files that outlive `restart`."""

    def __init__(self, files=None, **settings):
        self.files = files or Files()
        self.settings = Settings(**settings)
        self.boot = 0
        self.zeros = {}
        self.restart()

    def restart(self):
        self.boot += 1
        self.time = Time()
        self.ready = 0
        self.outbox = Outbox(self.files, self.time.clock, self.boot, self.settings, self.zero_s)
        self.outbox.on_ready = self.on_ready
        self.journal = Journal(self.outbox, self.time.clock)

    def on_ready(self):
        self.ready += 1

    def zero_s(self, boot):
        return self.time.clock.anchor_s if boot == self.boot else self.zeros.get(boot)

    def know_time(self):
        self.time.clock.set_utc(NOW_S * 1000)
        self.zeros[self.boot] = self.time.clock.anchor_s

    def record(self, count=1):
        for _ in range(count):
            t, tq = self.time.clock.stamp()
            self.journal.record(SAMPLES, t, tq)

    def take(self):
        """(topic, boot, [seq...]) of the next batch with the item, or None."""
        item = self.outbox.take()
        if item is None:
            return None
        batch = Batch.decode(self.outbox.render(item))
        kind = Record if item.name == "tele" else Event
        return item, (item.name, batch.boot, [kind.decode(entry).seq for entry in batch.entries])

    def drain(self):
        """Everything that can be taken once all has waited long enough, acknowledged at once."""
        self.time.sleep(self.settings("batch") * self.settings("interval_s") * 1000)
        found = []
        while True:
            taken = self.take()
            if taken is None:
                return found
            found.append(taken[1])
            self.outbox.done(taken[0])

    def segments(self):
        return sorted(self.files.scan(FOLDER))
