"""The state of one MQTT session: a machine without clock and socket (MQTT 3.1.1 section 4).

`connect` starts a connection, `fill` writes what is due into `out`, `received` takes each packet of the parser,
`tick` finds limits that have passed, `lost` ends the connection. Messages in flight outlive a connection: when the
broker still has the session they are sent again with their packet id and DUP, in their order; otherwise their source
gets them back.

`now` is milliseconds of a clock that never goes back or wraps (`Clock.uptime_ms`).
"""

from node.core.mqtt import packets
from node.core.mqtt.errors import MqttError
from node.core.mqtt.stats import Stats
from protocol import reasons

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from node.core.mqtt.parser import Parser
    from node.core.mqtt.queue import Source

ANSWER_MS = 30000  # for any answer; a throttled link with a full window needs several seconds
MAX_ACKS = 16  # PUBACKs that wait for room in the output; then the link stops reading

# What `received` reports
NOTHING = 0
UP = 1  # connected, and subscribed
MESSAGE = 2  # the parser holds a message: handle it, then call `acknowledge`

_DOWN = 0
_CONNECTING = 1  # until CONNACK
_SUBSCRIBING = 2  # until SUBACK; messages flow already
_UP = 3


class Flight:
    """One QoS 1 message that the broker has not acknowledged."""

    def __init__(self, packet_id: int, source: "Source", item: "Any") -> None:
        self.packet_id = packet_id
        self.source = source
        self.item = item
        self.sent_at = 0
        self.due = True  # to be sent in this connection
        self.resend = False


