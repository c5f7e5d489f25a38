"""The link to the broker: connects, stays connected, and moves messages. Decisions are in `core/mqtt/session.py`.

A connection is three tasks: one reads, one writes, one watches the time limits. The first that fails ends all three.
"""

import asyncio

from node.core.backoff import Backoff
from node.core.dns import DnsError
from node.core.mqtt.errors import MqttError
from node.core.mqtt.parser import Parser
from node.core.mqtt.queue import Queue
from node.core.mqtt.session import MESSAGE, UP, Session
from node.tasks.resolver import Resolver
from node.tasks.wire import Tls, Wire
from protocol import reasons, topics
from protocol.messages import LOG_ERROR, LOG_INFO, LOG_WARNING, State

TYPE_CHECKING = False
if TYPE_CHECKING:
    import ssl
    from collections.abc import Coroutine
    from typing import Any, Callable

    from node.board.door import NetworkDoor
    from node.core.clock import Clock
    from node.core.mqtt.queue import Source
    from node.core.mqtt.stats import Stats
    from protocol.identity import Identity

OPEN_MS = 15000  # budget from the name of a broker to the end of the TLS handshake
BEAT_MS = 10000  # longest silence of `beat` while nothing happens
CLOSE_MS = 3000  # for the last state message at an orderly end
PORT = 8883
_TAG = "link"


