"""The board: what every module that stands for hardware shares. One object, made once, passed to each of them."""

import time

from tools.sim.clock import VirtualClock
from tools.sim.models import Bench
from tools.sim.world import World
from tools.virtual_board.device.channel import Channel, Counters
from tools.virtual_board.device.chip import Chip, Region
from tools.virtual_board.device.radio import Radio
from tools.virtual_board.device.retained import Retained
from tools.virtual_board.device.timeline import Timeline, install

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

HARD_RESET = 2  # machine.reset_cause() of the ESP32 port
WDT_RESET = 3
_MILLI = 1000


class Setup:
    """What this run is told at its start: `ProgramSetup.plan` of tools/virtual_board/program.py."""

    def __init__(self, found: "dict[str, Any]") -> None:
        self.chip: str = found["chip"]
        self.mac = bytes.fromhex(found["mac"])
        self.flash: str = found["flash"]
        self.directory: str = found["directory"]
        self.log: bool = found["log"]
        self.rtc: str = found["rtc"]
        self.partitions: "list[dict[str, Any]]" = found["partitions"]
        self.running: "str | None" = found["running"]  # label of the application's partition
        self.fit: str = found["fit"]  # kind of node whose parts are wired to the board, or "none"
        self.wiring: "dict[str, Any]" = found["wiring"]
        self.faults: "list[list[Any]]" = found["faults"]
        self.seed: int = found["seed"]
        self.place: str = found["place"]
        self.utc_s: int = found["utc_s"]
        self.rate: int = found["rate"]  # thousandths
        self.ticks: int = found["ticks"]  # milliseconds since the last hard reset
        self.cause: int = found["cause"]
        self.dns: "list[Any] | None" = found["dns"]  # [address, port]
        self.wifi: "dict[str, str] | None" = found["wifi"]  # None: every network is there
        self.watchdog_ms: int = found["watchdog_ms"]  # one that a soft reset has left running
        self.probe: "str | None" = found["probe"]
        self.skip_main: bool = found["skip_main"]
        self.operations: int = found["operations"]
        self.cut: "list[Any]" = found["cut"]  # [operations left or 0, bytes to keep or null]


class Board:
    """`channel` and `counters` are file numbers. Everything of the host's file system is opened here, once."""

    def __init__(self, channel: int, counters: int) -> None:
        self.channel = Channel(channel)
        self.setup = setup = Setup(self.channel.receive())
        self.real_ms: "Callable[[], int]" = time.ticks_ms  # type: ignore[attr-defined]
        self._glanced_ms = 0
        self.later: "list[dict[str, Any]]" = []  # orders that wait for `serve`
        self.clock = VirtualClock(self.real_ms, setup.rate, setup.ticks)
        self.timeline = Timeline(self.clock, self.serve)
        self.counters = self.timeline.counters = Counters(counters, self.timeline.now_ms)
        self._open_flash()
        self.world = World(setup.seed, setup.place, setup.utc_s)
        self.bench = Bench(setup.fit, self.timeline.now_ms, self.world)
        for part, name, value in setup.faults:
            self.bench.fault(part, name, value)
        self.retained = Retained(open(setup.rtc, "r+b"), self.world_s)  # noqa: SIM115
        self.radio = Radio(setup.wifi, setup.dns, self.timeline.now_ms, setup.seed)
        self.clock.waits_for_peer = self.radio.talks
        self.probe: "Any" = None
        self.dog: "Any" = None  # what machine.WDT started
        self.pins: "Any" = None  # what `machine` knows of its pins
        self.wlan_config: "dict[str, Any]" = {}
        self.nvs: "Any" = None  # all namespaces, once one was opened
        self.orders: "Any" = None  # who carries them out (orders.py)
        install(self.timeline, self.channel.stream, self.serve, self.later)

    def _open_flash(self) -> None:
        setup = self.setup
        self.chip = Chip(open(setup.flash, "r+b"), self.counters, self._look, self._power_is_gone)  # noqa: SIM115
        self.chip.operations = setup.operations
        if setup.cut[0]:
            self.chip.cut_after(setup.cut[0], setup.cut[1])
        self._log = open(setup.directory + "/operations.bin", "ab")  # noqa: SIM115
        self.record(setup.log)

    def record(self, on: bool) -> None:
        """Switch the flash operation log on or off."""
        self.chip.record(self._log if on else None)

    def serve(self, milliseconds: int) -> None:
        """Take orders for so long, or until the first has come."""
        while self.later:
            self.orders.obey(self.later.pop(0))
        while self.channel.waits(milliseconds):
            self.orders.obey(self.channel.receive())
            milliseconds = 0

    def _look(self) -> None:
        """Before a flash operation: a cut must count from here on, also for who writes at the prompt."""
        while self.channel.waits(0):
            order = self.channel.receive()
            if order["do"] in ("probe", "interrupt"):  # not in the midst of a file system
                self.later.append(order)
            else:
                self.orders.obey(order)

    def glance(self) -> None:
        """Take the orders that are there; as often as one likes."""
        now = self.real_ms()
        if now != self._glanced_ms:
            self._glanced_ms = now
            self.serve(0)

    def world_s(self) -> int:
        """True UTC seconds."""
        return self.setup.utc_s + self.timeline.now_ms() // _MILLI

    def uptime_ms(self) -> int:
        """Milliseconds since the last hard reset."""
        return self.setup.ticks + self.timeline.now_ms()

    def partition(self, label: str) -> "dict[str, Any] | None":
        """The row of the partition table with that label."""
        for row in self.setup.partitions:
            if row["name"] == label:
                return row
        return None

    def region(self, row: "dict[str, Any]", block_size: int = 4096) -> Region:
        """The flash of a partition."""
        return Region(self.chip, row["offset"], row["size"], block_size)

    def end(self, kind: str, cause: int = HARD_RESET, sleep_ms: int = 0) -> None:
        """This run is over, here and now: nothing is closed or unwound, and nothing returns from here."""
        self.counters.elapsed()
        self.channel.send({"end": kind, "cause": cause, "sleep_ms": sleep_ms})
        while True:  # whoever started this process ends it
            try:
                self.channel.waits(-1)
                self.channel.receive()
            except BaseException:  # noqa: S112 - not even Ctrl-C comes in between
                continue

    def _power_is_gone(self) -> None:
        self.end("cut")
