"""One board of the bench, and the way of bringing it up: off, loader, program. No step is ever tried a second time.

A board whose loader does not answer, or that takes no flash, is broken for the whole run: its tests are the bench's
fault. A board that takes the flash and then crashes is the product's.
"""

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path

from fleet import poll
from fleet.errors import FleetError
from fleet.flashing.console import Answer, Condition, Console, Report
from fleet.flashing.esptool import Esptool, Options
from fleet.hil import power, results
from fleet.hil.inventory import Bench, Board
from fleet.hil.power.virtual import Virtual
from hil_tests.harness import crashes
from hil_tests.harness.city import City, CommandError
from hil_tests.harness.line import Line
from hil_tests.harness.run import Run, Standing
from hil_tests.harness.stimulus import Stimulus, VirtualStimulus
from hil_tests.harness.verdict import InfrastructureError, ProductError, bench_fault

FLASH_S = 300.0  # 2 MB at 115 200 baud take 180 s
OPEN_NETWORK = "bench"  # virtual boards find any
PORT_S = 10.0  # until a device that was switched on has its name
SHOWN = 6  # lines of a console in a reason
_PROGRAM = ("cannot be compiled", "do not fit into")  # errors of `fleet board flash` about the program, not the board


class BenchBoard:
    """A board that this process holds."""

    def __init__(self, row: Board, bench: Bench, run: Run, recorder: results.Recorder) -> None:
        self.row = row
        self.switch = power.driver(row)
        self.recorder = recorder
        self._bench = bench
        self._run = run
        self._line: Line | None = None

    @property
    def id(self) -> str:
        """Its name on the bench."""
        return self.row.id

    @property
    def url(self) -> str:
        """Its port."""
        return self.row.port

    @property
    def pins(self) -> str:
        """The name of its pin map."""
        return self.row.pins or f"{self.row.chip}_{self.row.kind}"

    @property
    def standing(self) -> Standing:
        """What is known about it."""
        return self._run.standing(self.id)

    def stimulus(self) -> Stimulus | None:
        """What this bench can do to it from outside; None where nothing is wired to it that we can drive."""
        return VirtualStimulus(self.switch) if isinstance(self.switch, Virtual) else None

    def rate(self) -> float:
        """How fast its time runs against ours."""
        stimulus = self.stimulus()
        return stimulus.rate() if stimulus else 1.0

    def settle(self, node: str, settings: bool) -> None:
        """It is that node, with the settings that the suites begin with or with others."""
        self._run.keep(self.id, Standing(True, node, settings))

    @contextlib.contextmanager
    def real_time(self) -> Iterator[None]:
        """Its time runs as ours does, for programs that know no other: a watchdog must not bite them."""
        stimulus = self.stimulus()
        rate = stimulus.rate() if stimulus else 1.0
        if stimulus and rate != 1:
            stimulus.set_rate(1)
        try:
            yield
        finally:
            if stimulus and rate != 1:
                stimulus.set_rate(rate)

    def spoil(self) -> None:
        """What is on it cannot be relied on any more: the next test that needs a node gets a new one."""
        self._run.keep(self.id, Standing(checked=self.standing.checked))

    # -- the way up --

    def to_loader(self) -> None:
        """From no power to a loader that answers and is the chip of its row; once in a run. InfrastructureError."""
        if self.standing.checked:
            self.power_on()
            return
        if self.switch.cuts:
            self.power_off()
        self.power_on()
        try:
            found = self.loader("auto").look()
        except FleetError as error:
            raise bench_fault(f"the loader of {self.id} does not answer", error) from error
        if found.chip.name != self.row.chip:
            raise InfrastructureError(f"{self.id} is an {found.chip.name}, and no {self.row.chip} as its row says")
        self.recorder.board(self.id, results.READY, mac=found.mac)
        self._run.keep(self.id, Standing(checked=True))

    def loader(self, chip: str = "") -> Esptool:
        """Its loader, for one thing at a time; the board runs no program afterwards until it is reset."""
        return Esptool(self.url, Options(chip or self.row.chip, self.row.baud))

    def to_app(self, city: City, firmware: Path | None) -> str:
        """Make it a node of `city` that reports; its id. It keeps that of an earlier test when it still has it."""
        known = self.standing.node
        if known and self._runs(known):
            return known
        name = self.new_name()
        self._flash(city, name, firmware)
        self.settle(name, False)
        return name

    def new_name(self) -> str:
        """The id of a node that never was: what is known of another one cannot be mistaken for it."""
        return f"hil-{self.id[:20]}-{self._run.number()}"

    def power_on(self) -> None:
        """Give it power, and wait for its port; InfrastructureError when the switch fails or no port comes."""
        try:
            self.switch.on()
        except FleetError as error:
            raise bench_fault(f"cannot power {self.id}", error) from error
        if poll.until(lambda: self._has_port() or None, PORT_S) is None:
            raise InfrastructureError(f"{self.id} has power, and its port {self.url} does not come")
        if self._line is not None:
            self._line.reopen()

    def power_off(self) -> None:
        """Take its power away for as long as its kind of switch needs; InfrastructureError when the switch fails.

        A hub takes the port away with it, and whoever listens there has to come again.
        """
        try:
            self.switch.off()
        except FleetError as error:
            raise bench_fault(f"cannot switch off {self.id}", error) from error
        time.sleep(self.switch.off_s)
        if self._line is not None and not self._has_port():
            self._line.lose()

    def _has_port(self) -> bool:
        return "://" in self.url or Path(self.url).exists()

    def listen(self, line: Line | None) -> None:
        """That line is open on its port from now on; None = it is closed."""
        self._line = line

    def _runs(self, node: str) -> bool:
        answer = self._look()
        return answer.report is not None and answer.report.node == node and answer.report.state == "node"

    def _look(self) -> Answer:
        try:
            with Console(self.url) as console:
                return console.identify()
        except FleetError as error:
            raise bench_fault(f"the console of {self.id}", error) from error

    def _flash(self, city: City, name: str, firmware: Path | None) -> None:
        """Flash and provision in one go, and believe it only when the node itself reports."""
        words = self.flash_words(city, name, firmware)
        try:
            with self.real_time():
                done = city.board(*words, "--erase", "--yes", timeout_s=FLASH_S)
        except CommandError as error:
            raise self._verdict(error) from error
        report = done["boards"][0]
        facts = {"firmware": "version", "manifest": "manifest", "micropython": "micropython"}
        self.recorder.board(self.id, results.READY, **{fact: str(report[key] or "") for fact, key in facts.items()})

    def flash_words(self, city: City, name: str, firmware: Path | None) -> list[str]:
        """The command after `fleet board` that makes this board the node `name`."""
        what = ["--node", name, "--kind", self.row.kind, "--board", self.pins]
        return [*self.update_words(firmware), *what, *self._place(city)]

    def update_words(self, firmware: Path | None) -> list[str]:
        """The one that brings its program up to date and leaves the node as it is."""
        base = ["--micropython", self._bench.about.micropython] if self._bench.about.micropython else []
        source = ["--firmware", str(firmware)] if firmware else []
        return ["flash", "--port", self.url, "--baud", str(self.row.baud), *base, *source]

    def provision_words(self, city: City, name: str) -> list[str]:
        """The one that gives it the identity of `name` and touches nothing else."""
        return ["provision", name, "--port", self.url, "--board", self.pins, *self._place(city)]

    def _place(self, city: City) -> list[str]:
        return ["--broker", city.broker_of(self.id), "--ntp", city.time_of(self.id), *self.wifi_words()]

    def wifi_words(self) -> list[str]:
        """Its network, for every command that wants to know."""
        about = self._bench.about
        key = ["--wifi-psk-file", about.wifi_psk_file] if about.wifi_psk_file else []
        return ["--wifi-ssid", about.wifi_ssid or OPEN_NETWORK, *key]

    def _verdict(self, error: CommandError) -> Exception:
        """Whose fault it is that there is no node: a program that says on the console how it died is the product's."""
        if any(text in error.message for text in _PROGRAM):
            return ProductError(error.message)
        answer = self._look()
        found = crashes.find(answer.lines)
        if found:
            return ProductError(f"{self.id} crashes after it was flashed: {'; '.join(found[-SHOWN:])}")
        if answer.condition in (Condition.PANIC, Condition.BOOT_LOOP):
            return ProductError(f"{self.id} was flashed, and {answer.condition}: {' | '.join(answer.lines[-SHOWN:])}")
        return InfrastructureError(f"{self.id} cannot be flashed: {error.message} ({error.hint})")

    def report(self) -> Report | None:
        """What it says about itself when it is asked, with nobody else at its port."""
        return self._look().report
