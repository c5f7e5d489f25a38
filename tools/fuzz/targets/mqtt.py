"""What a broker may send to a node: the packet parser in pieces of any size, and the session behind it."""

from firmware.tests import broker_bytes
from firmware.tests.test_mqtt_parser import BAD, GOOD
from node.core.mqtt.errors import MqttError
from node.core.mqtt.parser import Parser
from node.core.mqtt.queue import Queue
from node.core.mqtt.session import MESSAGE, Session
from tools.fuzz import inputs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tools.fuzz.rng import Random

INTERPRETERS = ("cpython", "micropython")
BOUND = (8192, 160)
_SIZE = 512  # of the parser's buffer, allocated once as on a node
_PARSER = Parser(_SIZE)
_PIECES = (1, 2, 3, 7, 50, 200)
_TOPICS = {"reply": (b"lum/1/n-1/up/reply", 1), "log": (b"lum/1/n-1/up/log", 0)}
_FILTERS = (("lum/1/n-1/down/cmd", 1), ("lum/1/n-1/down/config", 1))


def seeds() -> "list[bytes]":
    """The packets of the parser's own tests, good and bad."""
    return sorted([row[0] for row in GOOD.values()] + list(BAD.values()))


def generate(random: "Random", seeds: "list[bytes]") -> bytes:
    """Noise, damaged packets, and conversations that begin well and sometimes end badly."""
    how = random.below(16)
    if how < 2:
        return inputs.noise(random)
    if how < 6:
        return inputs.damaged(random, seeds)
    out = bytearray(broker_bytes.RESUMED if random.below(4) == 0 else broker_bytes.CONNACK)
    for _ in range(random.below(8)):
        out.extend(_packet(random))
    data = bytes(out)
    return inputs.damaged(random, [data]) if how < 9 else data[: inputs.MAX_SIZE]


def _packet(random: "Random") -> bytes:
    how = random.below(8)
    data: bytes = broker_bytes.PINGRESP
    if how < 2:
        data = broker_bytes.puback(1 + random.below(6))
    elif how == 2:
        data = broker_bytes.suback(1 + random.below(2), 1, (0, 1, 0x80)[random.below(3)])
    elif how > 3:
        topic = _FILTERS[random.below(2)][0] if random.below(4) else "t" * (1 + random.below(140))
        payload = random.data(random.below(8)) * (1 + random.below(100) if random.below(4) == 0 else 1)
        flags = (0, 0, 0, 1, 8, 9, 2, 4)[random.below(8)]
        data = broker_bytes.publish(topic, payload, random.below(3), flags)
    return data


class _Far:
    """A session with messages in flight, and the parser before it."""

    def __init__(self) -> None:
        self.said: list[str] = []
        queue = Queue()
        for _ in range(3):
            queue.put("reply", b"r", False)
        self.session = Session("n-1", ("lum/1/n-1/up/state", b""), _FILTERS, (queue,), _TOPICS)
        self.session.connect(0, "b", 60, 2)
        self.session.fill(0)
        self.reports = 0

    def feed(self, data: bytes, piece: int) -> None:
        """Let the parser read `data` in pieces; raises MqttError."""
        _PARSER.reset()
        at = 0
        while at < len(data):
            room = _PARSER.room()
            count = min(piece, len(room), len(data) - at)
            room[:count] = data[at : at + count]
            _PARSER.fed(count)
            at += count
            kind = _PARSER.next()
            while kind:
                self.take(kind)
                kind = _PARSER.next()

    def take(self, kind: int) -> None:
        """One packet: into the session, which answers before the next."""
        report = self.session.received(_PARSER, kind, 1)
        if report == MESSAGE:
            self.session.acknowledge(_PARSER)
        self.session.fill(1)
        assert not self.session.congested(), "acknowledgements pile up"
        self.reports += report

    def text(self) -> str:
        """What became of the session."""
        stats = self.session.stats
        return f"{self.reports} {self.session.in_flight} {stats.acked} {stats.strays} {stats.received}"


def parse(data: bytes) -> None:
    """Feed it in one go, and swallow the one declared error."""
    try:
        _Far().feed(data, len(data))
    except MqttError:
        return


def verdict(data: bytes) -> bytes:
    """What session and parser make of it, however the bytes arrive."""
    said = _told(data, len(data) or 1)
    for piece in (1, 5):
        assert _told(data, piece) == said, f"another verdict in pieces of {piece}"
    return said.encode()


def _told(data: bytes, piece: int) -> str:
    far = _Far()
    try:
        far.feed(data, piece)
    except MqttError as error:
        return f"{error} after {far.text()}"
    return f"ok {far.text()}"
