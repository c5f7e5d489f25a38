import datetime
import errno
import os
import ssl
import stat
import time
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.verification import PolicyBuilder, Store
from cryptography.x509.verification import VerificationError as ChainError
from hypothesis import given
from hypothesis import strategies as st

from fleet import files, pki
from fleet.config import PkiConfig
from fleet.errors import ConfigError, FleetError, NotAllowedError, NotFoundError, UsageError, VerificationError
from protocol.identity import Identity

NOW = int(time.time())
AUTHORITY = pki.Authority.create("test", 1000, NOW)


def der_cert(data: bytes) -> x509.Certificate:
    return x509.load_der_x509_certificate(data)


def test_the_authority_signs_leaves_only() -> None:
    constraints = AUTHORITY.cert.extensions.get_extension_for_class(x509.BasicConstraints)
    assert constraints.critical
    assert (constraints.value.ca, constraints.value.path_length) == (True, 0)
    usage = AUTHORITY.cert.extensions.get_extension_for_class(x509.KeyUsage).value
    assert (usage.key_cert_sign, usage.crl_sign, usage.digital_signature) == (True, True, False)


def test_a_node_certificate_says_who_it_is_three_times() -> None:
    issued = AUTHORITY.issue_node("pole-17", 100, NOW)
    names = issued.cert.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert issued.cert.subject.rfc4514_string() == "CN=pole-17"
    assert names.get_values_for_type(x509.DNSName) == ["pole-17"]
    uri = f"lumenair:pole-17/{issued.cert.serial_number:x}"
    assert names.get_values_for_type(x509.UniformResourceIdentifier) == [uri]
    assert issued.cert.extensions.get_extension_for_class(x509.BasicConstraints).value.ca is False
    assert isinstance(issued.key.curve, ec.SECP256R1)


def test_a_chain_is_accepted_by_a_strict_verifier() -> None:
    now = datetime.datetime.now(datetime.UTC)
    builder = PolicyBuilder().store(Store([AUTHORITY.cert])).time(now)
    issued = AUTHORITY.issue_node("pole-17", 100, NOW)
    assert builder.build_client_verifier().verify(issued.cert, []).chain[0] == issued.cert
    server = AUTHORITY.issue_server(["b.example", "192.0.2.1"], 100, NOW)
    for name in (x509.DNSName("b.example"), x509.DNSName("localhost")):
        builder.build_server_verifier(name).verify(server.cert, [])
    with pytest.raises(ChainError):
        builder.build_server_verifier(x509.DNSName("pole-17")).verify(issued.cert, [])


def test_validity_begins_a_day_early_and_ends_with_the_authority() -> None:
    issued = AUTHORITY.issue_node("pole-17", 5000, NOW)
    assert issued.cert.not_valid_before_utc.timestamp() == NOW - 86400
    assert issued.cert.not_valid_after_utc == AUTHORITY.cert.not_valid_after_utc
    assert pki.until_s(AUTHORITY.issue_node("pole-17", 10, NOW).cert) == NOW + 10 * 86400


def test_an_identity_holds_what_is_issued() -> None:
    issued = AUTHORITY.issue_node("pole-17", 100, NOW)
    ca = AUTHORITY.cert.public_bytes(serialization.Encoding.DER)
    identity = Identity(
        node="pole-17", kind="air", board="b", boot0=1, ca=ca, cert=issued.cert_der, key=issued.key_der, brokers=["b:1"]
    )
    assert Identity.decode(identity.encode()).cert == issued.cert_der
    key = serialization.load_der_private_key(issued.key_der, None)
    assert key.public_key() == der_cert(issued.cert_der).public_key()  # type: ignore[comparison-overlap]


@given(st.text(max_size=40))
def test_no_client_name_is_a_node_id_and_no_node_id_a_client_name(name: str) -> None:
    made = 0
    for issue in (AUTHORITY.issue_node, AUTHORITY.issue_client):
        try:
            issue(name, 1, NOW)
            made += 1
        except UsageError:
            pass
    assert made <= 1


@pytest.mark.parametrize(
    "name", ["", "ab", "-abc", "Abc", "a" * 33, "a.b", "a/b", "a+b", "a#b", "service.fleet", "pöle"]
)
def test_what_is_no_node_id_gets_no_certificate(name: str) -> None:
    with pytest.raises(UsageError):
        AUTHORITY.issue_node(name, 1, NOW)


