"""Claims an identity: asks a server over HTTPS, with a proof, until it has one on flash (SPEC 13).

It is the only thing that a board in this state does. Its outputs were switched fully on when the board was built, and
stay so: lamps fail bright.
"""

import asyncio

from node import VERSION
from node.core.backoff import Backoff
from node.core.clock import Clock
from node.core.dns import DnsError
from node.core.mqtt.errors import MqttError
from node.tasks.resolver import Resolver
from node.tasks.timesync import TimeSync
from node.tasks.wire import Tls, Wire
from protocol import claim, identity
from protocol.errors import ProtocolError
from protocol.messages import LOG_INFO, LOG_WARNING

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable

    from node.board.door import BoardDoor
    from node.core.files import FilesDoor

WATCHDOG_MS = 60000
_POST_MS = 30000  # name, connection, handshake and answer
_FEED_MS = 10000
_HEAD = 1024  # bytes of an HTTP head at most
_DISTRUST = 5  # failures in a row after which the network joins anew
_TAG = "claim"
_REQUEST = "POST {} HTTP/1.0\r\nHost: {}\r\nContent-Type: {}\r\nContent-Length: {}\r\n\r\n"


class ClaimError(Exception):
    """The attempt failed; the next one may not."""


class Claiming:
    """The claim of one board under its ticket; `log(level, tag, text)` takes a line."""

    def __init__(
        self,
        board: "BoardDoor",
        files: "FilesDoor",
        ticket: claim.Ticket,
        log: "Callable[[int, str, str], None]",
    ) -> None:
        self._board = board
        self._files = files
        self._ticket = ticket
        self._log = log
        self._net = board.network()
        self._clock = Clock(board.ticks_ms, board.ticks_diff)
        self._clock.floor_s = ticket.made
        self._resolver = Resolver(self._net, board.random)
        self._time = TimeSync(self._clock, ticket.ntp, self._resolver, _no_setting, board.random, log)
        self._tls = Tls(self._clock, ticket.ca, None, board.set_rtc, board.heap)
        self._backoff = Backoff(board.random)
        self._feed = board.watchdog(WATCHDOG_MS).feed
        self._nonce = b""
        self._challenged = False  # by the last answer
        self._failures = 0  # in a row

    async def run(self) -> None:
        """Return when an identity is on flash and the ticket is not any more."""
        wait_ms: "int | None" = 0
        while wait_ms is not None:
            await self._rest(wait_ms)
            try:
                wait_ms = self._follow(await self._ask())
                self._failures = 0
            except (ClaimError, MqttError, DnsError, ProtocolError, OSError, ValueError, MemoryError) as error:
                wait_ms = self._failed(str(error) or "no memory")
            except asyncio.TimeoutError:
                wait_ms = self._failed("no answer in {} s".format(_POST_MS // 1000))

    async def _rest(self, wait_ms: int) -> None:
        while wait_ms > 0:
            self._feed()
            await asyncio.sleep_ms(min(wait_ms, _FEED_MS))
            wait_ms -= _FEED_MS
        self._feed()

    def _failed(self, why: str) -> int:
        self._failures += 1
        self._challenged = False
        if self._failures % _DISTRUST == 0:
            self._net.distrust()
        self._log(LOG_WARNING, _TAG, why)
        return self._backoff.next_ms(claim.MAX_RETRY_S * 1000)

    async def _ask(self) -> claim.Answer:
        """One question, answered."""
        if not self._net.is_up() and not await self._net.connect():
            raise ClaimError("no network")
        self._feed()
        if self._time.failing:
            await self._time.once(self._feed)  # certificates have dates; without the time, those of the ticket must do
        self._feed()
        body = self._request()
        url = self._ticket.urls[self._failures % len(self._ticket.urls)]
        answer: bytes = await asyncio.wait_for_ms(self._post(url, body), _POST_MS)
        return claim.Answer.decode(answer)

    def _request(self) -> bytes:
        ticket = self._ticket
        asked = claim.Claim(
            mac=self._board.unique_id(),
            batch=ticket.batch,
            until=ticket.until,
            nonce=self._nonce,
            kind=ticket.kind,
            board=ticket.board,
            node=ticket.node,
            firmware=VERSION,
        ).encode()
        self._nonce = b""  # it serves once, whatever becomes of it
        return claim.Request(claim=asked, proof=claim.prove(ticket.secret, asked)).encode()

    async def _post(self, url: str, body: bytes) -> bytes:
        host, port, path = split(url)
        ip = await self._resolver.resolve(host)
        head = _REQUEST.format(path, host, claim.MEDIA_TYPE, len(body)).encode()
        wire = Wire()
        try:
            await wire.open(ip, port, host, self._tls.context(), memoryview(head + body))
            return await _receive(wire)
        finally:
            wire.close()

    def _follow(self, answer: claim.Answer) -> "int | None":
        """Do what the answer says; ms until the next question, None when there is an identity."""
        self._nonce = answer.nonce
        if answer.status == claim.ISSUED:
            self._keep(answer.identity)
            return None
        if answer.status == claim.CHALLENGE:
            if self._challenged:
                raise ClaimError("the server takes none of its nonces")
            self._challenged = True
            return 0
        self._challenged = False
        if answer.status == claim.REFUSED:
            self._log(LOG_WARNING, _TAG, "refused: " + answer.reason)
        else:
            self._log(LOG_INFO, _TAG, "waiting to be accepted")
        wait_ms = answer.retry_s * 1000
        return wait_ms + self._board.random(wait_ms // 4 + 1)  # a whole delivery must not ask in step

    def _keep(self, data: bytes) -> None:
        """Write the identity, read it again, and only then give up the ticket."""
        found = identity.Identity.decode(data)
        if (found.kind, found.board) != (self._ticket.kind, self._ticket.board):
            raise ClaimError("the identity is for another board")
        found.wifi_ssid, found.wifi_psk = self._ticket.wifi_ssid, self._ticket.wifi_psk
        data = found.encode()
        self._files.write_atomic(identity.PATH, data)
        if self._files.read(identity.PATH) != data:
            self._files.remove(identity.PATH)
            raise ClaimError("the flash did not keep the identity")
        self._files.remove(identity.TICKET_PATH)
        self._log(LOG_INFO, _TAG, "this is {} from now on".format(found.node))


def split(url: str) -> "tuple[str, int, str]":
    """(host, port, path) of an https URL; raises ClaimError."""
    place, slash, path = url[8:].partition("/")
    host, _, port = place.partition(":")
    if url[:8] != "https://" or not host or (port and not port.isdigit()):
        raise ClaimError("not an https URL: " + url)
    return host, int(port or 443), slash + path or "/"


def body_of(data: bytes) -> "bytes | None":
    """The body of the HTTP response in `data`, None while it is not whole; ClaimError when there will be none."""
    head, blank, body = data.partition(b"\r\n\r\n")
    if not blank:
        return None
    if head[:7] != b"HTTP/1." or head[9:12] != b"200":
        raise ClaimError("HTTP status {}".format(str(head[9:12])[2:-1]))
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
            return body[:length] if len(body) >= length else None
    raise ClaimError("answer without a length")


async def _receive(wire: Wire) -> bytes:
    """The body of the answer. It has a length, because the end of a TLS connection is not told on every port."""
    buffer = bytearray(_HEAD + claim.MAX_ANSWER)
    view = memoryview(buffer)
    at = 0
    while at < len(buffer):
        count = wire.read(view[at:])
        if count is None:
            await wire.readable()
            continue
        at += count
        body = body_of(bytes(view[:at]))
        if body is not None:
            return body
        if not count:
            raise ClaimError("the answer ended too early")
    raise ClaimError("answer too long")


def _no_setting(name: str) -> int:
    """Nothing is configured yet; TimeSync asks for settings in its own loop only, which does not run here."""
    raise KeyError(name)
