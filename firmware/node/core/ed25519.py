"""Ed25519 verification (RFC 8032 section 5.1.7) in integers of any size, as a generator that yields between steps.

What is compared is the encoding of sB - hA with R, so the cofactor is not multiplied in (as OpenSSL does it). Beyond
OpenSSL, which takes them, these are refused: a key that is not encoded as RFC 8032 section 5.1.3 says (y not reduced,
or the sign of x = 0 set), and a key or R of small order: the first has signatures that anybody can make, an honest
signer never makes the second. Nothing here is secret, so time may depend on everything.

How it is fast: doublings are shared by both scalars, which are written with digits 0, +-1, +-3, +-5, +-7 of which at
least three in four are 0; products are folded at bit 255 (2**255 = 19), which is cheaper than a division, and reduced
wholly only where they go round; points are extended coordinates (Hisil, Wong, Carter, Dawson 2008).
"""

from node.core.sha512 import sha512

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator

    Point = tuple[int, int, int, int]  # extended coordinates x, y, z, t, reduced
    Sum = tuple[int, int, int, int]  # e, f, g, h: the point (ef, gh, fg, eh), which is multiplied out only where needed
    Entry = tuple[int, int, int, int]  # y - x, y + x, 2dt, 2z of a point that is added often

SIGNATURE = 64  # bytes
P = (1 << 255) - 19
L = (1 << 252) + 0x14DEF9DEA2F79CD65812631A5CF5D3ED
_D = 0x52036CEE2B6FFE738CC740797779E89800700A4D4141D8AB75EB4DCA135978A3
_ROOT = 0x2B8324804FC1DF0B2B4D00993DFBD7A72F431806AD2FE478C4EE1B274A0EA0B0  # of -1
_BX = 0x216936D3CD6E53FEC0A4E231FDD6DC5C692CC7609525A7B2C9562D608F25D51A
_BY = 0x6666666666666666666666666666666666666666666666666666666666666658
_LOW = (1 << 255) - 1
_DIGITS = 254  # of a scalar below 2**253, whose highest may be carried into


class Key:
    """A public key (32 bytes) that remembers its x, which takes a tenth of a verification to find."""

    def __init__(self, public: bytes) -> None:
        self.public = public
        self.x = -1  # not known yet


def verify(public: "bytes | Key", message: bytes, signature: bytes) -> "Generator[None, None, bool]":
    """Return whether `signature` is one of `message` under the key; never raises, whatever the bytes are."""
    key = public if isinstance(public, Key) else Key(public)
    if len(signature) != SIGNATURE or len(key.public) != 32:
        return False
    r = signature[:32]
    s = int.from_bytes(signature[32:], "little")
    y = int.from_bytes(key.public, "little") & _LOW
    if s >= L or y >= P or _is_small(y) or _is_small(int.from_bytes(r, "little") & _LOW):
        return False
    if key.x < 0:
        key.x = yield from _x_of(y, key.public[31] >> 7)
    if not key.x:
        return False
    digest = yield from sha512(r + key.public + message)
    h = int.from_bytes(digest, "little") % L
    point = yield from _combine(s, h, P - key.x, y)
    return (yield from _encode(point)) == r


def _is_small(y: int) -> bool:
    """True when the points with that y have an order of 1, 2, 4 or 8."""
    y = y * y % P
    return y * (y - 1) * (_D * y * y + 2 * y - 1) % P == 0


def _mul(a: int, b: int) -> int:
    """A number that is a * b modulo P; below 2**277 in size when neither factor is above 2**264."""
    a *= b
    return (a & _LOW) + (a >> 255) * 19


def _x_of(y: int, sign: int) -> "Generator[None, None, int]":
    """The x that goes with y and the sign, 0 when there is none (section 5.1.3; never asked for the x that is 0)."""
    y = y * y % P
    u = y - 1
    v = (_D * y + 1) % P
    x = u * v**3 % P
    z = yield from _power(x * v**4 % P)
    x = x * z % P
    error = (v * x * x - u) % P
    if error:
        if (error + 2 * u) % P:
            return 0
        x = x * _ROOT % P
    return P - x if x & 1 != sign else x


