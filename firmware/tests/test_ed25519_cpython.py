"""Verification against a referee: `cryptography`, which asks OpenSSL."""

from hashlib import sha512 as reference

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import example, given, settings
from hypothesis import strategies as st

from firmware.tests import ed25519_forge as forge
from firmware.tests.test_ed25519 import RFC_8032, row, says, table
from firmware.tests.test_sha512 import finish
from node.core.sha512 import sha512

# y of encodings that are special: of small order, not reduced, near an end
NUMBERS = sorted({point[1] for point in forge.SMALL} | set(range(20)) | {forge.P - 1 - at for at in range(20)})
SPECIAL = [
    forge.written(y, sign) for y in NUMBERS + [forge.P + at for at in range(19)] for sign in (0, 1) if y < 1 << 255
]
SCALARS = [0, 1, forge.L - 1, forge.L, forge.L + 1, (1 << 252) - 1, 1 << 252, (1 << 253) - 1, 1 << 253, (1 << 256) - 1]
MIXED = [forge.encoded(forge.add(forge.PUBLIC, point)) for point in forge.SMALL]


def agrees(public: bytes, message: bytes, signature: bytes) -> None:
    """Our verdict is the referee's, but where we say that we are stricter."""
    reason = forge.strictness(public, signature) if len(public) == 32 and len(signature) >= 32 else ""
    expected = forge.accepted(public, message, signature) and not reason
    assert says(public, message, signature) == expected, (public.hex(), message.hex(), signature.hex(), reason)


def test_the_committed_rows_are_those_that_are_made() -> None:
    assert forge.FILE.read_text() == forge.text()


def test_the_referee_and_the_rules_say_which_table_a_row_belongs_to() -> None:
    for name in forge.TABLES:
        for what, texts in table(name).items():
            assert forge.accepted(*texts) == (name != "refused"), what
            if name != "refused":
                assert bool(forge.strictness(texts[0], texts[2])) == (name == "stricter"), what
    assert all(forge.accepted(*row(texts)) for texts in RFC_8032.values())


def test_every_special_key_and_r() -> None:
    public, message, signature = forge.signed(b"lamp")
    for special in SPECIAL:
        agrees(special, message, signature)
        agrees(public, message, special + signature[32:])
        agrees(special, message, special + bytes(32))
        for number in range(8):  # somewhere the challenge is such that the referee takes it
            agrees(*forge.signed(b"%d" % number, special, 0))


@st.composite
def damaged(draw: st.DrawFn) -> tuple[bytes, bytes, bytes]:
    """A good signature with up to two things wrong."""
    private = Ed25519PrivateKey.from_private_bytes(draw(st.binary(min_size=32, max_size=32)))
    message = draw(st.binary(max_size=300))
    parts = [private.public_key().public_bytes_raw(), message, private.sign(message)]
    for _ in range(draw(st.integers(0, 2))):
        at = draw(st.sampled_from((0, 1, 2, 2)))
        how = draw(st.sampled_from(("flip", "cut", "grow", "special", "s")))
        if how == "flip" and parts[at]:
            bit = draw(st.integers(0, len(parts[at]) * 8 - 1))
            number = int.from_bytes(parts[at], "little") ^ 1 << bit
            parts[at] = number.to_bytes(len(parts[at]), "little")
        elif how == "cut":
            parts[at] = parts[at][: draw(st.integers(0, len(parts[at])))]
        elif how == "grow":
            parts[at] += draw(st.binary(min_size=1, max_size=4))
        elif how == "special":
            special = draw(st.sampled_from(SPECIAL + MIXED))
            parts[at] = special if at == 0 else special + parts[at][32:]
        else:
            scalar = draw(st.sampled_from(SCALARS) | st.integers(0, (1 << 256) - 1))
            parts[2] = parts[2][:32] + scalar.to_bytes(32, "little")
    return parts[0], parts[1], parts[2]


@settings(max_examples=600)
@given(damaged())
@example((forge.written(forge.P + 1, 1), b"", bytes(64)))
def test_damaged_signatures(texts: tuple[bytes, bytes, bytes]) -> None:
    agrees(*texts)


@settings(max_examples=300)
@given(st.binary(max_size=300), st.sampled_from(SPECIAL + MIXED), st.sampled_from(SPECIAL + MIXED), st.integers(0, 9))
def test_forged_signatures(message: bytes, public: bytes, r: bytes, nonce: int) -> None:
    agrees(*forge.signed(message, public, forge.SECRET, nonce))
    agrees(*forge.signed(message, public, forge.SECRET, 0, r))


@given(st.integers(1, forge.L - 1), st.integers(1, forge.L - 1))
def test_any_secret_and_any_nonce(secret: int, nonce: int) -> None:
    public = forge.encoded(forge.times(secret, forge.BASE))
    good = forge.signed(b"lamp", public, secret, nonce)
    assert says(*good)
    assert forge.accepted(*good)


@given(st.binary(max_size=600))
def test_sha512_of_anything(data: bytes) -> None:
    assert finish(sha512(data))[0] == reference(data).digest()
