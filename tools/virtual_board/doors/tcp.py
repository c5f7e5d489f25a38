"""The doors of pyserial's socket:// and rfc2217://: a TCP port on the loopback interface, for one client at a time."""

import asyncio
import contextlib

from tools.virtual_board.doors.door import USUAL_BAUD, Host
from tools.virtual_board.doors.telnet import Telnet

_LOOPBACK = "127.0.0.1"
_WAITING_MAX = 1 << 20


class SocketDoor:
    """Bytes as they are."""

    scheme = "socket"
    lines = False

    def __init__(self, host: Host, port: int) -> None:
        self.url = ""
        self._host = host
        self._port = port
        self._client: asyncio.Transport | None = None
        self._paused = False

    @property
    def baud(self) -> int:
        """TCP has none."""
        return USUAL_BAUD

    async def start(self) -> None:
        """Listen; `url` says where."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Connection(self), _LOOPBACK, self._port)
        self.url = f"{self.scheme}://{_LOOPBACK}:{self._server.sockets[0].getsockname()[1]}"

    def write(self, data: bytes) -> None:
        """To the client."""
        if self._client is not None and self._client.get_write_buffer_size() < _WAITING_MAX:
            self._client.write(data)

    def pause(self) -> None:
        """Read no more; TCP stops the client."""
        self._paused = True
        if self._client is not None:
            self._client.pause_reading()

    def resume(self) -> None:
        """Go on reading."""
        self._paused = False
        if self._client is not None:
            self._client.resume_reading()

    def close(self) -> None:
        """No client any more."""
        self._server.close()
        if self._client is not None:
            self._client.abort()

    # -- what the connection tells

    def opened(self, client: asyncio.Transport) -> bool:
        """False when somebody else is there."""
        if self._client is not None:
            return False
        self._client = client
        if self._paused:
            client.pause_reading()
        return True

    def arrived(self, data: bytes) -> None:
        """From the client."""
        self._host.received(self, data)

    def left(self) -> None:
        """The client is gone."""
        self._client = None
        self._host.hung_up(self)


class Rfc2217Door(SocketDoor):
    """Bytes and modem lines. DTR and RTS are off when a client comes; the client says what it wants."""

    scheme = "rfc2217"
    lines = True

    def __init__(self, host: Host, port: int) -> None:
        super().__init__(host, port)
        self._telnet: Telnet | None = None

    @property
    def baud(self) -> int:
        """What the client has set."""
        return USUAL_BAUD if self._telnet is None else self._telnet.baud

    def opened(self, client: asyncio.Transport) -> bool:
        """Begin to negotiate."""
        if not super().opened(client):
            return False
        self._telnet = Telnet(client.write, self._host.modem_lines)
        return True

    def write(self, data: bytes) -> None:
        """To the client, escaped."""
        super().write(Telnet.escape(data))

    def arrived(self, data: bytes) -> None:
        """From the client: commands and data."""
        if self._telnet is None:
            return
        try:
            plain = self._telnet.feed(data)
        except ValueError:
            if self._client is not None:
                self._client.abort()
            return
        if plain:
            self._host.received(self, plain)

    def left(self) -> None:
        """The client is gone; lines that nobody drives are off."""
        self._telnet = None
        self._client = None
        self._host.modem_lines(dtr=False, rts=False)


class _Connection(asyncio.Protocol):
    def __init__(self, door: SocketDoor) -> None:
        self._door = door
        self._served = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._served = self._door.opened(transport)
        if not self._served:
            transport.abort()

    def data_received(self, data: bytes) -> None:
        if self._served:
            self._door.arrived(data)

    def connection_lost(self, _: Exception | None) -> None:
        if self._served:
            with contextlib.suppress(RuntimeError):  # the loop is closing
                self._door.left()
