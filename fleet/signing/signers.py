"""Keys that sign: in a PEM file, or behind a command that asks an HSM. Passphrases come from files, the environment or
a person, never from a command line, and stand in no error."""

import stat
import subprocess
import tempfile
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Protocol

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from fleet.errors import FleetError, NotAllowedError, TimedOutError, UsageError, VerificationError
from fleet.signing.public import load_public, read
from protocol.cose import SIGNATURE_SIZE

TIMEOUT_S = 120.0  # a person may have to type a PIN
MAX_TIMEOUT_S = 86400
_ENCRYPTED = b"ENCRYPTED"
_PRIVATE = b"PRIVATE KEY"  # in the first line of every PEM file with one
_QUOTED = 500  # characters of what a command said last

Ask = Callable[[Path], bytes]  # gets the passphrase of a file


class Signer(Protocol):
    """A private key, wherever it is."""

    @property
    def name(self) -> str:
        """What it is called in messages."""

    @property
    def public(self) -> bytes:
        """The public key, 32 bytes."""

    @property
    def note(self) -> str:
        """What its owner should know; empty when there is nothing."""

    def sign(self, data: bytes) -> bytes:
        """The Ed25519 signature of `data`, 64 bytes; FleetError."""


@dataclass(frozen=True)
class PemSigner:
    """A key in the memory of this process."""

    name: str
    note: str
    _key: Ed25519PrivateKey = field(repr=False)

    @property
    def public(self) -> bytes:
        """The public key, 32 bytes."""
        return self._key.public_key().public_bytes_raw()

    def sign(self, data: bytes) -> bytes:
        """The signature of `data`."""
        return self._key.sign(data)


@dataclass(frozen=True)
class CommandSigner:
    """A command that gets the bytes to sign on its standard input and answers 64 bytes on its standard output."""

    name: str
    argv: tuple[str, ...]
    public: bytes
    timeout_s: float = TIMEOUT_S
    note: str = ""

    def sign(self, data: bytes) -> bytes:
        """The signature of `data`; FleetError, TimedOutError, VerificationError when it does not hold."""
        with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as answer, tempfile.TemporaryFile() as said:
            given.write(data)
            given.seek(0)
            code = self._run(given, answer, said)  # files: what the command leaves running cannot hold us up
            answer.seek(0)
            signature, words = answer.read(SIGNATURE_SIZE + 1), _last(said)
        if code:
            raise FleetError(f"the signer {self.name} failed with code {code}", hint="try it by hand", cause=words)
        if len(signature) != SIGNATURE_SIZE:
            hint = f"it has to write the {SIGNATURE_SIZE} raw bytes of an Ed25519 signature, and nothing else"
            length = len(signature) if len(signature) < SIGNATURE_SIZE else f"more than {SIGNATURE_SIZE}"
            raise FleetError(f"the signer {self.name} answered {length} bytes", hint=hint, cause=words)
        if not holds(self.public, data, signature):
            hint = "is it the public key of what the command signs with?"
            raise VerificationError(f"what the signer {self.name} answered does not hold", hint=hint, cause=words)
        return signature

    def _run(self, given: IO[bytes], answer: IO[bytes], said: IO[bytes]) -> int:
        try:
            child = subprocess.Popen(self.argv, stdin=given, stdout=answer, stderr=said)
        except OSError as error:
            cause = error.strerror or str(error)
            raise FleetError(
                f"cannot start the signer {self.name}", hint=f"check {self.argv[0]}", cause=cause
            ) from error
        with child:
            try:
                return child.wait(self.timeout_s)
            except subprocess.TimeoutExpired:
                text = f"the signer {self.name} did not answer in {self.timeout_s:g} s"
                raise TimedOutError(text, hint="try it by hand", cause=_last(said)) from None
            finally:
                child.kill()


def _last(said: IO[bytes]) -> str:
    """The end of what a command said, without anything that could move a cursor."""
    end = said.seek(0, 2)
    said.seek(max(0, end - 4 * _QUOTED))
    text = said.read().decode(errors="replace")
    return "".join(char if char.isprintable() or char == "\n" else "\ufffd" for char in text).strip()[-_QUOTED:]


def holds(public: bytes, data: bytes, signature: bytes) -> bool:
    """Whether `signature` is one of `data` by that key."""
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, data)
    except (InvalidSignature, ValueError):
        return False
    return True


def command_signer(argv: Sequence[str], public: bytes, timeout_s: float = TIMEOUT_S, name: str = "") -> CommandSigner:
    """A signer behind a command; `public` is what its answers are checked with."""
    if not argv:
        raise UsageError("the command of a signer is empty", hint='command = ["program", "argument"]')
    return CommandSigner(name or argv[0], tuple(argv), public, timeout_s)


def pem_signer(path: Path, passphrase: bytes | None = None) -> PemSigner:
    """The private key in a PEM file (PKCS #8); NotFoundError.

    UsageError when it is encrypted and there is no passphrase, VerificationError when it does not open, NotAllowedError
    when it is not encrypted and others may read it.
    """
    data = read(path)
    encrypted = is_encrypted(data)
    if encrypted and not passphrase:
        raise UsageError(f"{path} is encrypted", hint="give its passphrase with --passphrase-file")
    if not encrypted and _PRIVATE in data and path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise NotAllowedError(f"{path} is not encrypted, and others may read it", hint=f"chmod go= {path}")
    try:
        key = load_pem_private_key(data, passphrase if encrypted else None)
    except (ValueError, TypeError, UnsupportedAlgorithm):  # their texts are of no help, and this one holds no secret
        why = "the passphrase is wrong, or it is damaged" if encrypted else "it is no private key in PEM"
        raise VerificationError(f"cannot open {path}", hint="check file and passphrase", cause=why) from None
    if not isinstance(key, Ed25519PrivateKey):
        raise VerificationError(f"{path} is not a key of Ed25519", hint="updates are signed with Ed25519 only")
    return PemSigner(str(path), "" if encrypted else f"{path} is not encrypted: whoever gets the file can sign.", key)


def is_encrypted(pem: bytes) -> bool:
    """Whether a private key needs a passphrase."""
    return _ENCRYPTED in pem


def open_signer(path: Path, ask: Ask) -> Signer:
    """The signer that a file names: a private key in PEM, or NAME.toml with `command`, `public` and `timeout_s`.

    `ask` is called when a key is encrypted. In a .toml, `public` is a file, relative to it.
    """
    data = read(path)
    if path.suffix == ".toml":
        return _described(path, data)
    return pem_signer(path, ask(path) if is_encrypted(data) else None)


def _described(path: Path, data: bytes) -> CommandSigner:
    hint = 'command = ["program", "argument"] and public = "NAME.pub", and perhaps timeout_s = 120'
    try:
        tree = tomllib.loads(data.decode())
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path} is not TOML", hint=hint, cause=str(error)) from error
    argv, public, timeout_s = tree.pop("command", None), tree.pop("public", None), tree.pop("timeout_s", TIMEOUT_S)
    is_list = isinstance(argv, list) and all(isinstance(word, str) and "\0" not in word for word in argv)
    is_time = type(timeout_s) in (int, float) and 0 < timeout_s <= MAX_TIMEOUT_S
    if tree or not is_list or not isinstance(public, str) or "\0" in public or not is_time:
        raise UsageError(f"{path} does not describe a signer", hint=hint)
    return command_signer(argv or (), load_public(path.parent / public).public, timeout_s, str(path))
