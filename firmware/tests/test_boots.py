"""What a boot learns about the run before it: number, crashes, breadcrumb; and the log."""

from firmware.tests.fakes import EIO, Files, Time
from firmware.tests.outbox_rig import Rig
from node.core import boots, breadcrumb
from node.core.breadcrumb import Trail
from node.core.log import Lines
from node.core.provisioned import NotProvisionedError, load
from protocol.identity import PATH, Identity
from protocol.messages import (
    LOG_DEBUG,
    LOG_ERROR,
    LOG_INFO,
    RESET_DEEP_SLEEP,
    RESET_HARD,
    RESET_POWER_ON,
    RESET_SOFT,
    RESET_WATCHDOG,
    Log,
)
from protocol.tests.expect import raises


def test_boot_numbers_rise_and_start_above_provisioning():
    files = Files()
    numbers = [boots.begin(files, 1000, RESET_POWER_ON, False).boot for _ in range(3)]
    assert numbers == [1001, 1002, 1003]
    files.data.clear()
    assert boots.begin(files, 2000, RESET_POWER_ON, False).boot == 2001


def test_which_ends_count_as_crashes():
    rows = {
        "power cut": (RESET_POWER_ON, False, 0),
        "restart on purpose": (RESET_HARD, True, 0),
        "panic or reset button": (RESET_HARD, False, 1),
        "watchdog": (RESET_WATCHDOG, False, 1),
        "watchdog during a restart on purpose": (RESET_WATCHDOG, True, 0),
        "back to the prompt": (RESET_SOFT, False, 1),
        "deep sleep": (RESET_DEEP_SLEEP, False, 0),
    }
    for sentence, row in rows.items():
        files = Files()
        assert boots.begin(files, 0, row[0], row[1]).crashes == 0, sentence
        assert boots.begin(files, 0, row[0], row[1]).crashes == row[2], sentence


def test_five_crashes_in_a_row_lead_to_safe_mode_and_a_steady_run_out_of_it():
    files = Files()
    boots.begin(files, 0, RESET_POWER_ON, False)
    for count in range(1, 5):
        run = boots.begin(files, 0, RESET_WATCHDOG, False)
        assert (run.crashes, run.safe_mode) == (count, False)
    run = boots.begin(files, 0, RESET_WATCHDOG, False)
    assert run.safe_mode
    boots.steady(files, run)
    assert run.safe_mode
    run = boots.begin(files, 0, RESET_WATCHDOG, False)
    assert (run.boot, run.crashes, run.safe_mode) == (7, 1, False)


def test_a_boot_whose_number_cannot_be_kept_starts_and_numbers_nothing():
    rig = Rig()
    rig.files.fail = EIO
    rig.files.room = 1 << 20
    run = boots.begin(rig.files, 0, RESET_POWER_ON, False)
    assert (run.boot, run.stored) == (1, False)
    assert not boots.number(rig.files, run, rig.outbox)
    rig.record(3)
    assert rig.outbox.evicted == 3
    rig.files.fail = 0
    assert boots.number(rig.files, run, rig.outbox)
    rig.record(1)
    assert rig.take()[1] == ("tele", 1, [3])
    assert boots.begin(rig.files, 0, RESET_POWER_ON, False).boot == 2


def test_on_a_full_flash_the_oldest_records_make_room_for_the_boot_number():
    rig = Rig()
    rig.record(200)
    rig.files.room = rig.files.room - rig.files.free()
    before = rig.segments()
    run = boots.begin(rig.files, 0, RESET_POWER_ON, False)
    assert not run.stored
    assert boots.number(rig.files, run, rig.outbox)
    assert rig.segments() == before[1:]
    assert rig.outbox.evicted > 0


class Memory:
    data = b""

    def write(self, data):
        self.data = data


def test_a_breadcrumb_tells_how_the_run_ended():
    memory = Memory()
    trail = Trail(memory.write)
    assert breadcrumb.decode(memory.data).reason == ""
    trail.alive(70)
    trail.crashed("sampling", "OSError", 0xBEEF)
    found = breadcrumb.decode(memory.data)
    assert (found.up_s, found.reason, found.text()) == (70, "", "sampling OSError 0000beef")
    trail.ends("command reboot", 99)
    found = breadcrumb.decode(memory.data)
    assert (found.up_s, found.reason) == (99, "command reboot")
    assert len(memory.data) <= 256


def test_a_new_run_does_not_inherit_the_reason():
    memory = Memory()
    Trail(memory.write).ends("on purpose", 5)
    Trail(memory.write)
    assert breadcrumb.decode(memory.data).reason == ""


def test_garbage_in_the_memory_is_no_breadcrumb():
    memory = Memory()
    Trail(memory.write).ends("x", 5)
    whole = memory.data
    assert breadcrumb.decode(b"") is None
    assert breadcrumb.decode(b"\x00" * 256) is None
    assert breadcrumb.decode(b"\xff" * 256) is None
    assert breadcrumb.decode(whole + b"rest of the memory").reason == "x"
    for at in range(len(whole)):
        broken = bytearray(whole)
        broken[at] ^= 0x20
        assert breadcrumb.decode(bytes(broken)) is None, at
        assert breadcrumb.decode(whole[:at]) is None, at


def test_a_breadcrumb_stands_names_that_are_too_long_or_not_plain():
    memory = Memory()
    trail = Trail(memory.write)
    trail.crashed("t" * 100, "E" * 100, 1)
    trail.ends("ä" * 60, 1)
    assert breadcrumb.decode(memory.data) is not None


class Serial:
    def __init__(self, level=LOG_INFO):
        self.lines = []
        self.time = Time()
        self.log = Lines(self.time.clock, 4, self.lines.append, lambda: level)


def test_a_line_goes_to_the_serial_port_at_once_and_waits_for_the_link():
    serial = Serial()
    serial.time.sleep(61_005)
    serial.log(LOG_ERROR, "link", "gone")
    serial.log(LOG_DEBUG, "link", "not counted")
    assert serial.lines == ["61.005 E link: gone"]
    line = Log.decode(serial.log.take())
    assert (line.boot, line.up_ms, line.level, line.tag, line.text, line.dropped) == (4, 61_005, 3, "link", "gone", 0)
    assert serial.log.take() is None


def test_too_many_lines_cost_the_oldest_and_are_counted():
    serial = Serial()
    for number in range(20):
        serial.log(LOG_INFO, "x", str(number))
    line = Log.decode(serial.log.take())
    assert (line.text, line.dropped) == ("4", 4)
    assert serial.log.dropped == 4


def test_any_text_fits_a_line():
    serial = Serial()
    serial.log(LOG_INFO, "a tag that is far too long", "grün\n\x00" + "y" * 500)
    line = Log.decode(serial.log.take())
    assert line.tag == "a tag that is fa"
    assert line.text.startswith("gr?n??yyy")
    assert len(line.text) == 256


def test_a_node_knows_who_it_is_or_says_what_to_do():
    files = Files()
    assert "provision" in str(raises(NotProvisionedError, load, files))
    files.data[PATH] = bytearray(b"\xa0")
    assert "damaged" in str(raises(NotProvisionedError, load, files))
    identity = Identity(node="abc", kind="air", board="x", boot0=1, ca=b"c", cert=b"c", key=b"k", brokers=["b:1"])
    files.data[PATH] = bytearray(identity.encode())
    assert load(files).node == "abc"
