"""The fleet's certificates: one authority (P-256, path length 0), leaves for broker, service, operators and nodes.

CN = SAN DNS = the name, so that every broker finds the identity where it looks for it. A URI `lumenair:NAME/SERIAL`
besides names the one certificate: NATS users are called so, and a certificate that was replaced or revoked is no
user any more although its name still is (docs/explain/broker-security.md).
Names of people and programs contain a dot, which a node id cannot (SPEC 2.2): no node can be called like them.
"""

import datetime
import ipaddress
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from fleet import files
from fleet.config import PkiConfig
from fleet.errors import ConfigError, FleetError, NotFoundError, UsageError, VerificationError
from protocol.topics import is_node_id

BROKER = "broker.fleet"
SERVICE = "service.fleet"
OPERATOR = "operator.fleet"
BACKDATED = datetime.timedelta(days=1)  # a node whose clock is late must not refuse a new certificate
_NAME_MAX = 64  # X.520 ub-common-name
_CRITICAL = True
_DAY = 86400  # seconds


@dataclass(frozen=True)
class Issued:
    """A certificate and its private key."""

    cert: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def cert_der(self) -> bytes:
        """As a node keeps it."""
        return self.cert.public_bytes(serialization.Encoding.DER)

    @property
    def key_der(self) -> bytes:
        """SEC 1, the form with the fewest bytes that mbedTLS reads."""
        return self._key(serialization.Encoding.DER, serialization.PrivateFormat.TraditionalOpenSSL)

    @property
    def cert_pem(self) -> bytes:
        """As programs on a host read it."""
        return self.cert.public_bytes(serialization.Encoding.PEM)

    @property
    def key_pem(self) -> bytes:
        """PKCS #8, not encrypted."""
        return self._key(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8)

    def save(self, directory: Path, name: str) -> None:
        """Write NAME.key (0600) and NAME.pem; NotAllowedError when one exists."""
        files.write_new(directory / f"{name}.key", self.key_pem)
        files.write_new(directory / f"{name}.pem", self.cert_pem, files.PUBLIC)

    def _key(self, encoding: serialization.Encoding, form: serialization.PrivateFormat) -> bytes:
        return self.key.private_bytes(encoding, form, serialization.NoEncryption())


class Authority:
    """The certificate authority of one fleet."""

    def __init__(self, cert: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
        self.cert = cert
        self._key = key

    @classmethod
    def create(cls, name: str, days: int, now_s: int) -> "Authority":
        """A new authority called `name`, valid for `days`."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = _name(name)
        serial = x509.random_serial_number()
        builder = _builder(subject, subject, key, serial)
        builder = builder.not_valid_before(_time(now_s) - BACKDATED).not_valid_after(_time(now_s + days * _DAY))
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), _CRITICAL)
        builder = builder.add_extension(_usage(sign=False), _CRITICAL)
        builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
        return cls(builder.sign(key, hashes.SHA256()), key)

    @classmethod
    def load(cls, directory: Path, passphrase: bytes | None = None) -> "Authority":
        """The authority that `save` wrote; VerificationError when the passphrase is wrong or the files do not match."""
        cert = load_cert(directory / "ca.pem")
        path = directory / "ca.key"
        try:
            key = serialization.load_pem_private_key(_read(path), passphrase)
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise VerificationError(
                f"cannot open {path}",
                hint="check pki.passphrase_file and pki.passphrase_env in fleet.toml",
                cause=str(error),
            ) from error
        if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != cert.public_key():
            raise VerificationError(f"{path} is not the key of ca.pem", hint="restore both from the same backup")
        return cls(cert, key)

    def save(self, directory: Path, passphrase: bytes | None = None) -> None:
        """Write ca.key (0600, encrypted when there is a passphrase), an empty crl.pem, and ca.pem last."""
        cover: serialization.KeySerializationEncryption = serialization.NoEncryption()
        if passphrase is not None:
            cover = serialization.BestAvailableEncryption(passphrase)
        form = serialization.PrivateFormat.PKCS8
        files.write_new(directory / "ca.key", self._key.private_bytes(serialization.Encoding.PEM, form, cover))
        files.write_new(directory / "crl.pem", self._crl([], _seconds(self.cert.not_valid_before_utc)), files.PUBLIC)
        files.write_new(directory / "ca.pem", self.cert.public_bytes(serialization.Encoding.PEM), files.PUBLIC)

    def issue_node(self, node: str, days: int, now_s: int) -> Issued:
        """The certificate of a node; UsageError when `node` is no node id."""
        if not is_node_id(node):
            raise UsageError(f"{node!r} is not a node id", hint="3 to 32 of a-z, 0-9 and -, not beginning with -")
        return self._issue(node, [x509.DNSName(node)], ExtendedKeyUsageOID.CLIENT_AUTH, days, now_s)

    def issue_client(self, name: str, days: int, now_s: int) -> Issued:
        """The certificate of the service or of a person; UsageError unless the name holds a dot."""
        if "." not in name or not 3 <= len(name) <= _NAME_MAX or not name.isascii():
            raise UsageError(f"{name!r} is not the name of a client", hint=f"write it like {OPERATOR}")
        return self._issue(name, [x509.DNSName(name)], ExtendedKeyUsageOID.CLIENT_AUTH, days, now_s)

    def issue_server(self, names: Iterable[str], days: int, now_s: int) -> Issued:
        """The broker's certificate for these host names and IP addresses, and always for this machine itself."""
        every = dict.fromkeys(["localhost", "127.0.0.1", "::1", *names])
        return self._issue(BROKER, [_host(name) for name in every], ExtendedKeyUsageOID.SERVER_AUTH, days, now_s)

    def revoke(self, directory: Path, serial: int, now_s: int) -> None:
        """Add a certificate to crl.pem in `directory`; one that is there already stays as it is."""
        path = directory / "crl.pem"
        old = x509.load_pem_x509_crl(_read(path))
        if old.get_revoked_certificate_by_serial_number(serial) is not None:
            return
        entry = x509.RevokedCertificateBuilder(serial, _time(now_s)).build()
        files.replace(path, self._crl([*old, entry], now_s), files.PUBLIC)

    def _crl(self, entries: Iterable[x509.RevokedCertificate], now_s: int) -> bytes:
        """Valid as long as the authority: a list that went out of date would lock every node out of Mosquitto."""
        builder = x509.CertificateRevocationListBuilder(self.cert.subject)
        builder = builder.last_update(_time(now_s)).next_update(self.cert.not_valid_after_utc)
        for entry in entries:
            builder = builder.add_revoked_certificate(entry)
        builder = builder.add_extension(self._authority_id(), False)
        builder = builder.add_extension(x509.CRLNumber(now_s), False)
        return builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    def _issue(
        self, name: str, names: list[x509.GeneralName], purpose: x509.ObjectIdentifier, days: int, now_s: int
    ) -> Issued:
        key = ec.generate_private_key(ec.SECP256R1())
        serial = x509.random_serial_number()
        own = [x509.UniformResourceIdentifier(identity(name, serial))]
        end = min(_time(now_s + days * _DAY), self.cert.not_valid_after_utc)
        builder = _builder(_name(name), self.cert.subject, key, serial)
        builder = builder.not_valid_before(_time(now_s) - BACKDATED).not_valid_after(end)
        builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), _CRITICAL)
        builder = builder.add_extension(_usage(sign=True), _CRITICAL)
        builder = builder.add_extension(x509.ExtendedKeyUsage([purpose]), False)
        builder = builder.add_extension(x509.SubjectAlternativeName([*names, *own]), False)
        builder = builder.add_extension(self._authority_id(), False)
        return Issued(builder.sign(self._key, hashes.SHA256()), key)

    def _authority_id(self) -> x509.AuthorityKeyIdentifier:
        own = self.cert.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
        return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(own)


