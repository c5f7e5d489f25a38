"""The only module that speaks MQTT: one session with the broker, driven by one thread of its own.

paho is used through its interface for foreign event loops: reading and acknowledging in bursts costs far less than its
own thread, which calls select() around every packet.
What arrives is handed to `deliver` in that thread and acknowledged only when the receiver says so with `ack`. The
session is persistent: the broker keeps what comes while the service is away, and sends again what was not acknowledged.
"""

import contextlib
import random
import select
import socket
import ssl
import struct
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from paho.mqtt import client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from fleet.errors import FleetError, TimedOutError, UnreachableError

KEEPALIVE_S = 60
CONNECT_S = 10  # TCP, TLS and CONNACK; a broker that restarts with a large store takes some seconds
PUBLISH_S = 10.0  # until PUBACK; JetStream with sync "always" takes some milliseconds
BACKOFF_FIRST_S = 0.1
BACKOFF_MAX_S = 10.0
WINDOW = 256  # messages of QoS 1 of one batch that are on their way at once
POSTS = 2048  # messages of QoS 0 that wait to be written
_PUBACK = struct.Struct("!BBH")
_AT_ONCE = 64 << 10  # bytes that are put together for one write
_BURST = 128  # packets read before what is to be sent gets its turn
_TICK_MS = 1000  # keep-alive is looked after so often


class Delivery(NamedTuple):
    """One message as it came. `mid` is 0 for QoS 0; `session` tells in which connection it has to be acknowledged."""

    topic: str
    payload: bytes
    mid: int
    session: int
    at_ns: int  # UTC of its arrival
    retained: bool


@dataclass(frozen=True)
class Endpoint:
    """A broker, and who we are there. Without `tls` the connection is in the clear: for tests on the loopback."""

    host: str
    port: int
    client_id: str
    tls: ssl.SSLContext | None = None
    clean: bool = False  # QoS 0 and no session left behind: for those who only look


class Message(NamedTuple):
    """What shall be published with QoS 1."""

    topic: str
    payload: bytes
    retain: bool = False


@dataclass
class _Batch:
    """Messages that one thread waits for."""

    left: int  # neither acknowledged nor lost
    done: threading.Event = field(default_factory=threading.Event)
    taken: list[int] = field(default_factory=list)  # which were acknowledged
    fault: str = ""


@dataclass(slots=True)
class _Outgoing:
    message: Message
    place: int  # in its batch
    batch: _Batch

    def end(self, fault: str = "") -> None:
        """It was acknowledged, or lost: in the thread of the bus."""
        if fault:
            self.batch.fault = fault
        else:
            self.batch.taken.append(self.place)
        self.batch.left -= 1
        if not self.batch.left:
            self.batch.done.set()


def tls_context(authority: Path, cert: Path, key: Path) -> ssl.SSLContext:
    """Mutual TLS: trust that authority, show that certificate."""
    try:
        context = ssl.create_default_context(cafile=str(authority))
        context.load_cert_chain(cert, key)
    except (OSError, ssl.SSLError) as error:
        raise FleetError(
            "the service's certificate cannot be used",
            hint="`fleet doctor` looks at every certificate",
            cause=str(error),
        ) from error
    return context


