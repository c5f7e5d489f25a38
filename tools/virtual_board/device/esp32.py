"""The module `esp32` of the ESP32 port."""

from tools.virtual_board.device.nvs import NVS
from tools.virtual_board.device.partition import Partition
from tools.virtual_board.device.pins import bind

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tools.virtual_board.device.board import Board

_WARMER = 18  # degree Celsius that a chip with its radio on is above the air around it
_FREEZE_F = 32


class Esp32:
    """`esp32`, to be put into sys.modules. The first ESP32 has no thermometer worth the name, the later ones have."""

    __name__ = "esp32"
    HEAP_DATA = 4
    HEAP_EXEC = 1
    WAKEUP_ALL_LOW = False
    WAKEUP_ANY_HIGH = True

    def __init__(self, board: "Board") -> None:
        self._board = board
        self.Partition = bind(Partition, board)
        self.NVS = bind(NVS, board)
        if board.setup.chip == "esp32":
            self.raw_temperature = self._fahrenheit
        else:
            self.mcu_temperature = self._celsius

    def idf_heap_info(self, capabilities: int) -> "list[tuple[int, int, int, int]]":
        """(size, free, largest free block, least free ever) of each region, as on a board with Wi-Fi up."""
        return [(113840, 71000, 53248, 60000), (15072, 14636, 14336, 14636)]

    def _celsius(self) -> int:
        """`mcu_temperature`."""
        line = self._board.timeline
        return int(self._board.world.air(line.now_ms()).temperature) + _WARMER

    def _fahrenheit(self) -> int:
        """`raw_temperature`."""
        return self._celsius() * 9 // 5 + _FREEZE_F

    def wake_on_ext0(self, *options: "Any", **named: "Any") -> None:
        """Nothing outside wakes the chip here."""

    wake_on_ext1 = wake_on_touch = wake_on_ulp = wake_on_gpio = gpio_deep_sleep_hold = wake_on_ext0