def identity(name: str, serial: int) -> str:
    """What names this one certificate: the URI in it, and the name of its user on NATS."""
    return f"lumenair:{name}/{serial:x}"


def load_cert(path: Path) -> x509.Certificate:
    """The certificate in a PEM file; NotFoundError or VerificationError."""
    try:
        return x509.load_pem_x509_certificate(_read(path))
    except ValueError as error:
        raise VerificationError(f"{path} holds no certificate", cause=str(error)) from error


def missing_names(cert: x509.Certificate, names: Iterable[str]) -> list[str]:
    """Those of some host names and addresses that a certificate does not hold: clients refuse it there."""
    held = cert.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return [name for name in names if _host(name) not in held]


def sha256_of(cert: x509.Certificate) -> str:
    """The fingerprint that other tools print, as hex."""
    return cert.fingerprint(hashes.SHA256()).hex()


def until_s(cert: x509.Certificate) -> int:
    """The last second of its validity."""
    return _seconds(cert.not_valid_after_utc)


def passphrase(config: PkiConfig, environ: Mapping[str, str] = os.environ) -> bytes | None:
    """What encrypts the authority's key, from where fleet.toml says, or None; ConfigError when it is not there."""
    if config.passphrase_env:
        text = environ.get(config.passphrase_env, "")
        if not text:
            raise ConfigError(
                f"the environment variable {config.passphrase_env} is empty", hint="pki.passphrase_env names it"
            )
        return text.encode()
    if config.passphrase_file:
        line = _read(Path(config.passphrase_file)).split(b"\n", 1)[0].strip()
        if not line:
            raise ConfigError(f"{config.passphrase_file} is empty", hint="pki.passphrase_file names it")
        return line
    return None


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, serial: int
) -> x509.CertificateBuilder:
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer)
    return builder.public_key(key.public_key()).serial_number(serial)


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _usage(sign: bool) -> x509.KeyUsage:
    """A leaf signs handshakes, an authority signs certificates and revocations; nothing does both."""
    return x509.KeyUsage(
        digital_signature=sign,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=not sign,
        crl_sign=not sign,
        encipher_only=False,
        decipher_only=False,
    )


def _host(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _time(seconds: int) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC)


def _seconds(time: datetime.datetime) -> int:
    return int(time.timestamp())


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise NotFoundError(f"{path} does not exist", hint="`fleet init` makes it; a backup may hold it") from None
    except OSError as error:
        raise FleetError(f"cannot read {path}", cause=error.strerror or str(error)) from error
