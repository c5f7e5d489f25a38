"""The messages of an update, and the proof of what runs; on both interpreters."""

from protocol import update
from protocol.message import Message
from protocol.refusals import U_UNAVAILABLE
from protocol.update import Ask, Block, Proof, Status

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_RELEASE = b"\x07" * 32
KEY = bytes(range(32))
PROOF = Proof(nonce=b"n", manifest=_RELEASE, slot="b", boot=5, confirmed=True)
MAC = (
    "6317925a6879b10511257e3abe7a54a5f60928de6ba506ca7f8f7af5eac0a460"  # over PROOF of the node air-1, by Python's hmac
)

WRITTEN: "dict[str, tuple[Message, str]]" = {
    "a node that asks for the next root": (Ask(what=update.ROOT, version=2), "a201010302"),
    "a node that asks for a release": (
        Ask(what=update.RELEASE, release=_RELEASE, size=512),
        "a30102025820" + "07" * 32 + "06190200",
    ),
    "a node that asks for a payload from the second block on": (
        Ask(what=update.PAYLOAD, release=_RELEASE, have=b"\x08" * 32, offset=1024, count=4),
        "a50103025820" + "07" * 32 + "045820" + "08" * 32 + "051904000704",
    ),
    "a block": (
        Block(what=update.RELEASE, id=bytes(range(1, 9)), total=3, data=b"abc"),
        "a40102024801020304050607080403" + "0543616263",
    ),
    "a manager that wants to be asked later": (Block(what=update.PAYLOAD, wait_ms=500), "a20103071901f4"),
    "a manager that does not have it": (Block(what=update.BASE, code=U_UNAVAILABLE), "a20104061839"),
    "a proof": (PROOF, "a501416e025820" + "07" * 32 + "03616204050" + "6f5"),
    "a node with nothing to do": (Status(), "a0"),
    "a node that has taken an epoch": (
        Status(counter=3, stage=update.STOPPED, code=34, epoch=2),
        "a40103020a0318220f02",
    ),
    "a node that has done it": (
        Status(counter=3, stage=update.CONFIRMED, proof=Proof(slot="a")),
        "a3010302060ba1036161",
    ),
}  # fmt: skip

REFUSED: "dict[str, tuple[type[Message], Any, str]]" = {
    "a question after nothing": (Ask, {1: 0}, "Ask.what out of range"),
    "a question after something else": (Ask, {1: 5}, "Ask.what out of range"),
    "blocks of a few bytes": (Ask, {1: 3, 6: 63}, "Ask.size out of range"),
    "blocks that are too large": (Ask, {1: 3, 6: 1025}, "Ask.size out of range"),
    "no block": (Ask, {1: 3, 7: 0}, "Ask.count out of range"),
    "more blocks than a window has": (Ask, {1: 3, 7: 5}, "Ask.count out of range"),
    "an offset beyond any image": (Ask, {1: 3, 5: 0x1000000}, "Ask.offset out of range"),
    "a block with too much in it": (Block, {1: 3, 5: bytes(1025)}, "Block.data out of range"),
    "a block of a whole without a name": (Block, {1: 3, 2: b"1234567"}, "Block.id out of range"),
    "a wait of more than ten minutes": (Block, {1: 3, 7: 600001}, "Block.wait_ms out of range"),
    "a stage that does not exist": (Status, {2: 11}, "Status.stage out of range"),
    "a proof that is none": (Status, {11: 1}, "Proof is not a map"),
    "a code that is too long": (Proof, {7: bytes(33)}, "Proof.mac out of range"),
}


def test_messages_are_written_as_the_tables_say_and_read_back() -> None:
    for what, (message, text) in WRITTEN.items():
        data = bytes.fromhex(text)
        assert message.encode() == data, (what, message.encode().hex())
        assert message.__class__.decode(data) == message, what


def test_a_proof_is_an_hmac_over_what_it_claims() -> None:
    assert update.prove(KEY, "air-1", PROOF).hex() == MAC


def test_a_mac_is_not_part_of_what_it_covers() -> None:
    done = Proof.decode(PROOF.encode())
    done.mac = bytes(32)
    assert update.prove(KEY, "air-1", done).hex() == MAC


def test_a_proof_covers_every_claim_the_node_and_the_key() -> None:
    changes: "dict[str, Any]" = {
        "nonce": b"m", "manifest": b"\x08" * 32, "slot": "a", "boot": 6, "base": b"\x09" * 32, "confirmed": False,
    }  # fmt: skip
    assert sorted(changes) == sorted(row[1] for row in Proof.FIELDS if row[1] != "mac")
    macs = {MAC, update.prove(KEY, "air-2", PROOF).hex(), update.prove(bytes(32), "air-1", PROOF).hex()}
    for name, value in changes.items():
        other = Proof.decode(PROOF.encode())
        setattr(other, name, value)
        macs.add(update.prove(KEY, "air-1", other).hex())
    assert len(macs) == len(changes) + 3


def test_without_a_key_nothing_is_proved() -> None:
    assert update.prove(b"", "air-1", PROOF) == b""


def test_the_largest_messages_fit_their_bounds() -> None:
    digest = bytes(32)
    proof = Proof(nonce=digest, manifest=digest, slot="s" * 8, boot=0xFFFFFFFF, base=digest, confirmed=True, mac=digest)
    messages: "list[Message]" = [
        Ask(what=4, release=digest, version=0xFFFFFFFF, have=digest, offset=0xFFFFFF, size=1023, count=4),
        Block(what=4, id=b"\x01" * 8, offset=0xFFFFFF, total=0xFFFFFF, data=bytes(1024), code=255, wait_ms=600000),
        proof,
        Status(
            counter=0xFFFFFFFF, stage=10, code=255, text="t" * 96, release=digest, manifest=digest, done=0xFFFFFF,
            total=0xFFFFFF, boot=0xFFFFFFFF, t=0xFFFFFFFF, proof=proof, root=0xFFFFFFFF, floor=0xFFFFFFFF, spare=digest,
        ),
    ]  # fmt: skip
    for message in messages:
        assert message.__class__.decode(message.encode()) == message


def test_a_final_stage_is_one_after_which_nothing_comes() -> None:
    assert [stage for stage in range(update.STOPPED + 1) if stage in update.FINAL] == [6, 7, 8, 9, 10]
