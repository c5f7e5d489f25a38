"""The server's side of RFC 2217 (serial port over telnet), as far as pyserial and ser2net clients use it; no I/O."""

from collections.abc import Callable

from tools.virtual_board.doors.door import USUAL_BAUD

_IAC = b"\xff"
_SB, _SE = 0xFA, 0xF0
_WILL, _WONT, _DO, _DONT = 0xFB, 0xFC, 0xFD, 0xFE
_BINARY, _ECHO, _GO_AHEAD, _COM_PORT = 0, 1, 3, 44
_OFFERED = (_BINARY, _GO_AHEAD, _COM_PORT)
_SET_BAUD, _SET_CONTROL, _PURGE = 1, 5, 12
_ANSWER = 100  # RFC 2217 section 3: the server's number of a command
_NOTIFY_MODEM = 107
_MODEM_STATE = 0xB0  # CD, DSR and CTS are there
_DTR_ON, _DTR_OFF, _RTS_ON, _RTS_OFF = 8, 9, 11, 12
_COMMAND_MAX = 64  # bytes of a subnegotiation


class Telnet:
    """One connection. `send` takes bytes for the network, `set_lines(dtr, rts)` is called when a line was set."""

    def __init__(self, send: Callable[[bytes], object], set_lines: Callable[[bool, bool], None]) -> None:
        self.baud = USUAL_BAUD
        self._send = send
        self._set_lines = set_lines
        self._dtr = False
        self._rts = False
        self._agreed: set[tuple[int, int]] = set()
        self._rest = b""  # of a command that is not complete
        for word in (_WILL, _DO):
            for option in (_BINARY, _COM_PORT):
                self._say(word, option)

    @staticmethod
    def escape(data: bytes) -> bytes:
        """Data for the network."""
        return data.replace(_IAC, _IAC + _IAC)

    def feed(self, data: bytes) -> bytes:
        """The serial data in what came from the network; commands are obeyed. ValueError for an endless command."""
        data = self._rest + data
        self._rest = b""
        plain = bytearray()
        at = 0
        while at < len(data):
            mark = data.find(_IAC, at)
            plain += data[at : mark if mark >= 0 else len(data)]
            if mark < 0:
                break
            size = self._command(data, mark, plain)
            if size == 0:
                self._rest = data[mark:]
                break
            at = mark + size
        return bytes(plain)

    def _command(self, data: bytes, at: int, plain: bytearray) -> int:
        """Obey the command at `at`; its length, 0 when it is not complete."""
        word = data[at + 1] if len(data) > at + 1 else -1
        if word == -1:
            return 0
        if word == _IAC[0]:
            plain += _IAC
            return 2
        if word in (_WILL, _WONT, _DO, _DONT):
            if len(data) < at + 3:
                return 0
            self._negotiate(word, data[at + 2])
            return 3
        return self._subnegotiation(data, at) if word == _SB else 2

    def _subnegotiation(self, data: bytes, at: int) -> int:
        end = at + 2
        while True:
            end = data.find(_IAC, end, at + _COMMAND_MAX)
            if end < 0 or end + 1 >= len(data):
                if len(data) - at >= _COMMAND_MAX:
                    raise ValueError("a telnet command without an end")
                return 0
            if data[end + 1] == _SE:
                break
            end += 2
        body = data[at + 2 : end].replace(_IAC + _IAC, _IAC)
        if len(body) >= 2 and body[0] == _COM_PORT:
            self._set(body[1], body[2:])
        return end + 2 - at

    def _negotiate(self, word: int, option: int) -> None:
        """Agree to what is known, once; refuse the rest."""
        asks = word in (_WILL, _DO)
        if not asks or (word, option) in self._agreed:
            return
        known = option in _OFFERED or (option == _ECHO and word == _DO)
        if known:
            self._agreed.add((word, option))
        yes, no = (_DO, _DONT) if word == _WILL else (_WILL, _WONT)
        self._say(yes if known else no, option)
        if known and option == _COM_PORT:
            self._answer(_NOTIFY_MODEM, bytes([_MODEM_STATE]))

    def _set(self, command: int, value: bytes) -> None:
        """Set what is asked for and confirm it; what has no meaning here (parity, flow control) is only confirmed."""
        if command == _SET_BAUD and len(value) == 4:
            self.baud = int.from_bytes(value, "big") or self.baud
            value = self.baud.to_bytes(4, "big")
        if command < _ANSWER:
            self._answer(command + _ANSWER, value)
        if command == _SET_CONTROL and value:
            before = self._dtr, self._rts
            self._dtr = {_DTR_ON: True, _DTR_OFF: False}.get(value[0], self._dtr)
            self._rts = {_RTS_ON: True, _RTS_OFF: False}.get(value[0], self._rts)
            if before != (self._dtr, self._rts):
                self._set_lines(self._dtr, self._rts)

    def _answer(self, command: int, value: bytes) -> None:
        self._send(_IAC + bytes([_SB, _COM_PORT, command]) + self.escape(value) + _IAC + bytes([_SE]))

    def _say(self, word: int, option: int) -> None:
        self._send(_IAC + bytes([word, option]))
