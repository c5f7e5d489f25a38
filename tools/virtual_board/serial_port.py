"""The serial port of a board: its doors as one line, which may be slow and may lose bytes."""

import asyncio
from collections.abc import Callable

from tools.virtual_board.doors import Door
from tools.virtual_board.doors.door import USUAL_BAUD
from tools.virtual_board.lines import Circuit, Event
from tools.virtual_board.pace import Pace
from tools.virtual_board.trouble import Trouble

_TO_HOST, _FROM_HOST = 0, 1


class SerialPort:
    """Everything is sent to every door; what comes goes to `on_data(door, data)`.

    `on_hung_up(door)`: the last opener of a door has left, and it was the door that spoke last. `on_lines(event)`: DTR
    and RTS did something to the chip. `baud`: bits/s, 0 = as fast as it goes, None = what the host has set.
    """

    def __init__(self, baud: int | None, trouble: Trouble) -> None:
        loop = asyncio.get_running_loop()
        self.doors: list[Door] = []
        self.on_data: Callable[[Door, bytes], None]
        self.on_hung_up: Callable[[Door], None]
        self.on_lines: Callable[[Event], None]
        self._baud = baud
        self._trouble = trouble
        self._circuit = Circuit()
        self._talker: Door | None = None
        self._loop = loop
        self._to_host = Pace(loop.time)
        self._from_host = Pace(loop.time)

    def send(self, data: bytes) -> None:
        """To the host."""
        data = self._trouble.line(data, _TO_HOST)
        baud = self._line_baud()
        if baud:
            self._loop.call_at(self._to_host.book(len(data), baud), self._write, data)
        else:
            self._write(data)

    def host_baud(self) -> int:
        """What the host has set, bits/s."""
        door = self._talker or (self.doors[0] if self.doors else None)
        return USUAL_BAUD if door is None else door.baud

    def close(self) -> None:
        """Close every door."""
        for door in self.doors:
            door.close()

    # -- what a door tells (doors.Host)

    def received(self, door: Door, data: bytes) -> None:
        """Bytes from the host."""
        self._talker = door
        data = self._trouble.line(data, _FROM_HOST)
        baud = self._line_baud()
        if not baud:
            self.on_data(door, data)
            return
        door.pause()
        through_at = self._from_host.book(len(data), baud)
        self._loop.call_at(through_at, self._arrived, door, data)

    def hung_up(self, door: Door) -> None:
        """The last opener has left."""
        if door is self._talker:
            self.on_hung_up(door)

    def modem_lines(self, dtr: bool, rts: bool) -> None:
        """DTR and RTS of a door that has them."""
        event = self._circuit.set(dtr, rts)
        if event is not Event.NOTHING:
            self.on_lines(event)

    def _arrived(self, door: Door, data: bytes) -> None:
        self.on_data(door, data)
        door.resume()

    def _write(self, data: bytes) -> None:
        for door in self.doors:
            door.write(data)

    def _line_baud(self) -> int:
        return self.host_baud() if self._baud is None else self._baud
