"""How a node fetches an update and says how far it got (SPEC 15): Ask and Block, Status and Proof.

up/block carries Ask, down/block carries Block; both QoS 0, the node asks again. up/ota carries Status; down/ota, which
is retained, carries an envelope with a Campaign (`trust.py`).
"""

from protocol import cbor
from protocol.hmac import hmac_sha256
from protocol.message import Message
from protocol.refusals import U_NONE

_U8 = 0xFF
_U32 = 0xFFFFFFFF

# What is asked for
ROOT = 1  # an envelope with the root of `version`
RELEASE = 2  # the envelope with the release of `release`
PAYLOAD = 3  # the files of that release, as operations on the program `have`, or on nothing
BASE = 4  # the base image of that release

MAX_BLOCK = 1024  # bytes
MAX_WINDOW = 4  # blocks of one Ask

# Status.stage
IDLE = 0  # nothing to do
CHECKING = 1  # signatures, fitness and room
DOWNLOADING = 2  # `done` of `total` bytes are there
INSTALLING = 3  # decoding into the other slot
WAITING = 4  # everything is ready; the node restarts when it may
TRIAL = 5  # the new program runs, and has not proved itself
CONFIRMED = 6  # it runs and has proved itself
REFUSED = 7  # nothing was changed: `code` says why
FAILED = 8  # given up before the restart
REVERTED = 9  # tried, and the program before runs again
STOPPED = 10  # by a campaign or an epoch
FINAL = (CONFIRMED, REFUSED, FAILED, REVERTED, STOPPED)


class Ask(Message):
    """A node wants `count` blocks of `size` bytes from `offset` on."""

    MAX_SIZE = 256
    MAX_ITEMS = 32
    FIELDS = (
        (1, "what", int, ROOT, BASE),
        (2, "release", bytes, 0, 32),
        (3, "version", int, 0, _U32),
        (4, "have", bytes, 0, 32),
        (5, "offset", int, 0, 0xFFFFFF),
        (6, "size", int, 64, MAX_BLOCK),
        (7, "count", int, 1, MAX_WINDOW),
    )
    what: int  # ROOT, RELEASE, PAYLOAD, BASE
    release: bytes = b""  # SHA-256 of the release document
    version: int = 0  # of the root
    have: bytes = b""  # PAYLOAD: SHA-256 of the manifest of the program that runs; empty = it has nothing of use
    offset: int = 0  # of the first byte
    size: int = MAX_BLOCK  # of a block
    count: int = 1  # blocks, the last may be shorter or not there


class Block(Message):
    """One block, or why there is none."""

    MAX_SIZE = 1280
    MAX_ITEMS = 32
    FIELDS = (
        (1, "what", int, ROOT, BASE),
        (2, "id", bytes, 8, 8),
        (3, "offset", int, 0, 0xFFFFFF),
        (4, "total", int, 0, 0xFFFFFF),
        (5, "data", bytes, 0, MAX_BLOCK),
        (6, "code", int, 0, _U8),
        (7, "wait_ms", int, 0, 600000),
    )
    what: int  # as asked for
    id: bytes = bytes(8)  # first bytes of the SHA-256 of the whole, so blocks of two wholes are never put together
    offset: int = 0  # of the first byte
    total: int = 0  # bytes of the whole
    data: bytes = b""  # the block
    code: int = U_NONE  # U_UNAVAILABLE: there is no such thing
    wait_ms: int = 0  # ask for nothing more so long; with no data: ask again then


class Proof(Message):
    """What runs, said by what runs, under a key that only this node and the manager have."""

    MAX_SIZE = 256
    MAX_ITEMS = 32
    FIELDS = (
        (1, "nonce", bytes, 0, 32),
        (2, "manifest", bytes, 0, 32),
        (3, "slot", str, 0, 8),
        (4, "boot", int, 0, _U32),
        (5, "base", bytes, 0, 32),
        (6, "confirmed", bool, 0, 0),
        (7, "mac", bytes, 0, 32),
    )
    nonce: bytes = b""  # of the campaign or command that asks
    manifest: bytes = b""  # SHA-256 of the manifest of the program that runs
    slot: str = ""  # that it runs from
    boot: int = 0  # boot number
    base: bytes = b""  # SHA-256 of the base image that it runs on, when an update brought it
    confirmed: bool = False  # it is not on trial
    mac: bytes = b""  # over the others and the node id, SPEC 15.7


class Status(Message):
    """How far an update got. The last one says all: a manager may lose any before it."""

    MAX_SIZE = 1024
    MAX_ITEMS = 64
    FIELDS = (
        (1, "counter", int, 0, _U32),
        (2, "stage", int, IDLE, STOPPED),
        (3, "code", int, 0, _U8),
        (4, "text", str, 0, 96),
        (5, "release", bytes, 0, 32),
        (6, "manifest", bytes, 0, 32),
        (7, "done", int, 0, 0xFFFFFF),
        (8, "total", int, 0, 0xFFFFFF),
        (9, "boot", int, 0, _U32),
        (10, "t", int, 0, _U32),
        (11, "proof", Proof, 0, 0),
        (12, "root", int, 0, _U32),
        (13, "floor", int, 0, _U32),
        (14, "spare", bytes, 0, 32),
        (15, "epoch", int, 0, _U32),
    )
    counter: int = 0  # of the campaign; 0 = there was none
    stage: int = IDLE  # IDLE .. STOPPED
    code: int = U_NONE  # U_*
    text: str = ""  # for people
    release: bytes = b""  # SHA-256 of the release document
    manifest: bytes = b""  # SHA-256 of the manifest that is to run
    done: int = 0  # bytes that were fetched
    total: int = 0  # bytes to fetch
    boot: int = 0  # boot number
    t: int = 0  # seconds since 1970 UTC, 0 while unknown
    proof: "Proof | None" = None  # of what runs now; with CONFIRMED always
    root: int = 0  # version of the root that the node trusts; 0 = none
    floor: int = 0  # sequence below which it refuses releases
    spare: bytes = b""  # SHA-256 of the manifest in the other slot; empty = nothing that could be started
    epoch: int = 0  # number of the newest epoch that the node has taken; 0 = none


MESSAGES = (Ask, Block, Proof, Status)
_CONTEXT = b"lumenair proof 1\x00"  # what is proved here is a proof of nothing else


def prove(key: bytes, node: str, proof: Proof) -> bytes:
    """The mac of a proof of `node` (SPEC 15.7); empty without a key: nothing is proved under a key that all know."""
    if not key:
        return b""
    claims = proof.to_map()
    claims.pop(7, None)
    return hmac_sha256(key, _CONTEXT + node.encode() + b"\x00" + cbor.encode(claims))
