"""The ways to a board's serial port: a pseudo terminal, a TCP port, a TCP port with modem lines (RFC 2217)."""

from tools.virtual_board.doors.door import Door, Host
from tools.virtual_board.doors.pty import PtyDoor
from tools.virtual_board.doors.tcp import Rfc2217Door, SocketDoor

__all__ = ["Door", "Host", "PtyDoor", "Rfc2217Door", "SocketDoor"]
