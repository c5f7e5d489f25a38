"""Cuts the packets that a broker sends out of a byte stream (MQTT 3.1.1 sections 2 and 3).

One buffer, allocated once. The caller reads into `room()`, says how much with `fed()`, and takes packets with
`next()` until it returns 0. A PUBLISH longer than the buffer is reported without its payload and skipped.
Every flag and length is checked as soon as it is there; whatever is wrong raises MqttError(MALFORMED).
"""

from node.core.mqtt.errors import MqttError
from node.core.mqtt.packets import CONNACK, MAX_TOPIC, PINGRESP, PUBACK, PUBLISH, SUBACK
from protocol.cbor import MAX_SIZE, is_utf8
from protocol.reasons import MALFORMED

BUFFER = MAX_SIZE + 128  # bytes: the longest message of the contract, its topic and its headers
_LEAST = MAX_TOPIC + 16  # bytes: a PUBLISH up to its payload always fits
_CHUNK = 256  # bytes moved at a time; MicroPython copies an overlapping slice with memcpy

# kind -> (least, most) remaining length; PUBLISH is the only one with flags
_LENGTHS = {CONNACK: (2, 2), PUBLISH: (3, 268435455), PUBACK: (2, 2), SUBACK: (3, 34), PINGRESP: (0, 0)}


class Parser:
    """The packets of one connection, one at a time; the attributes describe the packet that `next` returned."""

    def __init__(self, size: int = BUFFER) -> None:
        self._view = memoryview(bytearray(max(size, _LEAST)))
        self.reset()

    def reset(self) -> None:
        """Forget everything: a new connection begins."""
        self._start = 0  # first byte of the current packet
        self._after = 0  # first byte behind the current packet
        self._end = 0  # first byte that holds nothing
        self._skip = 0  # bytes of a packet too long for the buffer, still to come
        self.packet_id = 0  # PUBACK, SUBACK, PUBLISH with QoS 1; 0 for QoS 0
        self.code = 0  # CONNACK return code
        self.session_present = False
        self.codes = b""  # SUBACK return codes
        self.topic = b""
        self.payload = self._view[:0]  # valid until the next call
        self.oversize = 0  # length of a PUBLISH that was skipped, otherwise 0

    def room(self) -> memoryview:
        """Where the next bytes go; never empty once `next` has returned 0."""
        if self._start == self._end:
            self._start = self._after = self._end = 0
        elif self._start and self._end == len(self._view):
            self._compact()
        return self._view[self._end :]

    def fed(self, count: int) -> None:
        """`count` bytes were put into `room()`."""
        self._end += count

    def next(self) -> int:
        """The kind of the next packet that is complete, or 0; raises MqttError."""
        self._start = self._after
        if self._skip:
            count = min(self._skip, self._end - self._start)
            self._skip -= count
            self._start += count
            self._after = self._start
        if self._start == self._end:
            return 0
        first = self._view[self._start]
        kind = first >> 4
        if kind not in _LENGTHS or (kind != PUBLISH and first & 15):
            raise MqttError(MALFORMED, "packet type or flags 0x{:02x}".format(first))
        body = self._body()
        if not body:
            return 0
        least, most = _LENGTHS[kind]
        if not least <= self._remaining <= most:
            raise MqttError(MALFORMED, "length {} of packet type {}".format(self._remaining, kind))
        if kind == PUBLISH:
            return self._publish(body, first & 15)
        if body + self._remaining > self._end:
            return 0
        self._after = body + self._remaining
        self._answer(kind, body)
        return kind

    def _body(self) -> int:
        """Where the variable header begins, with `_remaining` set; 0 when the fixed header is not complete."""
        at = self._start + 1
        value = 0
        for shift in (0, 7, 14, 21):
            if at >= self._end:
                return 0
            octet = self._view[at]
            value |= (octet & 127) << shift
            at += 1
            if octet < 128:
                self._remaining = value
                return at
        raise MqttError(MALFORMED, "length of more than four bytes")

    def _answer(self, kind: int, body: int) -> None:
        """Everything but PUBLISH: short, and complete in the buffer."""
        view = self._view
        if kind == CONNACK:
            self.code = view[body + 1]
            self.session_present = view[body] == 1
            if view[body] > 1 or self.code > 5 or (self.code and view[body]):
                raise MqttError(MALFORMED, "CONNACK")
        elif kind != PINGRESP:
            self.packet_id = self._uint16(body)
            self.codes = bytes(view[body + 2 : self._after])
            for code in self.codes:
                if code > 2 and code != 0x80:
                    raise MqttError(MALFORMED, "SUBACK")
            if not self.packet_id:
                raise MqttError(MALFORMED, "packet id 0")

    def _publish(self, body: int, flags: int) -> int:
        """PUBLISH, whole or (when it cannot fit) up to its payload."""
        qos = flags >> 1 & 3
        if qos > 1 or (flags & 8 and not qos):
            raise MqttError(MALFORMED, "PUBLISH flags {}".format(flags))  # we never ask for QoS 2
        total = body - self._start + self._remaining
        fits = total <= len(self._view)
        if body + 2 > self._end:
            return 0
        size = self._uint16(body)
        payload = body + 2 + size + 2 * qos
        if not 0 < size <= MAX_TOPIC or payload > self._start + total:
            raise MqttError(MALFORMED, "PUBLISH topic of {} bytes".format(size))
        if (self._start + total if fits else payload) > self._end:
            return 0
        self._name(body + 2, size, qos)
        if fits:
            self.oversize = 0
            self._after = self._start + total
            self.payload = self._view[payload : self._after]
        else:
            self.oversize = total
            self._after = self._end
            self._skip = total - (self._end - self._start)
            self.payload = self._view[:0]
        return PUBLISH

    def _name(self, at: int, size: int, qos: int) -> None:
        """Topic and packet id of a PUBLISH."""
        self.topic = bytes(self._view[at : at + size])
        for octet in self.topic:
            if octet in (0, 0x23, 0x2B):  # NUL, "#", "+": section 3.3.2.1
                raise MqttError(MALFORMED, "PUBLISH topic")
        if not is_utf8(self.topic):
            raise MqttError(MALFORMED, "PUBLISH topic is not UTF-8")
        self.packet_id = self._uint16(at + size) if qos else 0
        if qos and not self.packet_id:
            raise MqttError(MALFORMED, "packet id 0")

    def _uint16(self, at: int) -> int:
        return self._view[at] << 8 | self._view[at + 1]

    def _compact(self) -> None:
        """Move the bytes that are left to the front of the buffer."""
        view = self._view
        to = 0
        for at in range(self._start, self._end, _CHUNK):
            part = bytes(view[at : min(at + _CHUNK, self._end)])
            view[to : to + len(part)] = part
            to += len(part)
        self._start = self._after = 0
        self._end = to
