"""What happens to a board from outside: faults of its sensors, its radio, its flash and its clock.

A virtual board takes all of it through its control socket. On a real one each needs something wired to it, which its
row in bench.toml names under `fixtures`; a test names what it needs with `@pytest.mark.fixtures("faults")`.

    faults   the parts on its buses can fail         fault, well
    wifi     its access point can go away            wifi
    cut      power can fail within a flash write     cut, wait
    time     its time can run faster                 rate
"""

from typing import Any, Protocol

from fleet.errors import FleetError
from fleet.hil.power.virtual import Virtual
from hil_tests.harness.verdict import bench_fault

FAULTS = "faults"
WIFI = "wifi"
CUT = "cut"
TIME = "time"
VIRTUAL = (FAULTS, WIFI, CUT, TIME)  # what every virtual board has
WAIT_S = 60


class Stimulus(Protocol):
    """What a bench can do to one board."""

    def fault(self, part: str, name: str, value: int = -1) -> None:
        """A part fails in that way; `value` counts strikes where the fault has some."""

    def well(self) -> None:
        """Every part is sound again, and the access point is there."""

    def wifi(self, present: bool) -> None:
        """The access point goes or comes."""

    def cut(self, after: int, keep: int | None) -> None:
        """Power will fail within the flash operation of that number from now, of which `keep` bytes are done."""

    def wait(self, state: str, timeout_s: float = WAIT_S) -> bool:
        """Wait until the board is "off", "app" ...; False after `timeout_s`."""

    def operations(self) -> int:
        """Flash operations since the board was made."""

    def rate(self) -> float:
        """How fast the board's time runs."""

    def set_rate(self, rate: float) -> None:
        """From now on it runs at that rate."""


class VirtualStimulus:
    """The stimulus of a virtual board."""

    def __init__(self, switch: Virtual) -> None:
        self._switch = switch
        self._faults: list[tuple[str, str]] = []
        self._no_wifi = False

    def fault(self, part: str, name: str, value: int = -1) -> None:
        """A part fails in that way; `value` counts strikes where the fault has some."""
        self._faults.append((part, name))
        self._ask("fault", part=part, name=name, value=value)

    def well(self) -> None:
        """Every part is sound again, and the access point is there."""
        while self._faults:
            part, name = self._faults.pop()
            self._ask("fault", part=part, name=name, value=0)
        if self._no_wifi:
            self.wifi(True)

    def wifi(self, present: bool) -> None:
        """The access point goes or comes."""
        self._no_wifi = not present
        self._ask("wifi", present=present)

    def cut(self, after: int, keep: int | None) -> None:
        """Power will fail within the flash operation of that number from now, of which `keep` bytes are done."""
        self._ask("cut", after=after, keep=keep)

    def wait(self, state: str, timeout_s: float = WAIT_S) -> bool:
        """Wait until the board is "off", "app" ...; False after `timeout_s`."""
        try:
            self._switch.ask("wait", state=state, timeout_s=timeout_s)
        except FleetError:
            return False
        return True

    def operations(self) -> int:
        """Flash operations since the board was made."""
        return int(self._ask("status")["operations"])

    def rate(self) -> float:
        """How fast the board's time runs."""
        return float(self._ask("status").get("rate", 1))

    def set_rate(self, rate: float) -> None:
        """From now on it runs at that rate."""
        self._ask("rate", x=rate)

    def _ask(self, do: str, **values: Any) -> dict[str, Any]:
        try:
            return self._switch.ask(do, **values)
        except FleetError as error:
            raise bench_fault(f"{do}", error) from error
