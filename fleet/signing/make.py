"""New keys, and the files they are kept in: PKCS #8 (RFC 5958), encrypted as PKCS #5 says (PBES2, RFC 8018).

The encryption is put together here because `cryptography` writes 2 048 rounds of PBKDF2 and takes no other number: an
offline key has to outlast the theft of its file. Whatever reads PKCS #8 reads these, openssl among it.
"""

import base64
import secrets
import textwrap

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC
from cryptography.hazmat.primitives.padding import PKCS7
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from fleet.errors import UsageError

ROUNDS = 600_000  # of PBKDF2: what OWASP asks for with SHA-256; some tenths of a second
MIN_PASSPHRASE = 8  # characters
_PBES2 = "2a864886f70d01050d"  # object identifiers, as DER has them
_PBKDF2 = "2a864886f70d01050c"
_HMAC_SHA256 = "2a864886f70d0209"
_AES256_CBC = "60864801650304012a"
_INTEGER, _OCTETS, _NULL, _OID, _SEQUENCE = 0x02, 0x04, 0x05, 0x06, 0x30


def new_key() -> Ed25519PrivateKey:
    """A key that nobody has seen."""
    return Ed25519PrivateKey.generate()


def check_passphrase(passphrase: bytes) -> bytes:
    """The passphrase; UsageError when it is too short to hold anybody up."""
    if len(passphrase) < MIN_PASSPHRASE:
        raise UsageError(f"the passphrase has fewer than {MIN_PASSPHRASE} characters", hint="several words are good")
    return passphrase


def private_pem(key: Ed25519PrivateKey, passphrase: bytes | None = None, rounds: int = ROUNDS) -> bytes:
    """The key as a file, encrypted when there is a passphrase."""
    form = PrivateFormat.PKCS8
    if passphrase is None:
        return key.private_bytes(Encoding.PEM, form, NoEncryption())
    plain = key.private_bytes(Encoding.DER, form, NoEncryption())
    text = base64.b64encode(_encrypted(plain, passphrase, rounds)).decode()
    lines = ["-----BEGIN ENCRYPTED PRIVATE KEY-----", *textwrap.wrap(text, 64), "-----END ENCRYPTED PRIVATE KEY-----"]
    return ("\n".join(lines) + "\n").encode()


def _encrypted(plain: bytes, passphrase: bytes, rounds: int) -> bytes:
    """An EncryptedPrivateKeyInfo: PBES2 with PBKDF2-HMAC-SHA256 and AES-256-CBC."""
    salt, vector = secrets.token_bytes(16), secrets.token_bytes(16)
    secret = PBKDF2HMAC(hashes.SHA256(), 32, salt, rounds).derive(passphrase)
    padder = PKCS7(128).padder()
    encryptor = Cipher(algorithms.AES(secret), modes.CBC(vector)).encryptor()
    hidden = encryptor.update(padder.update(plain) + padder.finalize()) + encryptor.finalize()
    count = rounds.to_bytes(rounds.bit_length() // 8 + 1, "big")
    hmac = _der(_SEQUENCE, _oid(_HMAC_SHA256), _der(_NULL))
    derivation = _der(_SEQUENCE, _der(_OCTETS, salt), _der(_INTEGER, count), hmac)
    scheme = _der(_SEQUENCE, _oid(_AES256_CBC), _der(_OCTETS, vector))
    parameters = _der(_SEQUENCE, _der(_SEQUENCE, _oid(_PBKDF2), derivation), scheme)
    return _der(_SEQUENCE, _der(_SEQUENCE, _oid(_PBES2), parameters), _der(_OCTETS, hidden))


def _oid(digits: str) -> bytes:
    return _der(_OID, bytes.fromhex(digits))


def _der(tag: int, *parts: bytes) -> bytes:
    """One value of DER, shorter than 65 536 bytes."""
    body = b"".join(parts)
    size = len(body)
    length = (
        bytes([size]) if size < 0x80 else bytes([0x81, size]) if size < 0x100 else b"\x82" + size.to_bytes(2, "big")
    )
    return bytes([tag]) + length + body
