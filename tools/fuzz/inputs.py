"""How inputs are made from random numbers: plain noise, and good inputs that were damaged."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tools.fuzz.rng import Random

EDGES = (0x00, 0x01, 0x17, 0x18, 0x1B, 0x1F, 0x20, 0x3F, 0x40, 0x5F, 0x7F, 0x80, 0x9F, 0xA0, 0xBF, 0xC0, 0xF6, 0xFF)
MAX_SIZE = 640  # bytes of an input: beyond the largest entry


def noise(random: "Random") -> bytes:
    """Random bytes, short ones more often."""
    return random.data(random.below(1 << random.below(7)))


def damaged(random: "Random", seeds: "list[bytes]") -> bytes:
    """A good input with one to four things wrong."""
    data = seeds[random.below(len(seeds))]
    for _ in range(1 + random.below(4)):
        data = _damage(random, data, seeds)
    return data[:MAX_SIZE]


def _damage(random: "Random", data: bytes, seeds: "list[bytes]") -> bytes:
    how = random.below(7)
    at = random.below(len(data) + 1)
    head, tail = data[:at], data[at:]
    if how == 0:
        return head
    if how == 1:
        return head + tail[1 + random.below(4) :]
    if how == 2:
        return head + random.data(1 + random.below(4)) + tail
    if how == 3:
        return head + tail[: 1 + random.below(16)] + tail
    if how == 4:
        other = seeds[random.below(len(seeds))]
        return head + other[random.below(len(other) + 1) :]
    if not tail:
        return head
    byte = EDGES[random.below(len(EDGES))] if how == 5 else tail[0] ^ 1 << random.below(8)
    return head + bytes([byte]) + tail[1:]
