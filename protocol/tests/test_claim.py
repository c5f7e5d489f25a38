"""The proof of a claim; on both interpreters."""

from protocol import claim
from protocol.claim import Answer, Claim, Request, Ticket
from protocol.hmac import hmac_sha256
from protocol.tests.expect import raises

# RFC 4231, test cases 1 to 3; case 4 has a key of 25 bytes, and 5 to 7 a truncated code or a key beyond a block
HMACS = {
    "a key of 20 bytes": (
        b"\x0b" * 20,
        b"Hi There",
        "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
    ),
    "a short key": (
        b"Jefe",
        b"what do ya want for nothing?",
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
    ),
    "more than a block of message": (
        b"\xaa" * 20,
        b"\xdd" * 50,
        "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe",
    ),
    "every byte of the key another": (
        bytes(range(1, 26)),
        b"\xcd" * 50,
        "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b",
    ),
}


def test_codes_are_those_of_rfc_4231() -> None:
    for what, (key, message, code) in HMACS.items():
        assert hmac_sha256(key, message).hex() == code, what
    raises(ValueError, hmac_sha256, bytes(65), b"")


def test_a_proof_covers_every_byte_of_the_claim_and_the_secret() -> None:
    secret = bytes(range(32))
    asked = Claim(mac=b"123456", batch="b", until=9, nonce=b"n" * 16, kind="air", board="x").encode()
    proof = claim.prove(secret, asked)
    assert len(proof) == 32
    assert claim.prove(secret, asked) == proof
    for at in range(len(asked)):
        other = bytearray(asked)
        other[at] ^= 1
        assert claim.prove(secret, bytes(other)) != proof
    assert claim.prove(bytes(32), asked) != proof
    assert hmac_sha256(secret, asked) != proof, "a code of something else must not pass for a proof"


def test_nothing_that_is_secret_is_printed() -> None:
    ticket = Ticket(urls=["u"], ca=b"c", batch="b", until=1, secret=b"S" * 32, kind="air", board="x", wifi_psk="hush")
    answer = Answer(status=claim.ISSUED, identity=b"SECRET")
    assert "S" * 8 not in repr(ticket)
    assert "hush" not in repr(ticket)
    assert "SECRET" not in repr(answer)


def test_the_largest_request_and_answer_fit_their_bounds() -> None:
    asked = Claim(
        mac=b"12345678", batch="b" * 32, until=0xFFFFFFFF, nonce=bytes(32), kind="k" * 8, board="x" * 32, node="n" * 32,
        firmware="f" * 32,
    )  # fmt: skip
    assert len(Request(claim=asked.encode(), proof=bytes(32)).encode()) <= claim.MAX_REQUEST
    most = Answer(status=claim.ISSUED, nonce=bytes(32), retry_s=300, identity=bytes(4800), reason="r" * 96)
    assert len(most.encode()) <= claim.MAX_ANSWER
