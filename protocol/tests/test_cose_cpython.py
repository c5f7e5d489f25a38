"""cbor2 and `cryptography` are the referees of signatures, the rule in one line is that of who has to have signed."""

import cbor2
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from protocol import cose, trust
from protocol.errors import DecodeError
from protocol.refusals import U_NONE, U_UNKNOWN_KEY
from protocol.tests import judged
from protocol.tests.test_cbor_cpython import VALUES

TYPES = st.sampled_from([trust.ROOT_TYPE, trust.RELEASE_TYPE, trust.CAMPAIGN_TYPE])
REPORTS = st.just(b"") | st.binary(min_size=32, max_size=32)
DOCUMENTS = st.binary(max_size=200)
SEEDS = st.sampled_from(judged.SEEDS)


def sign(seed: bytes, document: bytes, typ: str, report: bytes) -> bytes:
    key = Ed25519PrivateKey.from_private_bytes(seed)
    header = cose.protected(typ, report)
    signature = key.sign(cose.to_be_signed(header, cose.digest(document)))
    return cose.assemble(header, cose.kid(key.public_key().public_bytes_raw()), signature)


def holds(found: cose.Sign1, seed: bytes, document: bytes) -> bool:
    try:
        message = cose.to_be_signed(found.protected, cose.digest(document))
        Ed25519PrivateKey.from_private_bytes(seed).public_key().verify(found.signature, message)
        return True
    except InvalidSignature:
        return False


def test_the_keys_of_the_tables_are_those_of_their_seeds() -> None:
    publics = [Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw() for seed in judged.SEEDS]
    assert publics[: len(judged.KEYS)] == judged.KEYS
    assert publics[judged.STRANGER] not in judged.KEYS


@given(SEEDS, DOCUMENTS, TYPES, REPORTS)
def test_what_is_signed_is_what_another_program_would_sign(
    seed: bytes, document: bytes, typ: str, report: bytes
) -> None:
    header = cbor2.dumps({1: -19, 16: typ} | ({-65537: report} if report else {}))
    digest = cbor2.dumps([-16, cose.digest(document)])
    assert cose.to_be_signed(cose.protected(typ, report), cose.digest(document)) == cbor2.dumps(
        ["Signature1", header, b"", digest]
    )
    data = sign(seed, document, typ, report)
    found = cose.parse(data)
    assert (found.typ, found.report, found.protected) == (typ, report, header)
    assert cbor2.loads(data) == [header, {4: found.kid}, None, found.signature]
    assert holds(found, seed, document)


@given(SEEDS, DOCUMENTS, TYPES, REPORTS, st.data())
def test_one_changed_byte_is_malformed_another_kid_or_does_not_hold(
    seed: bytes, document: bytes, typ: str, report: bytes, data: st.DataObject
) -> None:
    good = bytearray(sign(seed, document, typ, report))
    kid = cose.parse(good).kid
    at = data.draw(st.integers(0, len(good) - 1))
    good[at] ^= data.draw(st.integers(1, 255))
    try:
        found = cose.parse(good)
    except DecodeError:
        return
    assert found.kid != kid or not holds(found, seed, document)


@given(SEEDS, DOCUMENTS, DOCUMENTS, TYPES, TYPES, REPORTS)
def test_a_signature_is_of_one_document_as_one_type(
    seed: bytes, document: bytes, other: bytes, typ: str, other_typ: str, report: bytes
) -> None:
    found = cose.parse(sign(seed, document, typ, report))
    assert holds(found, seed, other) is (other == document)
    found.protected = cose.protected(other_typ, report)
    assert holds(found, seed, document) is (other_typ == typ)


@given(st.binary(max_size=200) | VALUES.map(cbor2.dumps))
def test_anything_is_a_signature_or_refused(data: bytes) -> None:
    try:
        found = cose.parse(data)
    except DecodeError:
        return
    assert cose.assemble(found.protected, found.kid, found.signature) == data
    assert cose.protected(found.typ, found.report) == found.protected


SIGNERS = st.lists(st.tuples(st.integers(0, 7) | st.none(), st.just(True), REPORTS), max_size=8)
NAMES = st.lists(st.sampled_from(["root", "build", "bench", "campaign"]), min_size=1, max_size=4)


def is_enough(names: list[str], signers: list[tuple[int | None, bool, bytes]]) -> bool:
    """The rule of SPEC 14.5 in one line, for signatures that hold."""
    roles = [trust.role_of(judged.ROOT, name) for name in names]
    return all(
        len({at for at, _, report in signers if at in role.keys and (report or not role.report)}) >= role.threshold
        for role in roles
    )


@given(NAMES, SIGNERS)
def test_the_judge_counts_keys(names: list[str], signers: list[tuple[int | None, bool, bytes]]) -> None:
    assert (trust.fault_of(judged.ROOT, names, signers) == U_NONE) is is_enough(names, signers)


@given(NAMES, SIGNERS, st.permutations(range(8)), st.tuples(st.integers(0, 7), st.just(True), REPORTS))
def test_the_order_changes_nothing_and_one_more_that_holds_does_no_harm(
    names: list[str],
    signers: list[tuple[int | None, bool, bytes]],
    order: list[int],
    more: tuple[int | None, bool, bytes],
) -> None:
    said = trust.fault_of(judged.ROOT, names, signers)
    assert trust.fault_of(judged.ROOT, names, [signers[at] for at in order if at < len(signers)]) == said
    again = trust.fault_of(judged.ROOT, names, [*signers, more])
    assert again == U_NONE or said != U_NONE
    assert again != U_UNKNOWN_KEY
    flawed = trust.fault_of(judged.ROOT, names, [*signers, (more[0], False, b"")])
    assert flawed != U_NONE