class Bus:
    """`deliver(delivery)` is called in the bus's thread; False means: no room, the broker shall send it again later."""

    def __init__(
        self,
        endpoint: Endpoint,
        filters: tuple[str, ...],
        deliver: Callable[[Delivery], bool],
        log: Callable[[str], None],
    ) -> None:
        self._endpoint = endpoint
        self._filters = filters
        self._deliver = deliver
        self._log = log
        self._held: set[int] = set()  # packet ids that were delivered here and not acknowledged
        self._acks: deque[list[Delivery]] = deque()
        self._posts: deque[bytes] = deque()  # packets of QoS 0
        self._raw = bytearray()  # what of acknowledgements and posts is being written
        self._cut = False  # the first of these bytes may be in the middle of a packet
        self._outgoing: deque[_Outgoing] = deque()
        self._unanswered: dict[int, _Outgoing] = {}
        self._wake_out, self._wake_in = socket.socketpair()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="bus", daemon=True)
        self._subscribed = False  # once per process: a session may be present without subscriptions
        self._stalled = False  # a delivery found no room
        self._holding = False  # nothing is read any more
        self.up = threading.Event()  # connected and subscribed
        self.session = 0  # grows with every connection
        self.received = 0
        self._answered = 0  # messages of ours that the broker acknowledged
        self.repeated = 0  # sent again by the broker while they were being stored
        self.fault = ""  # why the last connection ended, while there is no other
        self._refusal = ""  # what the broker said to that
        self._client: mqtt.Client | None = None

    def start(self) -> None:
        """Connect, and again whenever the connection ends; returns at once."""
        self._thread.start()

    def ack(self, done: list[Delivery]) -> None:
        """These are safe: tell the broker. May be called from any thread."""
        self._acks.append(done)
        self._wake()

    def publish(self, topic: str, payload: bytes, retain: bool = False, timeout_s: float = PUBLISH_S) -> None:
        """QoS 1, ahead of what waits; returns after PUBACK. UnreachableError, TimedOutError: it may have arrived."""
        batch = self._hand_over([Message(topic, payload, retain)], timeout_s, ahead=True)
        if batch.fault:
            raise UnreachableError("the connection to the broker ended", cause=batch.fault)
        if not batch.taken:
            raise TimedOutError(f"the broker does not acknowledge {topic}")

    def publish_all(self, messages: Sequence[Message], timeout_s: float = PUBLISH_S) -> list[int]:
        """QoS 1, all on their way at once; the places of those that were acknowledged within `timeout_s`, ascending.

        The others may or may not have arrived. UnreachableError without a connection: then none was sent. The caller
        bounds the number: what the broker has not acknowledged is kept here.
        """
        return sorted(self._hand_over(messages, timeout_s).taken[:])

    def _hand_over(self, messages: Sequence[Message], timeout_s: float, ahead: bool = False) -> _Batch:
        if not self.up.is_set():
            raise UnreachableError("no connection to the broker", cause=self.fault)
        batch = _Batch(len(messages))
        put = self._outgoing.extendleft if ahead else self._outgoing.extend  # ahead goes one at a time
        put(_Outgoing(message, place, batch) for place, message in enumerate(messages))
        self._wake()
        batch.done.wait(timeout_s if messages else 0)
        return batch

    def post(self, messages: Iterable[tuple[str, bytes]]) -> int:
        """(topic, payload) with QoS 0; returns at once how many found a connection and room. The others are lost."""
        taken = 0
        for topic, payload in messages:
            if not self.up.is_set() or len(self._posts) >= POSTS:
                break
            self._posts.append(_publish_packet(topic.encode(), payload))
            taken += 1
        self._wake()
        return taken

    def resume(self) -> None:
        """There is room again: make the broker repeat what was turned away, by connecting anew."""
        if self._stalled:
            self._stalled = False
            self.close_connection()

    def close_connection(self) -> None:
        """Break the connection; it is made again at once."""
        found = self._client.socket() if self._client is not None else None
        if isinstance(found, socket.socket):
            with contextlib.suppress(OSError):
                found.shutdown(socket.SHUT_RDWR)

    def hold(self) -> None:
        """Read nothing more, before `stop`: what is there is left to the next session."""
        self._holding = True
        self._wake()

    def stop(self) -> None:
        """Send what is acknowledged, disconnect in good order, end the thread. The session stays."""
        self._stopping.set()
        self._wake()
        if self._thread.ident is not None:
            self._thread.join(CONNECT_S)  # a handshake with a broker that hangs is left to the end of the process
        self._wake_in.close()
        self._wake_out.close()

    def _wake(self) -> None:
        with contextlib.suppress(OSError):  # full: it is awake already; closed: it has ended
            self._wake_out.send(b"\0", socket.MSG_DONTWAIT)

    def _run(self) -> None:
        wait_s = BACKOFF_FIRST_S
        while not self._stopping.is_set() and not self._holding:
            self._refusal = reason = ""
            try:
                self._client = self._connect()
                self._serve(self._client)
            except Exception as error:  # OSError as a rule; whatever it is, the next connection may work
                reason = str(error) or type(error).__name__
            self.fault = self._refusal or reason or "closed"
            wait_s = BACKOFF_FIRST_S if self.up.is_set() else min(wait_s * 2, BACKOFF_MAX_S)
            self._end()
            if not self._stopping.is_set():
                self._log(f"broker connection ended: {self.fault}")
                self._stopping.wait(wait_s * random.uniform(0.5, 1))

    def _connect(self) -> mqtt.Client:
        """A new client for every connection: nothing is left over from the one before but the session at the broker."""
        made = mqtt.Client(
            CallbackAPIVersion.VERSION2,
            self._endpoint.client_id,
            clean_session=self._endpoint.clean,
            protocol=mqtt.MQTTv311,
            reconnect_on_failure=False,  # also keeps paho from falling back to MQTT 3.1
            manual_ack=True,
        )
        if self._endpoint.tls is not None:
            made.tls_set_context(self._endpoint.tls)
        made.connect_timeout = CONNECT_S
        made.max_inflight_messages_set(2 * WINDOW)  # one batch of orders, and room beside it
        made.on_connect = self._on_connect
        made.on_subscribe = self._on_subscribe
        made.on_message = self._on_message
        made.on_publish = self._on_publish
        made.on_socket_register_write = _leave  # packets wait for _serve, which writes them together
        made.connect(self._endpoint.host, self._endpoint.port, KEEPALIVE_S)
        return made

    def _serve(self, client: mqtt.Client) -> None:
        """Move packets until the connection ends or the bus stops."""
        poller = select.poll()
        poller.register(self._wake_in, select.POLLIN)
        end = time.monotonic() + CONNECT_S
        while (found := client.socket()) is not None:
            pending = isinstance(found, ssl.SSLSocket) and found.pending() > 0
            reads = 0 if self._holding else select.POLLIN
            writes = self._raw or self._posts or client.want_write()
            poller.register(found, reads | (select.POLLOUT if writes else 0))
            ready = dict(poller.poll(0 if pending and reads else _TICK_MS))
            if self._wake_in.fileno() in ready:
                self._wake_in.recv(4096)
            if reads and (pending or found.fileno() in ready):
                self._read(client)
            elif ready.get(found.fileno(), 0) & (select.POLLHUP | select.POLLERR):
                return
            if client.socket() is not found:
                return
            self._send(client, found)
            if self._stopping.is_set() and not self._raw:
                client.disconnect()
                client.loop_write()
                return
            client.loop_misc()
            if not self.up.is_set() and time.monotonic() > end:
                raise TimeoutError("the broker does not answer")

    def _read(self, client: mqtt.Client) -> None:
        """Read what is there, up to a burst; a read that brings nothing means that there is no more for now."""
        for _ in range(_BURST):
            before = self.received + self._answered
            if client.loop_read() != mqtt.MQTT_ERR_SUCCESS or self.received + self._answered == before:
                return

    def _send(self, client: mqtt.Client, found: "mqtt.SocketLike") -> None:
        """Write what waits: acknowledgements and posts, then messages of QoS 1; neither in the middle of the other."""
        while self._acks:
            for delivery in self._acks.popleft():
                if delivery.session == self.session and delivery.mid:
                    self._raw += _PUBACK.pack(0x40, 2, delivery.mid)
                    self._held.discard(delivery.mid)
        while self._posts and self.up.is_set() and not self._cut and len(self._raw) < _AT_ONCE:
            self._raw += self._posts.popleft()
        if self._cut or not client.want_write():
            self._write_raw(found)
        while self._outgoing and self.up.is_set():
            item = self._outgoing.popleft()
            topic, payload, retain = item.message
            mid = client.publish(topic, payload, 1, retain).mid
            self._unanswered[mid] = item
        if client.want_write() and not self._cut:
            client.loop_write()

    def _write_raw(self, found: "mqtt.SocketLike") -> None:
        """In one piece: paho would make a system call and a TLS record of each, a quarter of the cost of a message."""
        while self._raw:
            try:
                sent = found.send(self._raw)
            except (BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
                self._cut = True  # also since OpenSSL wants the same bytes again before any others
                return
            del self._raw[:sent]
        self._cut = False

    def _end(self) -> None:
        self.up.clear()
        self._held.clear()
        self._posts.clear()
        self._raw.clear()
        self._cut = False
        lost = list(self._unanswered.values())
        self._unanswered.clear()
        while self._outgoing:
            lost.append(self._outgoing.popleft())
        for item in lost:
            item.end(self.fault or "closed")

    def _on_connect(self, client: mqtt.Client, _data: Any, flags: Any, reason: Any, _properties: Any) -> None:
        if reason.is_failure:
            self._refusal = f"the broker refuses us: {reason}"
            return
        self.session += 1
        if flags.session_present and self._subscribed:
            self._is_up()
        else:
            # NATS limits what all QoS 1 subscriptions of a client may hold unacknowledged: two of `lum/1/ID/up/#` fail
            client.subscribe([(item, 0 if self._endpoint.clean else 1) for item in self._filters])

    def _on_subscribe(self, client: mqtt.Client, _data: Any, _mid: int, reasons: list[Any], _properties: Any) -> None:
        if any(reason.is_failure for reason in reasons):
            self._refusal = f"the broker refuses a subscription to {', '.join(self._filters)}"
            client.disconnect()
            return
        self._subscribed = True
        self._is_up()

    def _is_up(self) -> None:
        self.fault = ""
        self._log("connected to the broker")
        self.up.set()

    def _on_message(self, _client: mqtt.Client, _data: Any, message: mqtt.MQTTMessage) -> None:
        self.received += 1
        mid = message.mid
        if mid and mid in self._held:
            self.repeated += 1  # a packet id is free only when it is acknowledged, so it is the same message
            return
        try:
            topic = message.topic
        except UnicodeDecodeError:
            topic = "(not UTF-8)"
        delivery = Delivery(topic, bytes(message.payload), mid, self.session, time.time_ns(), message.retain)
        if not self._deliver(delivery):
            self._stalled = True
        elif mid:
            self._held.add(mid)

    def _on_publish(self, _client: mqtt.Client, _data: Any, mid: int, _reason: Any, _properties: Any) -> None:
        item = self._unanswered.pop(mid, None)
        if item is not None:
            self._answered += 1
            item.end()


def _publish_packet(topic: bytes, payload: bytes) -> bytes:
    """A PUBLISH of QoS 0 (MQTT 3.1.1, 3.3)."""
    size = 2 + len(topic) + len(payload)
    head = bytearray(b"\x30")
    while size > 127:
        head.append(size & 127 | 128)
        size >>= 7
    head.append(size)
    return b"".join((head, len(topic).to_bytes(2, "big"), topic, payload))


def _leave(*_: Any) -> None:
    pass
