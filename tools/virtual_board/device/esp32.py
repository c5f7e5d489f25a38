"""The module `esp32` of the ESP32 port."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tools.virtual_board.device.board import Board


class Esp32:
    """`esp32`, to be put into sys.modules."""

    __name__ = "esp32"
    HEAP_DATA = 4
    HEAP_EXEC = 1
    WAKEUP_ALL_LOW = False
    WAKEUP_ANY_HIGH = True

    def __init__(self, board: "Board") -> None:
        self._board = board

    def idf_heap_info(self, capabilities: int) -> "list[tuple[int, int, int, int]]":
        """(size, free, largest free block, least free ever) of each region, as on a board with Wi-Fi up."""
        return [(113840, 71000, 53248, 60000), (15072, 14636, 14336, 14636)]
