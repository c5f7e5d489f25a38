"""The one form of a COSE_Sign1, against bytes that were written by hand; on both interpreters."""

from protocol import cose, trust
from protocol.errors import DecodeError
from protocol.tests.expect import raises

TYP = "10" + "781d" + trust.ROOT_TYPE.encode().hex()  # 16: "application/vnd.lumenair.root"
PLAIN = "a2" + "0132" + TYP  # 1: -19
REPORT = "5820" + "09" * 32
REPORTED = "a3" + "0132" + TYP + "3a00010000" + REPORT  # -65537
KID = "a1" + "04" + "48" + "0102030405060708"
SIGNATURE = "5840" + "07" * 64


def sign1(header: str, kid: str = KID, payload: str = "f6", signature: str = SIGNATURE, array: str = "84") -> str:
    """The parts put together, all in hex."""
    size = len(header) // 2
    head = "{:02x}".format(0x40 + size) if size < 24 else "58{:02x}".format(size)
    return array + head + header + kid + payload + signature


WRITTEN = {
    "a signature": (sign1(PLAIN), b""),
    "a signature that names a report": (sign1(REPORTED), b"\x09" * 32),
}

_ALG = "protected header without Ed25519 or typ"
_OTHER = "protected header with other parameters"
_FORM = "not a COSE_Sign1 with a detached payload"
_PARTS = "COSE_Sign1 of other parts"
_UNPROTECTED = "unprotected header with anything but a kid"
_KID = "kid of another form"
REFUSED = {
    "nothing": ("", "truncated"),
    "no array": ("a0", _FORM),
    "a tag": ("d2" + sign1(PLAIN), "tags are not part of the subset"),
    "the payload within": (sign1(PLAIN, payload="4101"), _FORM),
    "an empty payload in the place of nil": (sign1(PLAIN, payload="40"), _FORM),
    "no payload at all": (sign1(PLAIN, payload="", array="83"), _FORM),
    "a fifth part": (sign1(PLAIN, array="85") + "00", _FORM),
    "bytes behind it": (sign1(PLAIN) + "00", "trailing bytes"),
    "a signature of 63 bytes": (sign1(PLAIN, signature="583f" + "07" * 63), _PARTS),
    "a signature of 65 bytes": (sign1(PLAIN, signature="5841" + "07" * 65), _PARTS),
    "a signature in text": (sign1(PLAIN, signature="7840" + "61" * 64), _PARTS),
    "a header that is a map": (
        "84" + PLAIN + KID + "f6" + SIGNATURE,
        _PARTS,
    ),
    "no kid": (sign1(PLAIN, kid="a0"), _UNPROTECTED),
    "a kid in a header of its own kind": (sign1(PLAIN, kid="80"), _UNPROTECTED),
    "something beside the kid": (sign1(PLAIN, kid="a2" + KID[2:] + "0500"), _UNPROTECTED),
    "the algorithm outside of what is signed": (sign1(PLAIN, kid="a2" + "0132" + KID[2:]), _UNPROTECTED),
    "a kid of 7 bytes": (sign1(PLAIN, kid="a104" + "47" + "01" * 7), _KID),
    "a kid in text": (sign1(PLAIN, kid="a104" + "68" + "61" * 8), _KID),
    "an empty header": (sign1("a0"), _ALG),
    "a header that is no map": (sign1("80"), _ALG),
    "a header of no bytes": ("84" + "40" + KID + "f6" + SIGNATURE, "truncated"),
    "the algorithm EdDSA": (sign1("a2" + "0127" + TYP), _ALG),
    "the algorithm ES256": (sign1("a2" + "0126" + TYP), _ALG),
    "the algorithm as text": (sign1("a2" + "0167" + b"Ed25519".hex() + TYP), _ALG),
    "no algorithm": (sign1("a1" + TYP), _ALG),
    "no typ": (sign1("a1" + "0132"), _ALG),
    "a typ that is a number": (sign1("a2" + "0132" + "1000"), _ALG),
    "a parameter that changes the meaning": (sign1("a3" + "0132" + "028110" + TYP), _OTHER),
    "a parameter that nobody knows": (sign1("a3" + "0132" + TYP + "1863f5"), _OTHER),
    "a kid within what is signed": (sign1("a3" + "0132" + KID[2:] + TYP), _OTHER),
    "a report of 31 bytes": (sign1("a3" + "0132" + TYP + "3a00010000" + "581f" + "09" * 31), _OTHER),
    "a report of no bytes": (sign1("a3" + "0132" + TYP + "3a00010000" + "40"), _OTHER),
    "a report in text": (sign1("a3" + "0132" + TYP + "3a00010000" + "7820" + "61" * 32), _OTHER),
    "a head that is not the shortest": (sign1("a2" + "013812" + TYP), "head is not the shortest"),
    "parameters out of order": (sign1("a2" + TYP + "0132"), "map keys out of order or twice"),
    "the algorithm twice": (sign1("a3" + "0132" + "0132" + TYP), "map keys out of order or twice"),
    "a map without an end": (sign1("bf" + "0132" + TYP + "ff"), "indefinite or reserved length"),
    "bytes behind the header": (sign1(PLAIN + "00"), "trailing bytes"),
    "more than any signature needs": (
        sign1("a2" + "0132" + "10" + "78c8" + "61" * 200),
        "message longer than 256 bytes",
    ),
}


def test_a_signature_is_written_as_the_tables_say_and_read_back() -> None:
    for what, (text, report) in WRITTEN.items():
        header = cose.protected(trust.ROOT_TYPE, report)
        data = bytes.fromhex(text)
        assert cose.assemble(header, bytes(range(1, 9)), b"\x07" * 64) == data, what
        found = cose.parse(data)
        assert (found.typ, found.report, found.kid) == (trust.ROOT_TYPE, report, bytes(range(1, 9))), what
        assert (found.protected, found.signature) == (header, b"\x07" * 64), what


def test_any_other_form_is_refused_for_its_reason() -> None:
    for what, (text, reason) in REFUSED.items():
        error = raises(DecodeError, cose.parse, bytes.fromhex(text))
        assert str(error) == reason, (what, str(error))


def test_what_is_signed_is_the_structure_of_rfc_9052() -> None:
    header = bytes.fromhex(PLAIN)
    wanted = "84" + "6a" + b"Signature1".hex() + "5823" + PLAIN + "40" + "5824" + "82" + "2f" + "5820" + "0a" * 32
    assert cose.to_be_signed(header, b"\x0a" * 32).hex() == wanted
    assert cose.digest(b"abc").hex() == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert cose.kid(b"abc").hex() == "ba7816bf8f01cfea"


def test_the_header_says_what_was_signed() -> None:
    headers = {
        cose.protected(typ, report)
        for typ in (trust.ROOT_TYPE, trust.RELEASE_TYPE, trust.CAMPAIGN_TYPE)
        for report in (b"", bytes(32), b"\x01" * 32)
    }
    assert len(headers) == 9
    longest = cose.assemble(cose.protected(trust.CAMPAIGN_TYPE, bytes(32)), bytes(8), bytes(64))
    assert len(longest) <= cose.MAX_SIZE
