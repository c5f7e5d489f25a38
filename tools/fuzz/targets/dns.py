"""The answers of a name server and of a time server, as a node reads them."""

from firmware.tests import test_dns, test_sntp
from node.core import dns, sntp
from node.core.dns import DnsError
from node.core.sntp import SntpError
from tools.fuzz import inputs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tools.fuzz.rng import Random

INTERPRETERS = ("cpython", "micropython")
BOUND = (4096, 160)


def seeds() -> "list[bytes]":
    """The answers of the codecs' own tests, good and bad."""
    found = [row[0] for row in test_dns.GOOD.values()] + list(test_dns.BAD.values())
    return sorted(found + list(test_sntp.BAD.values()) + [test_sntp.packet()])


def generate(random: "Random", seeds: "list[bytes]") -> bytes:
    """Noise with the right identifier, and damaged answers."""
    if random.below(8) == 0:
        return b"\x12\x34\x81\x80" + inputs.noise(random)
    return inputs.damaged(random, seeds)


def parse(data: bytes) -> None:
    """Read it as both, and swallow the declared errors."""
    _dns(data)
    _sntp(data)


def verdict(data: bytes) -> bytes:
    """Both readings."""
    return f"{_dns(data)}|{_sntp(data)}".encode()


def _dns(data: bytes) -> str:
    try:
        found = dns.answer(data, test_dns.HOST, 0x1234)
    except DnsError as error:
        return str(error)
    for address in found:
        assert dns.literal(address), "not an address"
    return "ok " + " ".join(found)


def _sntp(data: bytes) -> str:
    try:
        found = sntp.answer(data, test_sntp.COOKIE, 1000, 1100, test_sntp.FLOOR_S)
    except SntpError as error:
        return str(error)
    assert found.utc_ms >= test_sntp.FLOOR_S * 1000, "before the floor"
    assert 0 <= found.round_trip_ms <= sntp.MAX_ROUND_TRIP_MS, "round trip"
    return f"ok {found.utc_ms} {found.round_trip_ms}"
