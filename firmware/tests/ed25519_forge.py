"""Signatures that nobody should make, for CPython: points and keys at will, slowly and by the book (RFC 8032).

`python -m firmware.tests.ed25519_forge` writes ed25519_rows.json, which both interpreters are held
against. It shares nothing with what is under test: affine points, SHA-512 of hashlib, `cryptography` as the referee.
"""

import json
from functools import cache
from hashlib import sha512
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P
NEUTRAL = (0, 1)
SECRET = 0x5A17C0DE << 200 | 0xB0A710AD  # any number
NONCE = 0x7EA0FACE << 190 | 0x1CEB00DA  # another

Affine = tuple[int, int]
Row = tuple[bytes, bytes, bytes]  # public key, message, signature


def add(one: Affine, other: Affine) -> Affine:
    """The sum of two points."""
    (x1, y1), (x2, y2) = one, other
    both = D * x1 * x2 * y1 * y2
    x = (x1 * y2 + x2 * y1) * pow(1 + both, -1, P) % P
    return x, (y1 * y2 + x1 * x2) * pow(1 - both, -1, P) % P


@cache
def times(number: int, point: Affine) -> Affine:
    """A point added up."""
    total = NEUTRAL
    for bit in bin(number)[2:]:
        total = add(total, total)
        if bit == "1":
            total = add(total, point)
    return total


