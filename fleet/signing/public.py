"""Public keys as people hand them around: NAME.pub, one line `ed25519 HEX NAME`; or PEM, as openssl writes it."""

import re
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from fleet import files
from fleet.errors import FleetError, NotFoundError, UsageError, VerificationError
from protocol import cose

MAX_FILE = 1 << 14  # bytes of a key file, private or public
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,31}")
_P = 2**255 - 19  # of Curve25519, RFC 8032 section 5.1
_D = -121665 * pow(121666, -1, _P) % _P
_LINE = re.compile(r"ed25519 ([0-9a-f]{64})(?: (\S+))?")


@dataclass(frozen=True)
class PublicKey:
    """32 bytes, and what people call them. The name is a comfort: a root holds the bytes alone."""

    name: str
    public: bytes

    @property
    def kid(self) -> str:
        """What a signature calls the key, as hex."""
        return cose.kid(self.public).hex()

    def save(self, path: Path) -> None:
        """Write it as one line; NotAllowedError when the file exists."""
        files.write_new(path, f"ed25519 {self.public.hex()} {self.name}\n".encode(), files.PUBLIC)


def check_name(name: str) -> str:
    """The name; UsageError when no key can be called so."""
    if not _NAME.fullmatch(name):
        raise UsageError(f"{name!r} is not the name of a key", hint="up to 32 letters, digits, ., _ and -")
    return name


def load_public(path: Path) -> PublicKey:
    """The public key in a file; NotFoundError, or VerificationError for what is no Ed25519 public key."""
    data = read(path)
    if b"PRIVATE KEY" in data:
        raise VerificationError(
            f"{path} is a private key", hint=f"name the public one, such as {path.with_suffix('.pub')}"
        )
    if data.startswith(b"-----BEGIN PUBLIC KEY-----"):
        return PublicKey(path.stem, _checked(path, _pem(path, data)))
    line = data.decode(errors="replace").strip()
    found = _LINE.fullmatch(line)
    if found is None:
        raise VerificationError(f"{path} holds no public key", hint="one line `ed25519 HEX NAME`, or PEM of Ed25519")
    name = found[2] or path.stem
    return PublicKey(name if _NAME.fullmatch(name) else path.stem, _checked(path, bytes.fromhex(found[1])))


def _checked(path: Path, public: bytes) -> bytes:
    """The key; VerificationError for one that nobody honest has: nodes refuse it, and anybody may sign for it."""
    y = int.from_bytes(public, "little") & 2**255 - 1
    square = y * y % _P
    x_square = (square - 1) * pow(_D * square + 1, -1, _P) % _P
    is_small = square * (square - 1) * (_D * square * square + 2 * square - 1) % _P == 0  # an order of 1, 2, 4 or 8
    if y >= _P or is_small or pow(x_square, (_P - 1) // 2, _P) != 1:
        raise VerificationError(f"{path} holds no public key", cause="it is no point that a key of Ed25519 can be")
    return public


def _pem(path: Path, data: bytes) -> bytes:
    try:
        key = load_pem_public_key(data)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise VerificationError(f"{path} holds no public key", cause=str(error)) from error
    if not isinstance(key, Ed25519PublicKey):
        raise VerificationError(f"{path} is not a key of Ed25519", hint="updates are signed with Ed25519 only")
    return key.public_bytes_raw()


def read(path: Path) -> bytes:
    """The bytes of a small file; NotFoundError, FleetError when it cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(MAX_FILE)
    except FileNotFoundError:
        raise NotFoundError(f"{path} does not exist", hint="check the name") from None
    except OSError as error:
        raise FleetError(f"cannot read {path}", cause=error.strerror or str(error)) from error
