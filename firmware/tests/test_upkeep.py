"""What is looked at every second: probation and trial end as they should, losses are told, dead networks restart."""

from firmware.tests.fakes import EIO, Files, Settings, Time
from node.core import boots
from node.core.boots import Boots
from node.core.config import Config
from node.core.journal import Journal
from node.core.outbox import Outbox
from node.core.slots import PATH, Pointer, Slots
from node.core.supervisor import Supervisor
from node.core.timekeeper import Timekeeper
from node.tasks.upkeep import Upkeep
from protocol.events import CONFIG, LINK_LOST, OUTBOX_EVICTED, TIME_SYNC
from protocol.messages import RESET_HARD, Batch
from protocol.messages import Config as Desired
from protocol.records import Event, Sample

NOW_S = 1_800_000_000


class Fields:
    """An object of given attributes."""

    def __init__(self, **fields):
        for name in fields:
            setattr(self, name, fields[name])


class Node:
    """The parts of a node that upkeep sees; the link is played by the test."""

    def __init__(self, pointer=None, running="a", **settings):
        self.moment = Time()
        self.files = Files()
        if pointer:
            self.files.write_atomic(PATH, pointer.encode())
        self.clock = self.moment.clock
        self.boots = Boots(boot=1, crashes=2)
        self.slots = Slots(self.files, running)
        self.time = Timekeeper(self.files, self.clock, 1, 0)
        self.timesync = Fields(offset_ms=None, on_set=[])
        self.config = Config(self.files, self.clock)
        self.outbox = Outbox(self.files, self.clock, 1, Settings(**settings), self.time.zero_s)
        self.journal = Journal(self.outbox, self.clock)
        self.commands = Fields(tick=self.nothing)
        self.trail = Fields(alive=self.nothing)
        stats = Fields(acked=0, last_reason=7)
        self.link = Fields(
            up=True, at_home=True, acked_records=0, stats=stats, acked_here=1, renew=self.nothing, others=[]
        )
        self.link.go_home = lambda: self.homeward.append(self.clock.uptime_s())
        self.homeward = []
        self.given_up = 0
        self.helpers = ([], 604800)
        resident = Fields(recovery=lambda: self.helpers, unread=False, ready=False)
        self.update = Fields(tick=self.nothing, confirm=self.slots.confirm, give_up=self.on_give_up, resident=resident)
        self.net = Fields(is_up=lambda: True, distrust=self.on_distrust)
        self.supervise = Fields(decider=Supervisor())
        self.restarts = []
        self.distrusted = 0
        self.works = True
        self.upkeep = Upkeep(self)

    def nothing(self, *_):
        pass

    log = nothing

    def on_distrust(self):
        self.distrusted += 1

    def on_give_up(self):
        self.given_up += 1

    def restart(self, reason, wait_ms=0):
        self.restarts.append(reason)

    def healthy(self):
        return self.works

    def seconds(self, count):
        for _ in range(count):
            self.moment.sleep(1000)
            for step in self.upkeep.steps:
                step()

    def events(self):
        """(code, attributes) of the events since the last call."""
        found = []
        item = self.outbox.take()
        while item is not None:
            if item.name == "event":
                for entry in Batch.decode(self.outbox.render(item)).entries:
                    event = Event.decode(entry)
                    found.append((event.code, event.attrs))
            self.outbox.done(item)
            item = self.outbox.take()
        return found


def test_a_configuration_is_confirmed_by_an_acknowledgement_after_it():
    node = Node()
    node.link.stats.acked = 5
    node.seconds(3)
    node.config.offer(Desired(rev=4, values={2: 9}))
    node.seconds(3)
    assert node.config.on_probation
    node.link.stats.acked = 6
    node.seconds(1)
    assert (node.config.applied, node.config.on_probation) == (4, False)
    assert node.events() == [(CONFIG, {1: 4, 2: 0, 3: ""})] * 2


def test_an_acknowledgement_over_a_connection_of_other_settings_proves_nothing():
    node = Node()
    renewed = []
    node.link.renew = lambda: renewed.append(1)
    node.config.offer(Desired(rev=4, values={4: 30}))
    assert renewed
    node.link.acked_here = 0
    node.link.stats.acked = 6
    node.seconds(3)
    assert node.config.on_probation
    node.link.acked_here = 1
    node.seconds(1)
    assert (node.config.applied, node.config.on_probation) == (4, False)


def test_a_configuration_that_silences_the_broker_is_taken_back():
    node = Node()
    node.config.offer(Desired(rev=4, values={2: 9}, probation_s=60))
    node.link.up = False
    node.seconds(61)
    assert (node.config.get("batch"), node.config.on_probation) == (5, False)


def on_trial():
    node = Node(Pointer("a", "b", 2), "b")
    node.supervise.decider.add("task", 30_000, True, 0)
    node.supervise.decider.started("task", 0)
    return node


