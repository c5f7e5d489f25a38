"""The packets of a broker as bytes, and a reader for what a client sent. Both interpreters."""

from node.core.mqtt.parser import Parser

CONNACK = bytes((0x20, 2, 0, 0))
RESUMED = bytes((0x20, 2, 1, 0))
PINGRESP = bytes((0xD0, 0))


def connack(code):
    return bytes((0x20, 2, 0, code))


def puback(packet_id):
    return bytes((0x40, 2, packet_id >> 8, packet_id & 255))


def suback(packet_id, *codes):
    return bytes((0x90, 2 + len(codes), packet_id >> 8, packet_id & 255)) + bytes(codes)


def length(count):
    out = bytearray()
    while count > 127:
        out.append(count & 127 | 128)
        count >>= 7
    out.append(count)
    return bytes(out)


def publish(topic, payload, packet_id=0, flags=0):
    name = topic.encode()
    body = bytes((len(name) >> 8, len(name) & 255)) + name
    if packet_id:
        flags |= 2
        body += bytes((packet_id >> 8, packet_id & 255))
    body += payload
    return bytes((0x30 | flags,)) + length(len(body)) + body


def sent(data):
    """What a client wrote, as tuples (type, flags, packet id, topic, payload)."""
    packets = []
    at = 0
    while at < len(data):
        kind, flags = data[at] >> 4, data[at] & 15
        at += 1
        size = shift = 0
        while True:
            octet = data[at]
            at += 1
            size |= (octet & 127) << shift
            shift += 7
            if octet < 128:
                break
        body = data[at : at + size]
        assert len(body) == size, "cut off"
        at += size
        packet_id, topic, payload = 0, "", b""
        if kind == 3:
            end = 2 + (body[0] << 8 | body[1])
            topic = str(body[2:end], "utf-8")
            if flags & 6:
                packet_id = body[end] << 8 | body[end + 1]
                end += 2
            payload = bytes(body[end:])
        elif kind in (4, 8):
            packet_id = body[0] << 8 | body[1]
            payload = bytes(body[2:])
        elif kind == 1:
            payload = bytes(body)
        packets.append((kind, flags, packet_id, topic, payload))
    return packets


def parsed(data, size=512, step=10000):
    """What a parser of `size` bytes makes of `data` when it comes in pieces of `step` bytes."""
    parser = Parser(size)
    found = []
    at = 0
    while at < len(data):
        room = parser.room()
        count = min(step, len(room), len(data) - at)
        room[:count] = data[at : at + count]
        parser.fed(count)
        at += count
        kind = parser.next()
        while kind:
            found.append(described(parser, kind))
            kind = parser.next()
    return found


def described(parser, kind):
    if kind == 2:
        return ("CONNACK", parser.session_present, parser.code)
    if kind == 3:
        if parser.oversize:
            return ("SKIPPED", parser.topic.decode(), parser.packet_id, parser.oversize)
        return ("PUBLISH", parser.topic.decode(), parser.packet_id, bytes(parser.payload))
    if kind == 4:
        return ("PUBACK", parser.packet_id)
    if kind == 9:
        return ("SUBACK", parser.packet_id, list(parser.codes))
    return ("PINGRESP",)
