"""A node below its network: flash, stage 0, clock, and the firmware's own updater. It does nothing by itself."""

from collections.abc import Callable
from typing import Any

from firmware.boot import choose
from node.core.clock import Clock
from node.core.slots import CRASH, Slots
from node.core.slots import PATH as POINTER
from node.core.update import install
from node.core.update.resident import Resident
from protocol import manifest, settings
from protocol.identity import Identity
from protocol.messages import RESET_POWER_ON
from tools.swarm.flash import Flash

FACTS = ("esp32", 6, "1.29.0")  # chip, version of .mpy files, MicroPython
TRIAL = "node/trial"  # a file of a program: how it ends its trial (flaws.TRIALS), empty when it proves itself
SLOTS = ("a", "b")
_MASK = (1 << 30) - 1  # ticks wrap


def flashed(program: dict[str, bytes], version: str) -> dict[str, bytes]:
    """The files of a flash with a program in slot a, as over the cable."""
    document = manifest.build(version, program).encode()
    return {f"/a/{path}": data for path, data in {**program, manifest.PATH: document}.items()}


def bootable(flash: Flash, slot: str) -> bool:
    """Whether a slot holds every byte that its manifest names."""
    path = f"/{slot}/{manifest.PATH}"
    if flash.size(path) is None:
        return False
    check = install.is_whole(flash, slot)
    while True:
        try:
            next(check)
        except StopIteration as end:
            return bool(end.value)


class Updating(Resident):  # type: ignore[misc]
    """The updater of a node that shares its modules with thousands: they stay, and nothing is collected for one."""

    def forget(self, starts: tuple[str, ...]) -> None:
        """Nothing."""


class Device:
    """One node. `uptime_ms` is a clock of this computer that never goes back; `random(n)` gives 0 .. n-1; `publish` and
    `event` are the doors of the updater."""

    def __init__(
        self,
        identity: Identity,
        flash: Flash,
        uptime_ms: Callable[[], int],
        random: Callable[[int], int],
        publish: Callable[[bytes], bool],
        event: Callable[[dict[int, Any]], bool],
    ) -> None:
        self.identity = identity
        self.flash = flash
        self.boot = identity.boot0
        self.log: list[str] = []  # the last few lines
        self._uptime_ms = uptime_ms
        self._random = random
        self._publish = publish
        self._event = event
        self._defaults = {row[1]: row[5] for row in settings.SETTINGS}
        self.resident: Resident
        self.slots: Slots
        self.clock: Clock

    def start(self, cause: int = RESET_POWER_ON, reason: str = "", crash: str = "") -> None:
        """Restart: stage 0, then the program of the slot that it chooses. PowerCut when the power fails meanwhile."""
        self.flash.power_on()
        slot, pointer = choose(self.flash.read(POINTER) or b"")
        if pointer:
            self.flash.write_atomic(POINTER, pointer)
        self.boot += 1
        self.clock = Clock(lambda: self._uptime_ms() & _MASK)
        self.clock.floor_s = self.identity.made
        self.slots = Slots(self.flash, slot)
        self.resident = Updating(
            self.flash,
            self.slots,
            self.identity,
            FACTS,
            self.clock,
            self.boot,
            self._defaults.__getitem__,
            self._random,
            self._line,
            self._publish,
            self._event,
        )
        if crash:
            self.flash.write_atomic(CRASH, crash.encode())
        self.resident.begin(cause, reason, (self.flash.read(CRASH) or b"").decode())
        self.flash.remove(CRASH)
        if self.slots.reverted is not None:
            self.slots.settle()

    @property
    def trial(self) -> str:
        """How the program that runs ends its trial, as it says itself."""
        return (self.flash.read(f"/{self.slots.running}/{TRIAL}") or b"").decode()

    @property
    def next_slot(self) -> str:
        """The slot that the next boot would choose."""
        slot: str = choose(self.flash.read(POINTER) or b"")[0]
        return slot

    def is_brick(self) -> bool:
        """Whether what the next boot chooses is no whole program."""
        return not bootable(self.flash, self.next_slot)

    def _line(self, _level: int, tag: str, text: str) -> None:
        self.log.append(f"{tag}: {text}")
        del self.log[:-8]