class Session:
    """One client id. `filters` are (topic, QoS); `sources` are asked for messages in their order; `topics` maps a
    message name to (topic, QoS)."""

    def __init__(
        self,
        client: str,
        will: "tuple[str, bytes]",
        filters: "tuple[tuple[str, int], ...]",
        sources: "tuple[Source, ...]",
        topics: "dict[str, tuple[bytes, int]]",
    ) -> None:
        self.stats = Stats()
        self.out = packets.Output()
        self._client = client.encode()
        self._will = (will[0].encode(), will[1])
        self._filters = tuple([(name.encode(), qos) for name, qos in filters])
        self._sources = sources
        self._topics = topics
        self._flights: "list[Flight]" = []
        self._last_id = 0
        self._subscribed_at = ""  # broker that confirmed our subscriptions in this run
        self._broker = ""
        self._stage = _DOWN
        self._clear()

    def _clear(self) -> None:
        self.out.clear()
        self._connect_due = False
        self._subscribe_id = 0
        self._subscribe_due = False
        self._asked_at = 0  # CONNECT or SUBSCRIBE
        self._acks: "list[int]" = []
        self._ping_at: "int | None" = None  # wanted, and not answered
        self._ping_due = False
        self._sent_at = 0
        self._acked_at = 0
        self.acked_here = 0  # messages acknowledged in this connection
        self._goodbye = False
        self.finished = False  # DISCONNECT was written: nothing may follow it

    @property
    def connected(self) -> bool:
        """True from CONNACK to the end of the connection."""
        return self._stage >= _SUBSCRIBING

    @property
    def in_flight(self) -> int:
        """Messages that the broker has not acknowledged."""
        return len(self._flights)

    def idle(self, source: "Source") -> bool:
        """True when nothing of that source is in flight."""
        return not [flight for flight in self._flights if flight.source is source]

    def congested(self) -> bool:
        """True while no further packet may be handed to `received`: send first."""
        return len(self._acks) >= MAX_ACKS

    def connect(self, now: int, broker: str, keepalive_s: int, window: int) -> None:
        """A connection to `broker` (any name for it) was opened."""
        self._clear()
        self._stage = _CONNECTING
        self._broker = broker
        self._keepalive_s = keepalive_s
        self._window = window
        self._connect_due = True
        self._asked_at = self._sent_at = now

    def finish(self) -> None:
        """Make DISCONNECT the next packet but acknowledgements; `finished` is True once it is written."""
        self._goodbye = True

    def lost(self, reason: int) -> None:
        """The connection, or the attempt at one, is over."""
        self._clear()
        self._stage = _DOWN
        self.stats.last_reason = reason

    def received(self, packet: "Parser", kind: int, now: int) -> int:
        """Take the packet that the parser just cut; raises MqttError when the broker may not send it now."""
        if self._stage == _DOWN or (kind == packets.CONNACK) != (self._stage == _CONNECTING):
            raise MqttError(reasons.MALFORMED, "packet type {} out of turn".format(kind))
        if kind == packets.PUBACK:
            self._puback(packet.packet_id, now)
        elif kind == packets.PUBLISH:
            self.stats.received += 1
            return MESSAGE
        elif kind == packets.PINGRESP:
            if self._ping_at is not None:
                self.stats.ping_ms = now - self._ping_at
                self._ping_at = None
        elif kind == packets.CONNACK:
            return self._connack(packet, now)
        else:
            return self._suback(packet)
        return NOTHING

    def acknowledge(self, packet: "Parser") -> None:
        """The message in the parser has been dealt with."""
        if packet.packet_id:
            self._acks.append(packet.packet_id)

    def _connack(self, packet: "Parser", now: int) -> int:
        if packet.code:
            raise MqttError(packet.code)
        self.stats.connects += 1
        self._acked_at = now
        if packet.session_present:
            self.stats.resumed += 1
            for flight in self._flights:
                flight.due = flight.resend = True
        else:
            self._subscribed_at = ""
            flights, self._flights = self._flights, []
            for flight in reversed(flights):
                flight.source.release(flight.item)
        if self._subscribed_at == self._broker:
            self._stage = _UP
            return UP
        self._stage = _SUBSCRIBING
        self._subscribe_due = True
        self._asked_at = now
        return NOTHING

    def _suback(self, packet: "Parser") -> int:
        if not self._subscribe_id or packet.packet_id != self._subscribe_id:
            raise MqttError(reasons.MALFORMED, "SUBACK for another packet")
        if len(packet.codes) != len(self._filters):
            raise MqttError(reasons.MALFORMED, "SUBACK with {} codes".format(len(packet.codes)))
        self._subscribe_id = 0
        refused = sum([code == 0x80 for code in packet.codes])
        self.stats.refused += refused
        self._subscribed_at = "" if refused else self._broker
        self._stage = _UP
        return UP

    def _puback(self, packet_id: int, now: int) -> None:
        for flight in self._flights:
            if flight.packet_id == packet_id and not flight.due:
                self._acked_at = now
                self.acked_here += 1
                self.stats.acknowledged(now - flight.sent_at, getattr(flight.item, "count", 0))
                self._forget(flight)
                return
        self.stats.strays += 1

    def tick(self, now: int) -> int:
        """Milliseconds until the next call is of use; raises MqttError when a limit has passed.

        Asks for a ping when half of the keep-alive time went by without a packet: call `fill` after it."""
        if self._stage == _CONNECTING:
            return self._left(now, self._asked_at, reasons.CONNACK_TIMEOUT)
        wait = ANSWER_MS
        if self._stage == _SUBSCRIBING:
            wait = self._left(now, self._asked_at, reasons.SUBSCRIBE_TIMEOUT)
        if self._flights:  # an answer to any of them is progress: they come in order
            since = max(self._flights[0].sent_at, self._acked_at)
            wait = min(wait, self._left(now, since, reasons.ACK_TIMEOUT))
        if self._ping_at is not None:
            return min(wait, self._left(now, self._ping_at, reasons.PING_TIMEOUT))
        left = self._sent_at + self._keepalive_s * 500 - now
        if left <= 0:
            self._ping_at = now
            self._ping_due = True
            return wait
        return min(wait, left)

    def _left(self, now: int, since: int, reason: int) -> int:
        left = since + ANSWER_MS - now
        if left <= 0:
            raise MqttError(reason, "for {} s".format((now - since) // 1000))
        return left

    def fill(self, now: int) -> int:
        """Write what is due into `out`; how many bytes of it are to be sent now. Send them all before the next call."""
        out = self.out
        out.rewind()
        while out.open() and self._next(out, now):
            pass
        if out.used:
            self._sent_at = now
        return out.used

    def _next(self, out: packets.Output, now: int) -> bool:
        """Write one packet, the most urgent first; False when nothing is due."""
        if self._connect_due:
            self._connect_due = False
            packets.connect(out, self._client, self._keepalive_s, self._will[0], self._will[1])
        elif not self.connected or self.finished:
            return False
        elif self._acks:
            packets.puback(out, self._acks.pop(0))
        elif self._goodbye:
            packets.disconnect(out)
            self._goodbye = False
            self.finished = True
        elif self._subscribe_due:
            self._subscribe_due = False
            self._subscribe_id = self._new_id()
            packets.subscribe(out, self._subscribe_id, self._filters)
        elif self._ping_due:
            self._ping_due = False
            packets.pingreq(out)
        else:
            return self._resend(out, now) or self._publish(out, now)
        return True

    def _resend(self, out: packets.Output, now: int) -> bool:
        for flight in self._flights:
            if flight.due:
                self._send(out, flight, now)
                return True
        return False

    def _publish(self, out: packets.Output, now: int) -> bool:
        """Take the next message from its source; QoS 0 is done as soon as it is written."""
        if len(self._flights) >= self._window:
            return False
        for source in self._sources:
            item = source.take()
            if item is None:
                continue
            flight = Flight(0, source, item)
            if self._topics[item.name][1]:
                flight.packet_id = self._new_id()
                self._flights.append(flight)
            self._send(out, flight, now)
            return True
        return False

    def _send(self, out: packets.Output, flight: Flight, now: int) -> None:
        payload = flight.source.render(flight.item)
        if payload is None:
            self._forget(flight)
            return
        flags = packets.DUP if flight.resend else 0
        if flight.resend:
            self.stats.resends += 1
        if getattr(flight.item, "retain", False):
            flags |= packets.RETAIN
        flight.due = False
        flight.sent_at = now
        packets.publish(out, self._topics[flight.item.name][0], payload, flags, flight.packet_id)
        if not flight.packet_id:
            self._forget(flight)

    def _forget(self, flight: Flight) -> None:
        if flight in self._flights:
            self._flights.remove(flight)
        flight.source.done(flight.item)

    def _new_id(self) -> int:
        """The next packet id that is not in use, 1 .. 65535 (section 2.3.1)."""
        while True:
            self._last_id = self._last_id % 65535 + 1
            if self._last_id != self._subscribe_id and self._last_id not in [f.packet_id for f in self._flights]:
                return self._last_id
