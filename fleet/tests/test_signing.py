"""Who has to have signed what, with the node's own verifier beside ours."""

from collections.abc import Callable

import pytest

from fleet import signing
from fleet.signing import SignatureError
from fleet.tests.signing_rig import key, root, signed_by
from node.core import ed25519
from protocol import cose, refusals, trust
from protocol.trust import Signed

DOCUMENT = b"the bytes of a release"
HEADER = cose.protected(trust.RELEASE_TYPE)
REPORT = bytes(range(32))


def release(*names: str, report: bytes = b"", typ: str = trust.RELEASE_TYPE, start: Signed | None = None) -> Signed:
    return signed_by(start or Signed(document=DOCUMENT), *names, typ=typ, report=report)


def benched(*names: str, report: bytes = REPORT) -> Signed:
    """Signed by both builders and these."""
    return release(*names, report=report, start=release("build", "second"))


def tampered() -> Signed:
    made = release("build", "second")
    return Signed(document=DOCUMENT + b"!", signatures=made.signatures)


def bent() -> Signed:
    """The last byte of a signature is another."""
    made = release("build", "second")
    data = made.signatures[0]
    return Signed(document=DOCUMENT, signatures=[data[:-1] + bytes([data[-1] ^ 1]), made.signatures[1]])


def borrowed() -> Signed:
    """A signature under somebody else's name."""
    made = release("build")
    one = cose.parse(made.signatures[0])
    forged = cose.assemble(one.protected, cose.kid(key("second").public), one.signature)
    return Signed(document=DOCUMENT, signatures=[*made.signatures, forged])


def doubled() -> Signed:
    made = release("build")
    return Signed(document=DOCUMENT, signatures=made.signatures * 2)


FAULTS: dict[str, tuple[Callable[[], Signed], list[str], int, str]] = {
    "no signature": (lambda: Signed(document=DOCUMENT), ["build"], refusals.U_UNSIGNED, "role build has 0 of 2"),
    "a key that is in no root": (lambda: release("stranger"), ["build"], refusals.U_UNKNOWN_KEY, "is not in root 1"),
    "a key of another role": (lambda: release("campaign"), ["build"], refusals.U_WRONG_ROLE, "role build has 0 of 2"),
    "one signature too few": (lambda: release("build"), ["build"], refusals.U_TOO_FEW, "role build has 1 of 2"),
    "the same key twice": (doubled, ["build"], refusals.U_TOO_FEW, "role build has 1 of 2"),
    "the bench has not signed": (
        lambda: release("build", "second"),
        ["build", "bench"],
        refusals.U_ROLE_MISSING,
        "role bench has 0 of 1 signatures that name a report",
    ),
    "the bench names no report": (
        lambda: benched("bench", report=b""),
        ["build", "bench"],
        refusals.U_NO_REPORT,
        "role bench has 0 of 1 signatures that name a report",
    ),
    "a document that was changed": (tampered, ["build"], refusals.U_BAD_SIGNATURE, "is not over this document"),
    "a signature that was changed": (bent, ["build"], refusals.U_BAD_SIGNATURE, "that of key"),
    "a signature under another name": (borrowed, ["build"], refusals.U_BAD_SIGNATURE, "that of key"),
    "a signature over another kind of document": (
        lambda: release("build", "second", typ=trust.CAMPAIGN_TYPE),
        ["build"],
        refusals.U_BAD_SIGNATURE,
        "that of key",
    ),
    "a stolen online key and a release that nobody signed": (
        lambda: release("campaign"),
        ["build", "bench"],
        refusals.U_WRONG_ROLE,
        "role build has 0 of 2",
    ),
    "something that is no signature": (
        lambda: Signed(document=DOCUMENT, signatures=[b"\x80"]),
        ["build"],
        refusals.U_MALFORMED,
        "",
    ),
    "a role that the root does not have": (lambda: release("build"), ["night"], refusals.U_MALFORMED, "night"),
}


@pytest.mark.parametrize(("make", "roles", "fault", "words"), FAULTS.values(), ids=FAULTS.keys())
def test_is_refused(make: Callable[[], Signed], roles: list[str], fault: int, words: str) -> None:
    with pytest.raises(SignatureError) as caught:
        signing.verify(make(), root(), roles, trust.RELEASE_TYPE)
    assert caught.value.fault == fault
    assert caught.value.exit_code == 7
    assert words in str(caught.value)
    assert fault == node_fault(make(), roles)


@pytest.mark.parametrize(
    ("make", "roles"),
    [
        (lambda: release("build", "second"), ["build"]),
        (lambda: release("build", "second", "stranger", "campaign"), ["build"]),
        (lambda: benched("bench"), ["build", "bench"]),
    ],
    ids=["both builders", "and others", "and the bench over its report"],
)
def test_holds(make: Callable[[], Signed], roles: list[str]) -> None:
    signing.verify(make(), root(), roles, trust.RELEASE_TYPE)
    assert node_fault(make(), roles) == refusals.U_NONE


def node_fault(signed: Signed, roles: list[str]) -> int:
    """What a node answers, with its own arithmetic."""
    try:
        found = trust.parse_signatures(signed)
        signers = [(trust.key_at(root(), one.kid), node_holds(signed, one), one.report) for one in found]
        return trust.fault_of(root(), roles, signers)
    except trust.DecodeError:
        return refusals.U_MALFORMED


def node_holds(signed: Signed, one: cose.Sign1) -> bool:
    at = trust.key_at(root(), one.kid)
    if at is None or one.typ != trust.RELEASE_TYPE:
        return False
    message = cose.to_be_signed(one.protected, cose.digest(signed.document))
    steps = ed25519.verify(root().keys[at], message, one.signature)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return bool(end.value)


def test_who_signs_again_replaces_what_it_signed() -> None:
    twice = benched("bench", report=b"")
    again = signed_by(twice, "bench", typ=trust.RELEASE_TYPE, report=REPORT)
    assert len(again.signatures) == 3
    signing.verify(again, root(), ["build", "bench"], trust.RELEASE_TYPE)


def test_a_document_has_at_most_eight_signatures() -> None:
    full = Signed(document=DOCUMENT, signatures=[cose.assemble(HEADER, bytes([at] * 8), bytes(64)) for at in range(8)])
    with pytest.raises(SignatureError, match="at most 8"):
        signed_by(full, "build", typ=trust.RELEASE_TYPE)


def test_each_signature_is_shown_with_what_it_counts_for() -> None:
    made = benched("bench", "stranger")
    found = signing.signatures(made, root(), trust.RELEASE_TYPE)
    assert [(one.roles, one.holds, bool(one.report)) for one in found] == [
        (("build",), True, False),
        (("build",), True, False),
        (("bench",), True, True),
        ((), False, True),
    ]
    assert found[0].kid == cose.kid(key("build").public).hex()
