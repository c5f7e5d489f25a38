"""The board of a computer does what the door says, with objects instead of hardware."""

import io

from node.core.clock import ticks_diff
from protocol.messages import RESET_HARD, RESET_POWER_ON, RESET_WATCHDOG
from tools.sim.board import HostBoard, HostNetwork


class Parts:
    def __init__(self):
        self.i2c = {"sensors": "the bus"}
        self.uart = {"meter": "the port"}
        self.pwm = {"lamp": "the output"}


class Bench:
    def __init__(self):
        self.now = 0
        self.memory = io.BytesIO()
        self.network = HostNetwork(("127.0.0.1", 53))
        self.board = self.start()

    def ticks(self):
        return self.now

    def start(self, cause=RESET_POWER_ON):
        return HostBoard("esp32_air", (self.ticks, ticks_diff), Parts(), self.network, self.memory, cause)


def exit_code(function, *args):
    try:
        function(*args)
    except SystemExit as end:
        return end.args[0]
    return None


def test_doors_are_found_by_the_names_of_the_pin_map():
    board = Bench().board
    assert board.i2c("sensors") == "the bus"
    assert board.uart("meter", 4800, 0) == "the port"
    assert board.pwm("lamp") == "the output"
    try:
        board.i2c("none")
        raise AssertionError("a bus that does not exist")
    except KeyError:
        pass


def test_a_reset_ends_the_run_with_its_cause():
    assert exit_code(Bench().board.reset) == RESET_HARD


def test_what_was_kept_survives_the_reset():
    bench = Bench()
    bench.board.rtc_write(b"breadcrumb")
    bench.board.rtc_write(b"new")
    after = bench.start(RESET_HARD)
    assert after.rtc_read()[:3] == b"new"
    assert after.reset_cause() == RESET_HARD


def test_a_fed_watchdog_is_quiet_and_a_hungry_one_resets():
    bench = Bench()
    bench.board.check_watchdog()
    dog = bench.board.watchdog(1000)
    for _ in range(5):
        bench.now += 1000
        bench.board.check_watchdog()
        dog.feed()
    bench.now += 1001
    assert exit_code(bench.board.check_watchdog) == RESET_WATCHDOG


def test_there_is_one_watchdog_and_its_time_out_can_change():
    bench = Bench()
    dog = bench.board.watchdog(1000)
    assert bench.board.watchdog(5000) is dog
    bench.now += 4000
    bench.board.check_watchdog()


def test_the_network_is_down_until_it_was_joined():
    network = Bench().network
    assert not network.is_up()
    assert network.dns() == ("127.0.0.1", 53)


def test_it_names_its_chip_and_has_the_other_partition_that_was_passed_in():
    bench = Bench()
    assert (bench.board.chip(), bench.board.base()) == ("esp32", None)
    other = object()
    board = HostBoard("esp32_air", (bench.ticks, ticks_diff), Parts(), bench.network, bench.memory, base=other)
    assert board.base() is other