class Link:
    """The one MQTT client of a node.

    `source` feeds records and events (see `core/mqtt/queue.py`), `setting(name)` gives a setting, `random(n)` an
    integer from 0 to n-1, `log(level, tag, text)` takes a line. `set_rtc(utc_s)` and `heap()` are doors of the board;
    `boot` is the boot number in the will. `power_on` says that the whole street may have come up in this moment: the
    first attempt waits a random time. `secure=False` leaves TLS out and is for tests only.

    `up` is True while the broker accepts messages and our subscriptions. `handlers[name]` is called with the payload
    of each message on `down/<name>`, before it is acknowledged; `on_up` holds callbacks for each time the link came
    up. `others` are brokers to be tried behind those of the identity.
    """

    def __init__(
        self,
        clock: "Clock",
        identity: "Identity",
        net: "NetworkDoor",
        source: "Source",
        setting: "Callable[[str], int]",
        random: "Callable[[int], int]",
        log: "Callable[[int, str, str], None]",
        *,
        boot: int = 0,
        set_rtc: "Callable[[int], None] | None" = None,
        heap: "Callable[[], tuple[int, int | None]] | None" = None,
        power_on: bool = True,
        secure: bool = True,
    ) -> None:
        self.up = False
        self.handlers: "dict[str, Callable[[bytes], None]]" = {}
        self.on_up: "list[Callable[[], None]]" = []
        self.others: "list[str]" = []
        self.resolver = Resolver(net, random)
        self._clock = clock
        self._identity = identity
        self._net = net
        self._setting = setting
        self._random = random
        self._log = log
        self._power_on = power_on
        self._tls = Tls(clock, identity.ca, (identity.cert, identity.key), set_rtc, heap) if secure else None
        self._backoff = Backoff(random)
        self._broker = 0  # index of the broker to try
        self._closing = self._renewing = False
        self._terms = (0, 0)  # settings that the connection was opened with
        self._queue = Queue()
        self._parser = Parser()
        self._session = self._new_session(identity.node, source, boot)
        self._drained = asyncio.Event()  # something was sent
        self._over = asyncio.Event()  # the connection has failed
        self._fault: "Exception | None" = None

    def _new_session(self, node: str, source: "Source", boot: int) -> Session:
        self._wake = asyncio.Event()  # there may be something to send
        self._queue.on_ready = source.on_ready = self._wake.set
        self._names = {topics.down(node, name).encode(): name for name in topics.DOWN}
        self._names[topics.EPOCH.encode()] = "epoch"
        self._offline = State(online=False, boot=boot).encode()
        will = (topics.up(node, "state"), self._offline)
        table = {name: (topics.up(node, name).encode(), topics.qos(name)) for name in topics.UP}
        return Session(node, will, topics.filters(node), (self._queue, source), table)

    @property
    def stats(self) -> "Stats":
        """Counters since boot: connects, last_reason, resends, ack_p50_ms, ack_p95_ms and more."""
        return self._session.stats

    @property
    def acked_records(self) -> int:
        """Records and events that a broker has acknowledged since boot."""
        return self._session.stats.entries

    @property
    def acked_here(self) -> int:
        """Messages that the broker has acknowledged over this connection; 0 while it is not one of the settings in
        force."""
        return self._session.acked_here if self._terms == self._wanted() else 0

    @property
    def idle(self) -> bool:
        """True while the link is up and the broker owes no acknowledgement."""
        return self.up and not self._session.in_flight

    @property
    def at_home(self) -> bool:
        """True while the link is up with a broker of the identity."""
        return self.up and self._broker < len(self._identity.brokers)

    def go_home(self) -> None:
        """Leave a broker that is not our own in order, and try our own ones at once."""
        self._broker = 0
        self._part()

    def publish(self, name: str, payload: bytes, retain: bool = False) -> bool:
        """Queue a message for `up/<name>` in memory, with the QoS of the contract; False when there is no room."""
        return self._queue.put(name, payload, retain)

    async def run(self, beat: "Callable[[], None]") -> None:
        """Keep the link up until `close`; calls `beat` at least every 45 s (30 s for the network, then OPEN_MS)."""
        if self._power_on:
            self._power_on = False
            await self._pause(self._random(self._setting("start_jitter_s") * 1000 + 1), beat)
        while not self._closing:
            beat()
            up_ms = await self._connection(beat)
            renewing, self._renewing = self._renewing, False
            if not self._closing and not renewing:
                self._backoff.held(up_ms)
                await self._pause(self._backoff.next_ms(self._setting("backoff_max_s") * 1000), beat)

    def renew(self) -> None:
        """Settings have changed: a connection that was opened with others ends in order, and the next comes at once."""
        if self._terms != self._wanted():
            self._part()

    def _part(self) -> None:
        self._renewing = True
        self._session.finish()
        self._wake.set()

    def _wanted(self) -> "tuple[int, int]":
        return self._setting("keepalive_s"), self._setting("window")

    async def close(self) -> None:
        """Say goodbye: publish the offline state, disconnect in order; then `run` returns. Takes at most CLOSE_MS."""
        self._closing = True
        if self.up:
            self.publish("state", self._offline, True)
            try:
                await asyncio.wait_for_ms(self._goodbye(), CLOSE_MS)
            except asyncio.TimeoutError:
                pass
        self._fail(MqttError(reasons.CLOSED_HERE))

    async def _goodbye(self) -> None:
        while self.up and not (self._queue.empty() and self._session.idle(self._queue)):
            self._drained.clear()
            await self._drained.wait()
        self._session.finish()
        self._wake.set()
        await self._over.wait()

    async def _pause(self, wait_ms: int, beat: "Callable[[], None]") -> None:
        while wait_ms > 0 and not self._closing:
            beat()
            await asyncio.sleep_ms(min(wait_ms, BEAT_MS))
            wait_ms -= BEAT_MS
        beat()

    # -- one connection --

    async def _connection(self, beat: "Callable[[], None]") -> int:
        """One attempt and what comes of it; the milliseconds that it was up."""
        wire = Wire()
        since = None
        try:
            await self._open(wire)
            since = self._clock.uptime_ms()
            await self._serve(wire, beat)
            fault = MqttError(reasons.CLOSED_HERE)
        except MqttError as error:
            fault = error
        except asyncio.TimeoutError:
            fault = MqttError(reasons.OPEN_TIMEOUT, "{} s".format(OPEN_MS // 1000))
        except (OSError, ValueError, MemoryError) as error:
            fault = _fault(error, since is None)
        finally:
            wire.close()
            self.up = False
        held_ms = 0
        if self._session.connected and since is not None:
            held_ms = self._clock.uptime_ms() - since
        else:
            self._broker = (self._broker + 1) % len(self._brokers())
        self._session.lost(fault.reason)
        self._log(LOG_INFO if fault.reason == reasons.CLOSED_HERE else LOG_WARNING, _TAG, str(fault))
        return held_ms

    async def _open(self, wire: Wire) -> None:
        """Bring up the network, then TCP, TLS and the CONNECT packet within OPEN_MS."""
        if not self._net.is_up() and not await self._net.connect():
            raise MqttError(reasons.NO_NETWORK)
        context = self._tls.context() if self._tls is not None else None
        brokers = self._brokers()
        self._broker %= len(brokers)
        await asyncio.wait_for_ms(self._dial(wire, brokers[self._broker], context), OPEN_MS)

    def _brokers(self) -> "list[str]":
        return self._identity.brokers + self.others

    async def _dial(self, wire: Wire, broker: str, context: "ssl.SSLContext | None") -> None:
        host, _, port = broker.partition(":")
        try:
            ip = await self.resolver.resolve(host)
        except DnsError as error:
            raise MqttError(reasons.NO_ADDRESS, str(error))
        session, now = self._session, self._clock.uptime_ms()
        self._parser.reset()
        self._terms = keepalive_s, window = self._wanted()
        self._renewing = False
        session.connect(now, broker, keepalive_s, window)
        count = session.fill(now)
        await wire.open(ip, int(port or PORT), host, context, session.out.view[:count])

    async def _serve(self, wire: Wire, beat: "Callable[[], None]") -> None:
        """Run the connection until it fails; raises what ended it, returns when `close` asked for it meanwhile."""
        if self._closing:
            return
        self._fault = None
        self._over.clear()
        parts = (self._read(wire), self._write(wire), self._watch(beat))
        tasks = [asyncio.create_task(self._guard(part)) for part in parts]
        try:
            await self._over.wait()
        finally:
            for task in tasks:
                task.cancel()
        if self._fault is not None:
            raise self._fault

    async def _guard(self, part: "Coroutine[Any, Any, None]") -> None:
        try:
            await part
        except Exception as error:  # whatever it is, `_serve` raises it
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        if self._fault is None:
            self._fault = error
        self._over.set()
        self._drained.set()

    async def _read(self, wire: Wire) -> None:
        parser = self._parser
        while True:
            count = wire.read(parser.room())
            if count is None:
                await wire.readable()
                continue
            if not count:
                raise MqttError(reasons.PEER_CLOSED)
            parser.fed(count)
            kind = parser.next()
            while kind:
                while self._session.congested():
                    self._wake.set()
                    self._drained.clear()
                    await self._drained.wait()
                self._handle(self._session.received(parser, kind, self._clock.uptime_ms()))
                kind = parser.next()
            self._drained.set()
            self._wake.set()
            await asyncio.sleep_ms(0)  # a peer that sends without pause must not starve the other tasks

    async def _write(self, wire: Wire) -> None:
        session = self._session
        while True:
            self._wake.clear()
            count = session.fill(self._clock.uptime_ms())
            if not count:
                await self._wake.wait()
                continue
            await wire.send(session.out.view[:count])
            self._drained.set()
            if session.finished:
                raise MqttError(reasons.CLOSED_HERE)

    async def _watch(self, beat: "Callable[[], None]") -> None:
        while True:
            beat()
            wait_ms = self._session.tick(self._clock.uptime_ms())
            self._wake.set()
            await asyncio.sleep_ms(min(wait_ms, BEAT_MS))

    # -- what the session reports --

    def _handle(self, report: int) -> None:
        if report == MESSAGE:
            self._deliver()
        elif report == UP:
            self.up = True
            stats = self._session.stats
            text = "up, connect {}, broker {}".format(stats.connects, self._brokers()[self._broker])
            self._log(LOG_INFO, _TAG, text)
            if 0x80 in self._parser.codes:
                self._log(LOG_ERROR, _TAG, "broker refused a subscription")
            for callback in self.on_up:
                self._call(callback)

    def _deliver(self) -> None:
        """Hand the message in the parser to its handler, then acknowledge it."""
        parser = self._parser
        handler = self.handlers.get(self._names.get(parser.topic, ""))
        if parser.oversize:
            self.stats.oversize += 1
            self._log(LOG_ERROR, _TAG, "skipped a message of {} bytes".format(parser.oversize))
        elif handler is None:
            self.stats.unknown += 1
        else:
            self._call(handler, bytes(parser.payload))
        self._session.acknowledge(parser)

    def _call(self, function: "Callable[..., None]", *args: "Any") -> None:
        """A fault in a handler is logged and counted; the link lives on."""
        try:
            function(*args)
        except Exception as error:
            self.stats.failures += 1
            self._log(LOG_ERROR, _TAG, "handler: {!r}".format(error))


def _fault(error: Exception, opening: bool) -> MqttError:
    """The reason behind an error of socket or TLS.

    mbedTLS numbers its errors below zero, and MicroPython raises ValueError for a certificate that is refused."""
    if isinstance(error, MemoryError):
        return MqttError(reasons.LOW_MEMORY)
    if isinstance(error, ValueError) or (error.args and isinstance(error.args[0], int) and error.args[0] < 0):
        return MqttError(reasons.TLS_FAILED, " ".join([str(arg) for arg in error.args]).strip())
    return MqttError(reasons.UNREACHABLE if opening else reasons.IO_FAILED, str(error))
