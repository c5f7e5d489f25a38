"""One connection of one node: TLS that never blocks, and on it the firmware's own MQTT session."""

import select
import socket
import ssl
from collections.abc import Callable

from node.core.mqtt.errors import MqttError
from node.core.mqtt.parser import Parser
from node.core.mqtt.session import MESSAGE, UP, Session
from protocol import reasons
from tools.swarm.loop import Loop

CONNECT_S = 10.0


class Line:
    """`session` belongs to the node and outlives the line. `on_message(topic, payload)` hears of each message before it
    is acknowledged, `on_up()` of the session, `on_end()` of the end, whichever way it came."""

    def __init__(
        self,
        loop: Loop,
        session: Session,
        parser: Parser,
        on_message: Callable[[bytes, bytes], None],
        on_up: Callable[[], None],
        on_end: Callable[[], None],
    ) -> None:
        self._loop = loop
        self._session = session
        self._parser = parser
        self._on_message = on_message
        self._on_up = on_up
        self._on_end = on_end
        self._tls: ssl.SSLSocket | None = None
        self._is_open = False  # the handshake is done
        self._left: memoryview | None = None  # what the socket did not take yet
        self._is_pushed = False  # a look at what is to be sent is planned

    def open(self, address: tuple[str, int], context: ssl.SSLContext, terms: tuple[int, int]) -> None:
        """Connect; `terms` are (keep-alive in s, window). OSError when nobody listens."""
        raw = socket.create_connection(address, CONNECT_S)
        raw.setblocking(False)
        self._tls = context.wrap_socket(raw, server_hostname=address[0], do_handshake_on_connect=False)
        self._parser.reset()
        self._session.connect(self._loop.now_ms(), address[0], *terms)
        self._move(0)

    def close(self, reason: int = reasons.CLOSED_HERE) -> None:
        """Cut it. Nothing is told."""
        if self._tls is not None:
            self._loop.leave(self._tls.fileno())
            self._tls.close()
            self._tls = None
            self._is_open = False
            self._left = None
            self._session.lost(reason)

    def push(self) -> None:
        """There may be something to send: soon."""
        if not self._is_pushed:
            self._is_pushed = True
            self._loop.soon(self._pushed)

    def be_deaf(self) -> None:
        """Leave the connection open, and read and say nothing more."""
        if self._tls is not None:
            self._loop.leave(self._tls.fileno())
            self._is_open = False

    def _pushed(self) -> None:
        self._is_pushed = False
        if self._is_open:
            self._move(0)

    def tick(self) -> int:
        """Look at the limits; milliseconds until the next look."""
        try:
            wait_ms: int = self._session.tick(self._loop.now_ms())
        except MqttError as error:
            self._end(error.reason)
            return 0
        self.push()
        return wait_ms

    def _move(self, _mask: int) -> None:
        """Whatever can be done now."""
        tls = self._tls
        if tls is None:
            return
        try:
            mask = self._exchange(tls)
        except MqttError as error:
            self._end(error.reason)
        except OSError:
            self._end(reasons.IO_FAILED)
        else:
            if self._tls is tls:
                self._loop.watch(tls.fileno(), mask, self._move)
                if self._is_open and tls.pending():  # the socket says nothing of what was decrypted already
                    self.push()

    def _exchange(self, tls: ssl.SSLSocket) -> int:
        """Shake hands, read, write; what to wait for next."""
        try:
            if not self._is_open:
                tls.do_handshake()
                self._is_open = True
            self._read(tls)
            self._write(tls)
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLWantWriteError:
            return select.EPOLLIN | select.EPOLLOUT
        return select.EPOLLIN

    def _read(self, tls: ssl.SSLSocket) -> None:
        parser = self._parser
        while self._tls is tls and not self._session.congested():
            try:
                count = tls.recv_into(parser.room())
            except ssl.SSLWantReadError:
                return
            if not count:
                raise MqttError(reasons.PEER_CLOSED)
            parser.fed(count)
            kind = parser.next()
            while kind and self._tls is tls:
                found = self._session.received(parser, kind, self._loop.now_ms())
                if found == MESSAGE:
                    self._on_message(parser.topic, bytes(parser.payload))
                    self._session.acknowledge(parser)
                elif found == UP:
                    self._on_up()
                kind = parser.next()

    def _write(self, tls: ssl.SSLSocket) -> None:
        while self._tls is tls:
            if self._left is None:
                count = self._session.fill(self._loop.now_ms())
                if not count:
                    return
                self._left = self._session.out.view[:count]
            while self._left:
                self._left = self._left[tls.send(self._left) :]
            self._left = None
            if self._session.finished:
                raise MqttError(reasons.CLOSED_HERE)

    def _end(self, reason: int) -> None:
        self.close(reason)
        self._on_end()
