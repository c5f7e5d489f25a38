"""Abort: an epoch, or a campaign that stops, comes at every stage of an update, and the power may fail in any write.

Whatever the order of things, a node that has said that it stopped never confirms what was stopped (SPEC 14.12).
"""

from firmware.tests.fakes import Counting, Cut
from firmware.tests.manager import NEW, NOW_S, OLD, Manager, Node
from node.core.update.record import DOWNLOAD
from protocol import refusals as u
from protocol import trust, update
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


def test_what_a_node_says_when_an_epoch_comes():
    rows = {
        "at work: it has stopped, and why": (until(update.DOWNLOADING), update.STOPPED, u.U_HALTED),
        "confirmed: it stays, and proves it": (confirmed, update.CONFIRMED, u.U_NONE),
        "on trial: it goes back": (in_session, update.TRIAL, u.U_HALTED),
        "reverted: as before": (reverted, update.REVERTED, u.U_HUNG),
    }
    for sentence, row in rows.items():
        manager = Manager()
        node = Node(manager)
        row[0](node, manager, manager.campaign(manager.release(NEW), group=GROUP))
        count = len(node.statuses)
        status = node.hear(manager, manager.epoch(3, GROUP))
        assert (status.stage, status.code, status.epoch) == (row[1], row[2], 1), (sentence, status)
        assert len(node.statuses) == count + 1, sentence
        assert (status.proof is not None) is (row[1] == update.CONFIRMED), sentence
        assert node.resident.ready is (row[1] == update.TRIAL), sentence
        node.hear(manager, manager.epoch(3, GROUP, number=1))
        assert len(node.statuses) == count + 1, "the same again is answered with nothing: " + sentence


def test_one_that_comes_while_blocks_come_ends_the_download():
    manager = Manager()
    node = Node(manager)

    def halt(blocks):
        if len(manager.asked) == 3:
            node.resident.halt(manager.epoch(GROUP))
        return blocks

    manager.carry = halt
    node.order(manager, manager.campaign(manager.release(NEW), group=GROUP))
    assert (node.status.stage, node.status.code, len(manager.asked)) == (update.STOPPED, u.U_HALTED, 3)
    assert node.events[-1][2] == update.STOPPED


def test_one_that_comes_while_it_installs_ends_it_before_the_pointer_moves():
    manager = Manager()
    node = Node(manager)
    words = []

    def halt(node):
        if at(update.INSTALLING)(node) and not words:
            words.append(manager.epoch(GROUP))
            node.resident.halt(words[0])

    node.order(manager, manager.campaign(manager.release(NEW), group=GROUP), until=halt)
    assert words
    assert update.WAITING not in [status.stage for status in node.statuses]
    assert (node.status.stage, node.resident.ready) == (update.STOPPED, False)


def test_what_is_unread_holds_the_restart_and_the_confirmation():
    manager = Manager()
    node = Node(manager)
    whole(node, manager, manager.campaign(manager.release(NEW), group=GROUP))
    assert node.resident.due
    node.resident.halt(manager.epoch(GROUP))
    assert not node.resident.due
    judged = []
    node.work(manager, until=lambda node: judged.append((node.resident.due, node.status.stage)))
    assert (True, update.WAITING) not in judged[:-1], "nor while it is judged"
    assert not node.resident.unread


def test_an_epoch_that_does_not_concern_a_node_costs_no_write():
    rows = {
        "it has never had an order": lambda node, manager: None,
        "it works for another group": lambda node, manager: whole(
            node, manager, manager.campaign(manager.release(NEW), group=8)
        ),
        "its order has no group": lambda node, manager: whole(node, manager, manager.campaign(manager.release(NEW))),
    }
    for sentence, row in rows.items():
        manager = Manager()
        node = Node(manager)
        row(node, manager)
        ready = node.resident.ready
        counting = Counting(node.files)
        counting.left = 0
        assert node.hear(manager, manager.epoch(GROUP)).epoch == 1, sentence
        assert node.resident.ready is ready, sentence
        counting.left = 1 << 30
        status = node.order(manager, manager.campaign(manager.release(NEW, sequence=3), group=GROUP))
        assert (status.stage, status.code, status.epoch) == (update.REFUSED, u.U_HALTED, 1), "but it is remembered"


def test_one_that_concerns_a_node_costs_one_write_and_outlives_a_reset():
    manager = Manager()
    node = Node(manager)
    program = manager.release(NEW)
    confirmed(node, manager, manager.campaign(program, group=GROUP))
    counting = Counting(node.files)
    counting.left = 1
    word = manager.epoch(GROUP)
    assert node.hear(manager, word).epoch == 1
    counting.left = 0
    for again in (word, manager.epoch(GROUP, number=1), word):
        node.hear(manager, again)
    counting.left = 1 << 30
    node.start()
    status = node.order(manager, manager.campaign(program, group=GROUP, force=True))
    assert (status.stage, status.code, status.epoch) == (update.REFUSED, u.U_HALTED, 1)
    assert node.order(manager, manager.campaign(manager.release(OLD, sequence=3), group=8)).stage == update.WAITING
    assert node.status.epoch == 1, "and the next order"


