"""The packets that a client sends, written into one preallocated buffer (MQTT 3.1.1 section 3)."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from protocol.cbor import Source as Bytes

CONNECT = 1
CONNACK = 2
PUBLISH = 3
PUBACK = 4
SUBSCRIBE = 8
SUBACK = 9
PINGREQ = 12
PINGRESP = 13
DISCONNECT = 14

DUP = 8
RETAIN = 1
MAX_TOPIC = 128  # bytes; the contract has none above 64
SEGMENT = 1400  # bytes; a TLS record around it still fits one TCP segment
SMALL = 256  # bytes; every packet without its payload is shorter

_WILL_RETAINED_QOS1 = 0x2C  # connect flags: will present, will QoS 1, will retained, session kept


class Output:
    """Bytes on their way to the socket: one buffer, and what is left of a payload that did not fit."""

    def __init__(self, size: int = SEGMENT) -> None:
        if size < SMALL:
            raise ValueError("buffer below {} bytes".format(SMALL))
        self.view = memoryview(bytearray(size))
        self.used = 0
        self._rest: "memoryview | None" = None

    def clear(self) -> None:
        """Forget everything: the connection is gone."""
        self.used = 0
        self._rest = None

    def rewind(self) -> None:
        """The first `used` bytes were sent: refill the buffer with what is left of a long payload."""
        self.used = 0
        rest = self._rest
        if rest is not None:
            self._rest = None
            self.raw(rest)

    def open(self) -> bool:
        """True while there is room for another packet without payload."""
        return self._rest is None and self.used + SMALL <= len(self.view)

    def byte(self, value: int) -> None:
        """Append one byte."""
        self.view[self.used] = value
        self.used += 1

    def uint16(self, value: int) -> None:
        """Append two bytes, most significant first."""
        self.byte(value >> 8)
        self.byte(value & 0xFF)

    def head(self, kind: int, flags: int, remaining: int) -> None:
        """Append a fixed header."""
        self.byte(kind << 4 | flags)
        while remaining > 127:
            self.byte(remaining & 127 | 128)
            remaining >>= 7
        self.byte(remaining)

    def string(self, data: "Bytes") -> None:
        """Append a length of two bytes and `data`, which has to fit."""
        self.uint16(len(data))
        self.raw(data)

    def raw(self, data: "Bytes") -> None:
        """Append `data`; what does not fit waits for `rewind`."""
        room = len(self.view) - self.used
        size = len(data)
        if size > room:
            source = memoryview(data)
            self.view[self.used :] = source[:room]
            self._rest = source[room:]
            size = room
        else:
            self.view[self.used : self.used + size] = data
        self.used += size


def connect(out: Output, client: bytes, keepalive_s: int, topic: bytes, will: bytes) -> None:
    """CONNECT to a session that outlives the connection, with a retained will of QoS 1 (section 3.1)."""
    out.head(CONNECT, 0, 10 + 2 + len(client) + 2 + len(topic) + 2 + len(will))
    out.string(b"MQTT")
    out.byte(4)  # protocol level of 3.1.1
    out.byte(_WILL_RETAINED_QOS1)
    out.uint16(keepalive_s)
    out.string(client)
    out.string(topic)
    out.string(will)


def publish(out: Output, topic: bytes, payload: "Bytes", flags: int, packet_id: int) -> None:
    """PUBLISH with QoS 1, or with QoS 0 when `packet_id` is 0 (section 3.3); `flags` are DUP and RETAIN."""
    if packet_id:
        out.head(PUBLISH, flags | 2, 4 + len(topic) + len(payload))
        out.string(topic)
        out.uint16(packet_id)
    else:
        out.head(PUBLISH, flags, 2 + len(topic) + len(payload))
        out.string(topic)
    out.raw(payload)


def puback(out: Output, packet_id: int) -> None:
    """PUBACK (section 3.4)."""
    out.head(PUBACK, 0, 2)
    out.uint16(packet_id)


def subscribe(out: Output, packet_id: int, filters: "tuple[tuple[bytes, int], ...]") -> None:
    """SUBSCRIBE to all `filters`, each with its QoS (section 3.8)."""
    out.head(SUBSCRIBE, 2, 2 + sum([3 + len(name) for name, _ in filters]))
    out.uint16(packet_id)
    for name, qos in filters:
        out.string(name)
        out.byte(qos)


def pingreq(out: Output) -> None:
    """PINGREQ (section 3.12)."""
    out.head(PINGREQ, 0, 0)


def disconnect(out: Output) -> None:
    """DISCONNECT: the broker drops the will (section 3.14)."""
    out.head(DISCONNECT, 0, 0)