def test_a_slot_on_trial_is_confirmed_only_when_all_of_it_works():
    rows = {
        "all of it": ((), True),
        "no session": (("link", "up", False), False),
        "nothing acknowledged": (("link", "acked_records", 0), False),
        "the product says no": ((None, "works", False), False),
        "what came may call it off": (("resident", "unread", True), False),
        "it was called off": (("resident", "ready", True), False),
    }
    for sentence, row in rows.items():
        node = on_trial()
        node.link.acked_records = 1
        if row[0]:
            part, name, value = row[0]
            parts = {"link": node.link, "resident": node.update.resident, None: node}
            setattr(parts[part], name, value)
        for _ in range(5):
            node.supervise.decider.beat("task", node.clock.uptime_ms())
            node.seconds(1)
        assert node.slots.on_trial is not row[1], sentence
    node = on_trial()
    node.link.acked_records = 1
    node.seconds(40)
    assert node.slots.on_trial, "a mandatory task is silent"


def test_a_slot_that_does_not_prove_itself_in_time_restarts_the_node():
    node = on_trial()
    node.seconds(899)
    assert node.restarts == []
    node.seconds(1)
    assert node.restarts == ["slot b did not prove itself"]
    assert node.given_up


def test_a_mandatory_task_beyond_help_restarts_the_node():
    node = Node()
    node.supervise.decider.add("task", 30_000, True, 0)
    for _ in range(9):
        node.supervise.decider.ended("task", 0)
    node.seconds(1)
    assert node.restarts == ["task task keeps failing"]
    assert boots.begin(node.files, 0, RESET_HARD, True).crashes == 3, "as bad an end as a crash"


def test_entries_are_refused_and_counted_until_the_flash_has_the_boot_number():
    node = Node()
    node.boots.stored = node.outbox.numbered = False
    node.files.fail = EIO
    node.seconds(5)
    assert not node.journal.event(CONFIG)
    assert (node.outbox.evicted, node.journal.seq) == (1, 1)
    node.files.fail = 0
    node.seconds(1)
    assert node.journal.event(CONFIG)
    assert boots.begin(node.files, 0, RESET_HARD, True).boot == 2


def test_the_end_of_a_session_is_an_event():
    node = Node()
    node.seconds(100)
    node.link.up = False
    node.seconds(5)
    assert node.events() == [(LINK_LOST, {1: 7, 2: 100})]


def test_a_network_that_only_claims_to_be_up_is_started_anew_now_and_then():
    node = Node()
    node.link.up = False
    node.seconds(899)
    assert node.distrusted == 0
    node.seconds(1000)
    assert node.distrusted == 2


def test_losses_are_told_at_once_and_then_hourly():
    node = Node(outbox_kb=16)
    samples = {channel: Sample(channel) for channel in range(30)}
    for _ in range(1000):
        node.journal.record(samples, 0, 0)
    first = node.outbox.evicted
    assert first
    node.seconds(1)
    for _ in range(100):
        node.journal.record(samples, 0, 0)
    node.seconds(3599)
    assert node.events() == [(OUTBOX_EVICTED, {1: first})]
    node.seconds(2)
    found = node.events()
    assert found == [(OUTBOX_EVICTED, {1: node.outbox.evicted - first})]


def test_a_set_clock_is_an_event_when_it_was_wrong():
    rows = {
        "the first time": (None, [(TIME_SYNC, {2: 4})]),
        "a step": (-2500, [(TIME_SYNC, {1: -2500, 2: 4})]),
        "a drift": (999, []),
    }
    for sentence, row in rows.items():
        node = Node()
        node.clock.set_utc(NOW_S * 1000)
        node.timesync.offset_ms = row[0]
        for callback in node.timesync.on_set:
            callback()
        assert node.events() == row[1], sentence


def test_a_steady_run_forgets_the_crashes_before_it():
    node = Node()
    node.seconds(599)
    writes = node.files.writes
    node.seconds(10)
    assert node.files.writes == writes + 1


def lost(helpers, after_s=7200):
    node = Node()
    node.helpers = (helpers, after_s)
    node.seconds(5)
    node.link.up = node.link.at_home = False
    return node


def test_a_node_without_its_brokers_for_long_tries_those_of_the_root():
    node = lost(["help:1"])
    node.seconds(7000)
    assert node.link.others == []
    node.seconds(22000)
    assert node.link.others == ["help:1"]
    assert node.homeward == []
    node.link.up = True  # with another broker than its own
    node.seconds(21600)
    assert len(node.homeward) == 1
    assert node.link.others == ["help:1"]
    node.link.at_home = True
    node.seconds(1)
    assert node.link.others == []


def test_the_time_without_brokers_counts_over_restarts():
    files = lost(["help:1"], 3600 * 5)
    for _ in range(4):
        files.seconds(3700)
        node = Node()
        node.files.data = files.files.data
        node.helpers = files.helpers
        node.upkeep = Upkeep(node)
        node.link.up = node.link.at_home = False
        files = node
    assert files.link.others == []
    files.seconds(3600)
    files.seconds(21600)
    assert files.link.others == ["help:1"]