def _power(z: int) -> "Generator[None, None, int]":
    """z ** (2**252 - 3): 250 ones, then 01. A run of ones is squared into one of twice the length."""
    power = z
    size = 1
    for more in (1, 1, 1, 1, 0, 1, 0):
        start = power
        for at in range(size):
            if not at & 31:
                yield
            power = _mul(power, power) % P
        power = _mul(power, start) % P
        size <<= 1
        if more:
            power = _mul(_mul(power, power) % P, z) % P
            size += 1
    return power**4 * z % P


def _combine(s: int, h: int, x: int, y: int) -> "Generator[None, None, Sum]":
    """sB + h(x, y)."""
    work = []
    for scalar, start in ((s, (_BX, 1, 1, _BY)), (h, (x, 1, 1, y))):
        work.append((_digits(scalar), _multiples(start)))
        yield
    total = (0, 1, 1, 1)
    for at in range(_DIGITS - 1, -1, -1):
        total = _double(total)
        for digits, multiples in work:
            if digits[at]:
                total = _add(_point(total), multiples, digits[at])
        if not at & 3:
            yield
    return total


def _digits(scalar: int) -> bytearray:
    """The scalar in base 2, lowest digit first: 0, or 1, 3, 5, 7, or 9, 11, 13, 15, which stand for -7, -5, -3, -1."""
    digits = bytearray(_DIGITS)
    at = 0
    while scalar:
        if scalar & 1:
            digit = scalar & 15
            digits[at] = digit
            scalar = (scalar >> 4) + (digit >> 3)
            at += 4
        else:
            scalar >>= 1
            at += 1
    return digits


def _multiples(start: "Sum") -> "list[Entry]":
    """1, 3, 5 and 7 times a point."""
    twice = [_entry(_point(_double(start)))]
    found = []
    for _ in range(4):
        point = _point(start)
        found.append(_entry(point))
        start = _add(point, twice, 1)
    return found


def _entry(point: "Point") -> "Entry":
    x, y, z, t = point
    return y - x, y + x, _mul(t, _D + _D) % P, z + z


def _point(total: "Sum") -> "Point":
    e, f, g, h = total
    return _mul(e, f) % P, _mul(g, h) % P, _mul(f, g) % P, _mul(e, h) % P


def _double(total: "Sum") -> "Sum":
    e, f, g, h = total
    x = _mul(e, f) % P
    y = _mul(g, h) % P
    z = _mul(f, g) % P
    e = _mul(x + x, y)
    x = _mul(x, x)
    y = _mul(y, y)
    g = y - x
    return e, _mul(z + z, z) - g, g, y + x


def _add(point: "Point", multiples: "list[Entry]", digit: int) -> "Sum":
    """A point and the multiple that the digit stands for."""
    x, y, z, t = point
    if digit < 8:
        minus, plus, t2, z2 = multiples[digit >> 1]
    else:
        plus, minus, t2, z2 = multiples[7 - (digit >> 1)]
        t2 = -t2
    a = _mul(y - x, minus)
    b = _mul(y + x, plus)
    c = _mul(t, t2)
    d = _mul(z, z2)
    return b - a, d - c, d + c, b + a


def _encode(total: "Sum") -> "Generator[None, None, bytes]":
    """The 32 bytes of a point (section 5.1.2)."""
    e, f, g, h = total
    z = yield from _inverse(f * g % P)
    y = g * h * z % P
    if e * f * z % P & 1:
        y += 1 << 255
    return y.to_bytes(32, "little")


def _inverse(z: int) -> "Generator[None, None, int]":
    """1 / z modulo P for z in 1 .. P-1, by Euclid: a fifth of the work of raising z to P - 2."""
    a, b, u, v = P, z, 0, 1
    steps = 0
    while b > 1:
        if not steps & 31:
            yield
        steps += 1
        q = a // b
        a, b, u, v = b, a - q * b, v, u - q * v
    return v % P
