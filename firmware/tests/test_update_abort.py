"""Abort: an epoch, or a campaign that stops, comes at every stage of an update, and the power may fail in any write.

Whatever the order of things, a node that has said that it stopped never confirms what was stopped (SPEC 14.12).
"""

from firmware.tests.fakes import Counting, Cut
from firmware.tests.manager import NEW, NOW_S, Manager, Node
from node.core.update.record import DOWNLOAD
from protocol import refusals as u
from protocol import update
from protocol.messages import RESET_HARD, RESET_POWER_ON, RESET_WATCHDOG

GROUP = 7
DAY_S = 86400
ABORTED = (update.STOPPED, update.REVERTED, update.REFUSED)


def at(stage):
    return lambda node: node.statuses and node.status.stage == stage


def until(stage):
    """The node gets as far as that stage."""
    return lambda node, manager, order: node.order(manager, order, until=at(stage))


def whole(node, manager, order):
    assert node.order(manager, order).stage == update.WAITING, node.status


def waits(code):
    """The order goes as far as its spans let it."""

    def play(node, manager, order):
        assert node.order(manager, order).code == code, node.status
        assert not node.resident.busy

    return play


def departed(node, manager, order):
    whole(node, manager, order)
    assert node.resident.depart()


def tried(node, manager, order):
    whole(node, manager, order)
    assert node.restart() == "b"


def in_session(node, manager, order):
    tried(node, manager, order)
    node.order(manager, order)
    assert node.status.stage == update.TRIAL


def just_confirmed(node, manager, order):
    in_session(node, manager, order)
    node.resident.confirm()


def confirmed(node, manager, order):
    just_confirmed(node, manager, order)
    node.work(manager)


def reverted(node, manager, order):
    in_session(node, manager, order)
    for _ in range(3):
        node.start(RESET_WATCHDOG)
    node.order(manager, order)
    assert node.status.stage == update.REVERTED, node.status


def given_up(node, manager, order):
    in_session(node, manager, order)
    node.resident.give_up(True)


def idle(node, manager, order):
    node.order(manager, order)  # of another group, and refused
    assert node.status.code == u.U_NOT_ADDRESSED


def offered(node, manager, order):
    node.resident.up()
    node.resident.offer(order)


def without_time(node, manager, order):
    node.start(knows_time=False)
    assert node.order(manager, order).code == u.U_TIME


def behind_a_trial(node, manager, order):
    node.order(manager, manager.campaign(manager.release({"node/x.mpy": b"x"}, sequence=9), counter=1))
    node.restart()
    node.order(manager, order)
    assert not node.resident.busy