def point_with(y: int, sign: int) -> Affine | None:
    """The point with that y, reduced, and that sign of x, or None."""
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    if x * x % P != square:
        x = x * pow(2, (P - 1) // 4, P) % P
    if x * x % P != square:
        return None
    return (P - x if x & 1 != sign and x else x), y % P


def written(y: int, sign: int) -> bytes:
    """32 bytes that say y, which need not be reduced, and a sign."""
    return (y | sign << 255).to_bytes(32, "little")


def encoded(point: Affine) -> bytes:
    """The one encoding of a point."""
    return written(point[1], point[0] & 1)


BASE = point_with(4 * pow(5, -1, P) % P, 0) or NEUTRAL
PUBLIC = times(SECRET, BASE)
_EIGHTH = next(  # a point of order 8
    point for point in (times(L, point_with(y, 0) or NEUTRAL) for y in range(99)) if times(4, point) != NEUTRAL
)
SMALL = [times(number, _EIGHTH) for number in range(8)]  # every point of small order; the neutral one is the first


def challenge(r: bytes, public: bytes, message: bytes) -> int:
    """The h of a signature."""
    return int.from_bytes(sha512(r + public + message).digest(), "little") % L


def joined(r: bytes, s: int) -> bytes:
    """A signature."""
    return r + s.to_bytes(32, "little")


def signed(
    message: bytes, public: bytes = encoded(PUBLIC), secret: int = SECRET, nonce: int = NONCE, r: bytes | None = None
) -> Row:
    """A message, signed as the standard says but for what is given."""
    start = encoded(times(nonce, BASE)) if r is None else r
    return public, message, joined(start, (nonce + challenge(start, public, message) * secret) % L)


def accepted(public: bytes, message: bytes, signature: bytes) -> bool:
    """What `cryptography` (OpenSSL) says."""
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


def strictness(public: bytes, signature: bytes) -> str:
    """Why we refuse what OpenSSL may take, or "": the three rules of node/core/ed25519.py and no other."""
    number = int.from_bytes(public, "little")
    y, sign = number % 2**255, number >> 255
    point = point_with(y % P, sign)
    if y >= P or (point is not None and point[0] == 0 and sign):
        return "a key that is not encoded as it should be"
    if point in SMALL:
        return "a key of small order"
    number = int.from_bytes(signature[:32], "little")
    return "an R of small order" if point_with(number % 2**255 % P, number >> 255) in SMALL else ""


def _until(make, good) -> Row:  # type: ignore[no-untyped-def]
    """The first row of `make(message)` that is good, message by message."""
    return next(row for row in (make(b"try %d" % number) for number in range(1000)) if good(row))


def _with_key(key: bytes, point: Affine) -> Row:
    """What anybody makes for a key of small order: a message of which h times the key is nothing."""
    return _until(
        lambda message: signed(message, key, 0),
        lambda row: times(challenge(row[2][:32], key, row[1]), point) == NEUTRAL,
    )


def stricter() -> dict[str, Row]:
    """Accepted by OpenSSL, refused by us."""
    rows = {}
    for number, point in enumerate(SMALL):
        rows[f"a key of small order, {number} of 8"] = _with_key(encoded(point), point)
    for number in (2, 6):
        y, x = SMALL[number][1], SMALL[number][0]
        rows[f"the key y = 0 written as p, sign {x & 1}"] = _with_key(written(P + y, x & 1), SMALL[number])
    for sign in (0, 1):
        rows[f"the key y = 1 written as p + 1, sign {sign}"] = _with_key(written(P + 1, sign), NEUTRAL)
    rows["the key y = 1 with the sign of x = 0 set"] = _with_key(written(1, 1), NEUTRAL)
    rows["the key y = -1 with the sign of x = 0 set"] = _with_key(written(P - 1, 1), SMALL[4])
    rows["R is the neutral point"] = signed(b"no nonce", nonce=0)
    public = encoded(add(PUBLIC, SMALL[1]))
    for number in (3, 4, 6):
        r = encoded(SMALL[number])
        rows[f"R has small order, {number} of 8, and the key a part of it"] = _until(
            lambda message, r=r: signed(message, public, nonce=0, r=r),
            lambda row, number=number: (challenge(row[2][:32], public, row[1]) + number) % 8 == 0,
        )
    return rows


def _changed(public: bytes, message: bytes, signature: bytes) -> dict[str, Row]:
    """A good signature with one thing wrong."""
    r, s = signature[:32], int.from_bytes(signature[32:], "little")
    return {
        "another message": (public, b"lamq", signature),
        "the message with a byte more": (public, message + b"\x00", signature),
        "no message": (public, b"", signature),
        "another key": (encoded(times(SECRET + 1, BASE)), message, signature),
        "the key with the other sign": (written(PUBLIC[1], PUBLIC[0] & 1 ^ 1), message, signature),
        "a key that is no point": (written(2, 0), message, signature),
        "a key y = 3 written as p + 3": (written(P + 3, 0), message, signature),
        "the largest key": (b"\xff" * 32, message, signature),
        "a key of 31 bytes": (public[:-1], message, signature),
        "a key of 33 bytes": (public + b"\x00", message, signature),
        "no key": (b"", message, signature),
        "a signature of 63 bytes": (public, message, signature[:-1]),
        "a signature of 65 bytes": (public, message, signature + b"\x00"),
        "no signature": (public, message, b""),
        "R alone": (public, message, r),
        "R and S the other way round": (public, message, signature[32:] + r),
        "R with the other sign": (public, message, bytes([*r[:31], r[31] ^ 0x80]) + signature[32:]),
        "R that is no point": (public, message, joined(written(2, 0), s)),
        "a signature of zeros": (public, message, bytes(64)),
        "a signature of ones": (public, message, b"\xff" * 64),
        "S is 0": (public, message, joined(r, 0)),
        "S + 1": (public, message, joined(r, s + 1)),
        "L - S": (public, message, joined(r, L - s)),
        "S + L": (public, message, joined(r, s + L)),
        "S + 8 L": (public, message, joined(r, s + 8 * L)),
        "S + the largest multiple of L": (public, message, joined(r, s + (2**256 - 1 - s) // L * L)),
        "S with its highest bit": (public, message, joined(r, s | 1 << 255)),
        "S is L": signed(b"S", nonce=0)[:2] + (joined(encoded(NEUTRAL), L),),
    }


def refused() -> dict[str, Row]:
    """Refused by both."""
    public, message, signature = signed(b"lamp")
    changed = _changed(public, message, signature)
    for bit in (0, 100, 254, 255, 256, 300, 507, 511):
        flipped = int.from_bytes(signature, "little") ^ 1 << bit
        changed[f"bit {bit} of the signature"] = (public, message, flipped.to_bytes(64, "little"))
    key = written(1, 0)
    changed["the neutral key, R written as p + 1"] = (key, message, joined(written(P + 1, 0), 0))
    changed["the neutral key, R with the sign of x = 0 set"] = (key, message, joined(written(1, 1), 0))
    changed["R with a part of small order"] = signed(b"R", r=encoded(add(times(NONCE, BASE), SMALL[1])))
    mixed = encoded(add(PUBLIC, SMALL[1]))
    changed["holds only when the cofactor is multiplied in"] = _until(
        lambda message: signed(message, mixed), lambda row: challenge(row[2][:32], mixed, row[1]) % 8
    )
    return changed


def taken() -> dict[str, Row]:
    """Accepted by both."""
    rows = {f"a message of {size} bytes": signed(bytes(range(size))) for size in (0, 1, 47, 48, 63, 64, 175, 176, 255)}
    rows["a secret of 1"] = signed(b"one", encoded(BASE), 1)
    rows["a secret of L - 1"] = signed(b"minus one", encoded(times(L - 1, BASE)), L - 1)
    rows["a nonce of 1"] = signed(b"nonce", nonce=1)
    rows["a nonce of L - 1"] = signed(b"nonce", nonce=L - 1)
    mixed = add(PUBLIC, SMALL[1])
    rows["a key with a part of small order, and an h that takes it away"] = _until(
        lambda message: signed(message, encoded(mixed)), lambda row: challenge(row[2][:32], row[0], row[1]) % 8 == 0
    )
    rows["a key and an R with a part of small order"] = _until(
        lambda message: signed(message, encoded(mixed), r=encoded(add(times(NONCE, BASE), SMALL[3]))),
        lambda row: (challenge(row[2][:32], row[0], row[1]) + 3) % 8 == 0,
    )
    for secret in range(2, 200):
        key = encoded(times(secret, BASE))
        if key[31] & 0x7F == 0x7F:  # close to p
            rows["a key whose y is close to p"] = signed(b"edge", key, secret)
            break
    return rows


TABLES = {"taken": taken, "refused": refused, "stricter": stricter}
FILE = Path(__file__).with_name("ed25519_rows.json")


def text() -> str:
    """What FILE holds: {table: {what it is: [public key, message, signature]}}, in hexadecimal digits."""
    tables = {
        name: {what: [part.hex() for part in row] for what, row in rows().items()} for name, rows in TABLES.items()
    }
    return json.dumps(tables, indent=1) + "\n"


if __name__ == "__main__":
    FILE.write_text(text())
