"""The configuration: refused with a reason, tried on probation, confirmed or taken back, over restarts as well."""

from firmware.tests.fakes import EIO, Files, Time
from node.core.config import PATH, Config
from protocol.messages import E_ARGUMENT, E_NONE, E_PROBATION, E_STORAGE, E_UNKNOWN
from protocol.messages import Config as Desired
from protocol.settings import SETTINGS
from protocol.tests.expect import raises

BATCH, HEARTBEAT, STATS = 2, 3, 7  # ids of settings


class Rig:
    def __init__(self):
        self.files = Files()
        self.told = 0
        self.restart()

    def restart(self):
        self.time = Time()
        self.config = Config(self.files, self.time.clock)
        self.config.changed.append(self.on_change)

    def on_change(self):
        self.told += 1

    def offer(self, rev, values=None, probation_s=600):
        self.config.handle(Desired(rev=rev, values=values or {}, probation_s=probation_s).encode())

    def report(self):
        return self.config.desired, self.config.applied, self.config.error, self.config.path


def test_without_a_document_everything_has_its_default():
    rig = Rig()
    for row in SETTINGS:
        assert rig.config.get(row[1]) == row[5]
    assert rig.report() == (0, 0, E_NONE, "")
    raises(KeyError, rig.config.get, "no_such_setting")


def test_a_configuration_holds_at_once_and_is_applied_when_the_broker_answers():
    rig = Rig()
    rig.offer(3, {BATCH: 9, STATS: True})
    assert (rig.config.get("batch"), rig.config.get("stats")) == (9, True)
    assert rig.config.on_probation
    assert rig.report() == (3, 0, E_NONE, "")
    rig.config.confirm()
    assert rig.report() == (3, 3, E_NONE, "")
    assert rig.told == 2
    rig.restart()
    assert rig.config.get("batch") == 9
    assert rig.report() == (3, 3, E_NONE, "")


def test_a_setting_that_is_left_out_has_its_default_again():
    rig = Rig()
    rig.offer(1, {BATCH: 9, HEARTBEAT: 20})
    rig.config.confirm()
    rig.offer(2, {BATCH: 9})
    assert rig.config.get("heartbeat_s") == 300


def test_a_wrong_configuration_is_refused_whole_and_names_the_setting():
    rows = {
        "out of range": ({BATCH: 61, HEARTBEAT: 20}, E_ARGUMENT, "batch"),
        "of the wrong type": ({HEARTBEAT: "20"}, E_ARGUMENT, "heartbeat_s"),
        "a number for true": ({STATS: 1}, E_ARGUMENT, "stats"),
        "an unknown id": ({999: 1}, E_UNKNOWN, "999"),
        "a name for an id": ({"batch": 1}, E_UNKNOWN, "batch"),
    }
    for sentence, row in rows.items():
        rig = Rig()
        rig.offer(1, {BATCH: 7})
        rig.config.confirm()
        rig.offer(2, row[0])
        assert rig.report() == (2, 1, row[1], row[2]), sentence
        assert rig.config.get("batch") == 7, sentence
        rig.restart()
        assert rig.report() == (2, 1, row[1], row[2]), sentence


def test_a_probation_that_runs_out_is_taken_back():
    rig = Rig()
    rig.offer(1, {BATCH: 7})
    rig.config.confirm()
    rig.offer(2, {BATCH: 8}, probation_s=60)
    rig.time.sleep(59_000)
    rig.config.tick()
    assert rig.config.get("batch") == 8
    rig.time.sleep(1000)
    rig.config.tick()
    assert rig.config.get("batch") == 7
    assert rig.report() == (2, 1, E_PROBATION, "")
    rig.config.confirm()
    assert rig.report() == (2, 1, E_PROBATION, "")


def test_a_probation_survives_one_restart_but_not_two():
    rig = Rig()
    rig.offer(1, {BATCH: 8}, probation_s=60)
    rig.restart()
    assert rig.config.get("batch") == 8
    rig.time.sleep(59_000)
    rig.config.tick()
    assert rig.config.on_probation
    rig.restart()
    assert rig.config.get("batch") == 5
    assert rig.report() == (1, 0, E_PROBATION, "")


def test_what_was_taken_back_is_not_tried_again_when_the_broker_repeats_it():
    rig = Rig()
    rig.offer(1, {BATCH: 8}, probation_s=0)
    rig.config.tick()
    rig.offer(1, {BATCH: 8})
    assert rig.config.get("batch") == 5
    rig.offer(2, {BATCH: 8})
    rig.config.confirm()
    assert rig.report() == (2, 2, E_NONE, "")


def test_an_older_revision_changes_nothing():
    rig = Rig()
    rig.offer(5, {BATCH: 8})
    rig.config.confirm()
    writes = rig.files.writes
    rig.offer(4, {BATCH: 2})
    rig.offer(5, {BATCH: 3})
    assert rig.config.get("batch") == 8
    assert rig.files.writes == writes


def test_a_refused_one_does_not_end_the_probation_of_the_one_before():
    rig = Rig()
    rig.offer(1, {BATCH: 8})
    rig.offer(2, {BATCH: 99})
    assert rig.config.get("batch") == 8
    assert rig.report() == (2, 0, E_ARGUMENT, "batch")
    rig.config.confirm()
    assert rig.report() == (2, 1, E_ARGUMENT, "batch")
    assert rig.config.get("batch") == 8


def test_a_newer_one_replaces_one_on_probation():
    rig = Rig()
    rig.offer(1, {BATCH: 8}, probation_s=10)
    rig.offer(2, {BATCH: 9}, probation_s=100)
    rig.time.sleep(50_000)
    rig.config.tick()
    assert rig.config.get("batch") == 9
    rig.config.confirm()
    assert rig.report() == (2, 2, E_NONE, "")


def test_a_flash_that_refuses_keeps_the_old_configuration():
    rig = Rig()
    rig.files.fail = EIO
    rig.offer(1, {BATCH: 8})
    assert rig.config.get("batch") == 5
    assert rig.report() == (1, 0, E_STORAGE, "")
    rig.files.fail = 0
    rig.restart()
    rig.offer(1, {BATCH: 8})
    rig.files.fail = EIO
    rig.config.confirm()
    assert rig.config.on_probation
    rig.files.fail = 0
    rig.config.confirm()
    assert rig.report() == (1, 1, E_NONE, "")


def test_damage_and_values_of_another_firmware_fall_back_to_defaults():
    rig = Rig()
    for data in (b"", b"\xff\xff", b"\xa1\x02\xa2\x02\x18\x63\x19\x03\xe7\x01"):
        rig.files.data[PATH] = bytearray(data)
        rig.restart()
        assert rig.config.get("batch") == 5


def test_what_is_no_configuration_is_counted():
    rig = Rig()
    rig.config.handle(b"\xff")
    rig.config.handle(b"")
    assert rig.config.bad == 2
    assert rig.told == 0