def test_keys_are_kept_on_a_stick_without_links_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def link(_old: Path, _new: Path) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", link)
    files.write_new(tmp_path / "a.pem", b"key")
    with pytest.raises(NotAllowedError, match=r"a\.pem exists"):
        files.write_new(tmp_path / "a.pem", b"another")
    assert (tmp_path / "a.pem").read_bytes() == b"key"
    assert [(path.name, stat.S_IMODE(path.stat().st_mode)) for path in tmp_path.iterdir()] == [("a.pem", 0o600)]


def test_keys_are_private_from_the_first_moment_and_never_overwritten(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        AUTHORITY.save(tmp_path)
        AUTHORITY.issue_node("pole-17", 1, NOW).save(tmp_path, "pole-17")
    finally:
        os.umask(old)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert modes == {"ca.key": 0o600, "ca.pem": 0o644, "crl.pem": 0o644, "pole-17.key": 0o600, "pole-17.pem": 0o644}
    before = (tmp_path / "pole-17.key").read_bytes()
    with pytest.raises(NotAllowedError, match=r"pole-17\.key exists"):
        AUTHORITY.issue_node("pole-17", 1, NOW).save(tmp_path, "pole-17")
    assert (tmp_path / "pole-17.key").read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 5


def test_a_file_in_no_directory_is_an_error_of_ours(tmp_path: Path) -> None:
    for write in (files.write_new, files.replace):
        with pytest.raises(FleetError, match="No such file"):
            write(tmp_path / "no" / "file", b"")
    (tmp_path / "taken").mkdir()
    with pytest.raises(FleetError):
        files.replace(tmp_path / "taken", b"")
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]


# sentence: (passphrase that encrypts, passphrase that opens, whether it does)
OPENED = {
    "no passphrase at all": (None, None, True),
    "the right passphrase": (b"secret", b"secret", True),
    "the wrong passphrase": (b"secret", b"other", False),
    "a missing passphrase": (b"secret", None, False),
    "a passphrase too many": (None, b"secret", False),
}


@pytest.mark.parametrize("sentence", OPENED)
def test_opening_the_authority(sentence: str, tmp_path: Path) -> None:
    cover, given_, fine = OPENED[sentence]
    AUTHORITY.save(tmp_path, cover)
    assert (b"ENCRYPTED" in (tmp_path / "ca.key").read_bytes()) is (cover is not None)
    if fine:
        assert pki.Authority.load(tmp_path, given_).cert == AUTHORITY.cert
    else:
        with pytest.raises(VerificationError) as caught:
            pki.Authority.load(tmp_path, given_)
        assert "pki.passphrase" in caught.value.hint


def test_a_key_of_another_authority_is_refused(tmp_path: Path) -> None:
    AUTHORITY.save(tmp_path)
    (tmp_path / "ca.key").write_bytes(AUTHORITY.issue_node("pole-17", 1, NOW).key_pem)
    with pytest.raises(VerificationError, match="is not the key"):
        pki.Authority.load(tmp_path)


def test_a_missing_or_broken_certificate_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"ca\.pem"):
        pki.Authority.load(tmp_path)
    (tmp_path / "ca.pem").write_text("nonsense")
    with pytest.raises(VerificationError, match=r"ca\.pem"):
        pki.Authority.load(tmp_path)


def test_the_revocation_list_grows_and_is_obeyed(tmp_path: Path) -> None:
    AUTHORITY.save(tmp_path)
    certs = [AUTHORITY.issue_node(f"pole-{number}", 100, NOW).cert for number in range(3)]
    for cert in (certs[0], certs[1], certs[0]):
        AUTHORITY.revoke(tmp_path, cert.serial_number, NOW)
    found = x509.load_pem_x509_crl((tmp_path / "crl.pem").read_bytes())
    assert [entry.serial_number for entry in found] == [cert.serial_number for cert in certs[:2]]
    assert found.is_signature_valid(AUTHORITY.cert.public_key())  # type: ignore[arg-type]
    assert found.next_update_utc == AUTHORITY.cert.not_valid_after_utc
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_verify_locations(tmp_path / "crl.pem")


def test_the_passphrase_comes_from_where_the_configuration_says(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("from file\nmore\n")
    assert pki.passphrase(PkiConfig()) is None
    assert pki.passphrase(PkiConfig(passphrase_file=str(file))) == b"from file"
    assert pki.passphrase(PkiConfig(passphrase_env="X"), {"X": "from env"}) == b"from env"
    file.write_text("\n")
    for config, environ in ((PkiConfig(passphrase_file=str(file)), {}), (PkiConfig(passphrase_env="X"), {"X": ""})):
        with pytest.raises(ConfigError, match="is empty"):
            pki.passphrase(config, environ)
