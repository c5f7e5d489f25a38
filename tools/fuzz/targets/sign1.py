"""One signature of a document: COSE_Sign1 as it is taken apart, and Ed25519 over what it says, as a node verifies it.

An input is a public key, the digest of a document (32 bytes each) and the COSE_Sign1.
"""

import json
import sys
from hashlib import sha256

from firmware.tests.test_sha512 import finish
from node.core import ed25519
from protocol import cbor, cose, trust
from protocol.errors import DecodeError
from tools.fuzz import inputs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tools.fuzz.rng import Random

INTERPRETERS = ("cpython", "micropython")
BOUND = (8192, 320)  # of taking it apart; what verification needs is measured by tools/bench_update.py
_ROWS = ed25519.__file__.rsplit("/", 3)[0] + "/tests/ed25519_rows.json"
_HEAD = 64  # bytes before the COSE_Sign1
_SIGNED = (  # (type, report, public key, R, S) of the digest of the type
    (
        trust.ROOT_TYPE,
        b"",
        "8a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c",
        "7bd88ed17550817ee735859ecd5ba405f1c530263448aa2c7c951744ae452fb2",
        "f7c6319bea9ff8e26868d48c0b6737dfa4c59eef5899bed362587aa171205f09",
    ),
    (
        trust.RELEASE_TYPE,
        sha256(b"report").digest(),
        "8139770ea87d175f56a35466c34c7ecccb8d8a91b4ee37a25df60f5b8fc9b394",
        "7e43dbd88f01c452e7ef98d3f6ef2752ef2a20a60eefadb65559ff1daa7d1e9f",
        "c02de18bd2f4fdcefa42fb5927800183dab1a97fe7d695af14d9e7ffb8741d02",
    ),
    (
        trust.CAMPAIGN_TYPE,
        b"",
        "ed4928c628d1c2c6eae90338905995612959273a5c63f93636c14614ac8737d1",
        "aec23c222f4edf5c8c7d145d6311e64085f98f271a0cebed9462e9237221baa0",
        "0c7a0eabdbd8c4a2d675b1fb45e05dd6158c1eb96032e45e75e5ecd1bd69b308",
    ),
)


def seeds() -> "list[bytes]":
    """Good signatures of the three documents, and behind them keys, R and S that are special, of 32 bytes each."""
    found = []
    for typ, report, public, r, s in _SIGNED:
        key = bytes.fromhex(public)
        sign1 = cose.assemble(cose.protected(typ, report), cose.kid(key), bytes.fromhex(r + s))
        found.append(key + sha256(typ.encode()).digest() + sign1)
    with open(_ROWS) as file:
        tables = json.load(file)
    special: set[str] = set()
    for table in tables.values():
        for public, _, signature in table.values():
            special.update(text for text in (public, signature[:64], signature[64:]) if len(text) == _HEAD)
    return found + [bytes.fromhex(text) for text in sorted(special)]


def generate(random: "Random", seeds: "list[bytes]") -> bytes:
    """Noise; damaged signatures; a special key, R or S in a good one; other headers around a good one."""
    how = random.below(32)
    good = seeds[random.below(len(_SIGNED))]
    if how < 2:
        return inputs.noise(random)
    if how < 4:
        at = (0, len(good) - 64, len(good) - 32)[random.below(3)]
        return good[:at] + seeds[random.below(len(seeds) - len(_SIGNED)) + len(_SIGNED)] + good[at + 32 :]
    if how < 5:
        at = random.below(len(good))
        return good[:at] + bytes((good[at] ^ 1 << random.below(8),)) + good[at + 1 :]
    if how < 10:
        return good[:_HEAD] + cbor.encode(_around(random, good[_HEAD:]))
    return good[:_HEAD] + inputs.damaged(random, [good[_HEAD:]])


def _around(random: "Random", sign1: bytes) -> "Any":
    """The parts of a signature with some of them exchanged."""
    parts: Any = cbor.decode(sign1)
    header: Any = cbor.decode(parts[0])
    values: tuple[Any, ...] = (-19, -8, 16, "", "x" * 40, b"", bytes(32), bytes(33), None, False, [], {})
    for _ in range(random.below(3)):
        label = (cose.ALG, cose.TYP, cose.REPORT, 2, 3, 4)[random.below(6)]
        header[label] = values[random.below(len(values))]
    if random.below(8) == 0:
        parts[1] = {4: random.data(random.below(10)), 5 + random.below(9): b""}
    if random.below(4) == 0:
        parts[random.below(4)] = values[random.below(len(values))]
    else:
        parts[0] = cbor.encode(header)
    return parts[: 3 + random.below(2)] if random.below(16) == 0 else parts


def parse(data: bytes) -> None:
    """Take it apart, and swallow the one declared error."""
    try:
        cose.parse(data[_HEAD:])
    except DecodeError:
        return


def verdict(data: bytes) -> bytes:
    """What is wrong with it, or what it says and whether it holds; what holds for us holds for OpenSSL."""
    public, digest = data[:32], data[32:_HEAD]
    try:
        sign = cose.parse(data[_HEAD:])
    except DecodeError as error:
        return str(error).encode()
    assert cose.assemble(sign.protected, sign.kid, sign.signature) == data[_HEAD:], "two forms of one signature"
    signed = cose.to_be_signed(sign.protected, digest)
    holds, steps = finish(ed25519.verify(public, signed, sign.signature))
    assert holds is True or holds is False, "no verdict"
    assert not holds or _referee(public, signed, sign.signature), "holds for us alone"
    return f"{'ok' if holds else 'does not hold'} {sign.typ} {sign.report.hex()} {sign.kid.hex()} {steps}".encode()


def _referee(public: bytes, signed: bytes, signature: bytes) -> bool:
    """What OpenSSL says, where it can be asked; the other interpreter is compared with the one that can."""
    if sys.implementation.name == "micropython":
        return True
    from firmware.tests.ed25519_forge import accepted

    return bool(accepted(public, signed, signature))