LATER = [NOW_S + DAY_S // 2, NOW_S + DAY_S // 2 + 3600]
NOW = [NOW_S - 3600, NOW_S + 3600]
STOPPED = ((update.STOPPED,), "a")
KEPT = ((update.CONFIRMED,), "b")
STAYS = ((update.STOPPED,), "b")  # there was nothing left to stop
REVERTED = ((update.REVERTED,), "a")
REFUSED = ((update.REFUSED,), "a")
OTHER = ((update.CONFIRMED, update.REFUSED), "b")  # it keeps another program, and refuses this one
# sentence: (how it gets there, what the order says beside its group, (stages that it may end in, slot) after an epoch,
# and after a campaign that stops: None when that is the same)
STAGES = {
    "it checks": (until(update.CHECKING), {}, STOPPED, None),
    "it fetches": (until(update.DOWNLOADING), {}, STOPPED, None),
    "it installs": (until(update.INSTALLING), {}, STOPPED, None),
    "it waits for the time to fetch": (waits(u.U_WINDOW), {"fetch": LATER}, STOPPED, None),
    "it waits until it may restart": (whole, {}, STOPPED, None),
    "it waits for the time to restart": (waits(u.U_WINDOW), {"switch": LATER}, STOPPED, None),
    "it is about to restart": (departed, {"switch": NOW}, STOPPED, None),
    "it is on trial, and had no session": (tried, {}, STOPPED, None),
    "it is on trial, and had a session": (in_session, {}, STOPPED, None),
    "it has given up its trial": (given_up, {}, REVERTED, STOPPED),
    "it has just confirmed": (just_confirmed, {}, KEPT, STAYS),
    "it has confirmed and said so": (confirmed, {}, KEPT, STAYS),
    "it has reverted": (reverted, {}, REVERTED, STOPPED),
    "it has nothing to do with it": (idle, {"nodes": ["air-2"]}, REFUSED, STOPPED),
    "the order has come and was not looked at": (offered, {}, REFUSED, STOPPED),
    "the order waits for the time": (without_time, {}, REFUSED, STOPPED),
    "the order waits for the end of another trial": (behind_a_trial, {"counter": 2}, OTHER, STOPPED),
}


class Words:
    """A manager that has ordered something, and what it says to call it off: an epoch for everybody, or another order
    in the place of that one."""

    def __init__(self, sentence, stop):
        self.play, values = STAGES[sentence][:2]
        self.stop = stop
        self.manager = Manager()
        self.manager.counter = 1  # a campaign before
        self.program = self.manager.release(NEW)
        self.order = self.manager.campaign(self.program, group=GROUP, **values)
        self.word = self.manager.stop(counter=9) if stop else self.manager.epoch(GROUP)


class Scene:
    """A node at a stage, and what the broker has for it from then on."""

    def __init__(self, words):
        self.manager, self.program, self.order, self.word = words.manager, words.program, words.order, words.word
        self.stop = words.stop
        self.node = Node(self.manager)
        words.play(self.node, self.manager, self.order)
        self.said = len(self.node.statuses)

    def session(self):
        """What the broker says at the beginning of a session, and what comes of it."""
        node = self.node
        node.resident.up()
        if self.stop:
            node.resident.offer(self.word)
        else:
            node.resident.halt(self.word)
            node.resident.offer(self.order)
        node.work(self.manager)

    def live(self):
        """Everything that follows, as the upkeep of a node would have it, until nothing happens any more."""
        node = self.node
        for _ in range(6):
            self.session()
            if node.slots.on_trial and not node.resident.ready and not node.resident.unread:
                node.resident.confirm()
                node.work(self.manager)
            node.time.clock.set_utc((NOW_S + DAY_S // 2 + 60) * 1000)  # within every span that there may be
            gives_up = not node.slots.is_kept and not node.slots.on_trial
            if gives_up or (node.resident.ready and node.resident.due):
                assert node.resident.depart() or gives_up
                node.start(RESET_HARD, "update")
            elif not node.resident.busy:
                return
        raise AssertionError("it never ends")

    def check(self, sentence):
        """No confirmation after the node has said that it is over."""
        over = False
        for status in self.node.statuses[self.said :]:
            if status.manifest == self.program.manifest or not status.manifest:
                over = over or (status.stage in ABORTED and (self.stop or status.epoch == 1))
                assert not (over and status.stage in (update.CONFIRMED, update.TRIAL)), (sentence, status)


def play(sentence, words, cut):
    """The word comes at that stage, and the power fails before write number `cut` from there on. (node, it failed)."""
    scene = Scene(words)
    node = scene.node
    counting = Counting(node.files)
    counting.left = cut
    fails = False
    try:
        if sentence == "it is about to restart":
            node.start(RESET_HARD, "update")  # nobody reads any more what comes
        scene.live()
    except Cut:
        fails = True
        counting.left = 1 << 30
        node.start(RESET_POWER_ON)
        scene.live()
    scene.check(sentence)
    return node, fails


def test_an_abort_at_every_stage_and_with_a_power_cut_in_any_write():
    for sentence in sorted(STAGES):
        for stop in (False, True):
            stages, slot = STAGES[sentence][3] if stop and STAGES[sentence][3] else STAGES[sentence][2]
            words = Words(sentence, stop)
            cut, fails = 0, True
            while fails:
                node, fails = play(sentence, words, cut)
                said = node.status
                where = sentence, "stop" if stop else "epoch", cut, said
                assert node.slots.is_kept, where
                assert said.stage in stages, where
                assert node.slots.running == slot, where
                assert stop or said.epoch == 1, where
                assert not node.resident.ready, where
                has = node.slots.manifest == words.program.manifest
                assert has is ("confirmed" in sentence), where
                assert node.files.size(DOWNLOAD) is None, where
                cut += 1
