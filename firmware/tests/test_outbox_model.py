"""The outbox against a plain list as the model of it."""

import random

from firmware.tests.outbox_rig import SAMPLES, Rig
from node.core.outbox import EVENT, RECORD


class Model:
    """An outbox and what a list would do: entries by identity, each waiting, in flight or gone."""

    def __init__(self, seed):
        random.seed(seed)
        self.rig = Rig(outbox_kb=64, batch=random.randint(1, 8))
        self.waiting = []
        self.flying = []  # (item, identities)

    def play(self, steps):
        """Random steps, then everything out."""
        odds = (self.append,) * 50 + (self.take,) * 25 + (self.done,) * 15 + (self.release,) * 5 + (self.pass_time,) * 4
        odds += (self.restart,)
        for _ in range(steps):
            odds[random.randint(0, len(odds) - 1)]()
        self.rig.time.sleep(3_600_000)
        while self.take():
            pass
        while self.flying:
            self.done()

    def append(self):
        rig = self.rig
        kind = EVENT if random.randint(0, 5) == 0 else RECORD
        self.waiting.append((kind, rig.boot, rig.journal.seq))
        assert rig.journal.event(3) if kind == EVENT else rig.journal.record(SAMPLES, 0, 0)

    def take(self):
        """Take a batch from both; False when there is none."""
        taken = self.rig.take()
        if taken is None:
            return False
        item, (name, boot, seqs) = taken
        kind = EVENT if name == "event" else RECORD
        identities = [(kind, boot, seq) for seq in seqs]
        assert seqs == sorted(seqs)
        for identity in identities:
            if identity in self.waiting:
                self.waiting.remove(identity)
            else:
                assert boot < self.rig.boot, "given twice within one boot"  # it was acknowledged before a restart
        self.flying.append((item, identities))
        return True

    def done(self):
        if self.flying:
            self.rig.outbox.done(self.flying.pop(random.randint(0, len(self.flying) - 1))[0])

    def release(self):
        for item, _ in reversed(self.flying):
            self.rig.outbox.release(item)
        self.forget()

    def restart(self):
        self.forget()
        self.rig.restart()

    def forget(self):
        for _, identities in self.flying:
            self.waiting.extend(identities)
        self.flying = []

    def pass_time(self):
        self.rig.time.sleep(random.randint(1, 100_000))


def test_the_outbox_does_what_a_list_does():
    for seed in range(12):
        model = Model(seed)
        model.play(400)
        assert model.waiting == []
        assert model.rig.segments() == []
        assert model.rig.outbox.evicted == model.rig.outbox.damaged == 0
