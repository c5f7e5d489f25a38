"""Ed25519 keys for tests on both interpreters: RFC 8032 section 5.1.6 as it is written there, slow and not secret."""

import hashlib

from node.core.ed25519 import L, P
from protocol import cose

_D = -121665 * pow(121666, P - 2, P) % P
_BASE = (
    15112221349535400772501151409588531511454012693041857206046113283949847762202,
    46316835694926478169428394003475163141307993866256225615783033603165251855960,
)


def sha512(data):
    if hasattr(hashlib, "sha512"):
        return hashlib.sha512(data).digest()
    from node.core.sha512 import sha512 as slowly

    steps = slowly(data)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


def _add(one, two):
    a = (one[1] - one[0]) * (two[1] - two[0]) % P
    b = (one[1] + one[0]) * (two[1] + two[0]) % P
    c = 2 * one[3] * two[3] * _D % P
    d = 2 * one[2] * two[2] % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % P, g * h % P, f * g % P, e * h % P


def _times(number):
    """The encoding of `number` times the base point."""
    result = (0, 1, 1, 0)
    point = (_BASE[0], _BASE[1], 1, _BASE[0] * _BASE[1] % P)
    while number:
        if number & 1:
            result = _add(result, point)
        point = _add(point, point)
        number >>= 1
    inverse = pow(result[2], P - 2, P)
    x, y = result[0] * inverse % P, result[1] * inverse % P
    return (y | (x & 1) << 255).to_bytes(32, "little")


class Key:
    """The key that a name stands for: the same one each time."""

    def __init__(self, name):
        self.name = name
        digest = sha512(name.encode())
        self._scalar = int.from_bytes(digest[:32], "little") & ((1 << 254) - 8) | 1 << 254
        self._prefix = digest[32:]
        self.public = _times(self._scalar)

    def sign(self, message):
        r = int.from_bytes(sha512(self._prefix + message), "little") % L
        head = _times(r)
        h = int.from_bytes(sha512(head + self.public + message), "little") % L
        return head + ((r + h * self._scalar) % L).to_bytes(32, "little")

    def sign1(self, document, typ, report=b""):
        """The COSE_Sign1 of a document."""
        header = cose.protected(typ, report)
        signature = self.sign(cose.to_be_signed(header, cose.digest(document)))
        return cose.assemble(header, cose.kid(self.public), signature)