def test_a_halted_group_can_be_stopped_and_another_one_goes_on():
    manager = Manager()
    node = Node(manager)
    program = manager.release(NEW)
    node.hear(manager, manager.epoch(GROUP))
    assert node.order(manager, manager.stop(group=GROUP)).stage == update.STOPPED
    assert node.order(manager, manager.campaign(program, group=GROUP)).code == u.U_HALTED
    assert node.order(manager, manager.campaign(program, group=GROUP + 1)).stage == update.WAITING


def test_forgeries_and_replays_change_nothing():
    rows = {
        "a stranger's": lambda manager: manager.epoch(GROUP, by=["stranger"]),
        "signed by who signs releases": lambda manager: manager.epoch(GROUP, by=["build"]),
        "signed by the root": lambda manager: manager.epoch(GROUP, by=["root"]),
        "signed by nobody": lambda manager: manager.epoch(GROUP, by=[]),
        "signed as a campaign": lambda manager: manager.epoch(GROUP, typ=trust.CAMPAIGN_TYPE),
        "a campaign on the topic of epochs": lambda manager: manager.stop(counter=99),
        "another one's signature": lambda manager: other(manager),
        "no envelope": lambda manager: b"\xff" * 40,
        "nothing": lambda manager: b"",
    }
    for sentence, row in rows.items():
        manager = Manager()
        node = Node(manager)
        program = manager.release(NEW)
        node.order(manager, manager.campaign(program, group=GROUP), until=at(update.DOWNLOADING))
        word = row(manager)
        before = {path: bytes(data) for path, data in node.files.data.items()}
        count = len(node.statuses)
        node.resident.halt(word)
        node.work(manager, until=lambda node: not node.resident.unread)
        assert {path: bytes(data) for path, data in node.files.data.items()} == before, sentence
        assert [(event[2], event[3]) for event in node.events] == [(update.REFUSED, u.U_EPOCH_FORGED)], sentence
        node.work(manager)
        assert update.STOPPED not in [status.stage for status in node.statuses[count:]], sentence
        assert (node.status.stage, node.status.epoch) == (update.WAITING, 0), sentence
        node.hear(manager, word)
        node.time.sleep(70000)
        node.hear(manager, word)
        assert len(node.events) == 1, "once more costs nothing: " + sentence


def other(manager):
    """An epoch under the signature of another one."""
    signed = trust.Signed.decode(manager.epoch(GROUP))
    signed.signatures = trust.Signed.decode(manager.epoch(3)).signatures
    return signed.encode()


def test_an_epoch_that_is_not_newer_is_not_even_verified():
    manager = Manager()
    node = Node(manager)
    old = manager.epoch(GROUP)
    node.hear(manager, manager.epoch(3))
    for sentence, word in {
        "replayed": old,
        "the same number, something else in it": manager.epoch(GROUP, number=2),
        "forged, and old": manager.epoch(GROUP, number=1, by=["stranger"]),
    }.items():
        steps = node.steps
        node.hear(manager, word)
        assert node.steps - steps < 9, sentence
        assert not node.events, sentence
    assert node.order(manager, manager.campaign(manager.release(NEW), group=GROUP)).stage == update.WAITING


def test_a_flood_of_forgeries_costs_an_event_a_minute_and_no_memory():
    manager = Manager()
    node = Node(manager)
    counting = Counting(node.files)
    counting.left = 0
    for number in range(20):
        node.resident.halt(manager.epoch(GROUP, issued=number, by=["stranger"]))
        node.work(manager)
    assert len(node.events) == 1
    node.resident.halt(bytes(2049))
    assert node.resident.epoch is None, "too long for one"


def test_a_new_online_key_makes_numbers_start_anew():
    manager = Manager()
    node = Node(manager)
    node.hear(manager, manager.epoch(GROUP, number=0xFFFFFFFF))  # somebody had stolen the key
    manager.rotate({"root": (1, ["root"]), "build": (1, ["build"]), "campaign": (1, ["online 2"])})
    status = node.hear(manager, manager.epoch(8, by=["online 2"], number=1))
    assert (status.epoch, status.root) == (1, 2)
    program = manager.release(NEW)
    assert node.order(manager, manager.campaign(program, group=8, by=["online 2"])).code == u.U_HALTED
    assert node.order(manager, manager.campaign(program, group=GROUP, by=["online 2"])).stage == update.WAITING


def test_a_flash_that_refuses_an_epoch_does_not_say_that_it_is_known():
    manager = Manager()
    node = Node(manager)
    whole(node, manager, manager.campaign(manager.release(NEW), group=GROUP))
    node.start()
    node.order(manager, manager.epoch(GROUP))  # noise on down/ota
    node.files.fail = 5
    count = len(node.statuses)
    word = manager.epoch(GROUP)
    node.resident.halt(word)
    node.work(manager)
    assert len(node.statuses) == count
    node.files.fail = 0
    node.resident.up()
    node.work(manager)
    assert node.status.epoch == 0
    assert node.hear(manager, word).epoch == 2
    assert (node.status.stage, node.status.code, node.resident.ready) == (update.TRIAL, u.U_HALTED, True)


def test_a_node_without_a_root_hears_of_no_epoch():
    manager = Manager()
    node = Node(None)
    node.resident.halt(manager.epoch(GROUP))
    node.work(manager)
    assert (node.statuses, node.events) == ([], [])
