"""The archive: everything that a published release consists of, once, under its digest; nothing is ever deleted.

    releases/objects/<2 hex>/<64 hex>     an object: manifest, file, bill of materials, base image

Objects are written whole before anything names them, so a reader needs no lock. What is read is compared with its
name: a disk that forgets is noticed here and not by ten thousand nodes.
"""

from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

from fleet import files
from fleet.errors import FleetError, NotFoundError, VerificationError

MAX_OBJECT = 16 << 20  # bytes: the largest object is a base image


class Archive:
    """The objects below a directory (`config.releases_dir`), which need not exist yet."""

    def __init__(self, directory: Path) -> None:
        self._objects = directory / "objects"

    def path(self, digest: bytes) -> Path:
        """Where the object of that SHA-256 is, or would be."""
        assert len(digest) == 32
        name = digest.hex()
        return self._objects / name[:2] / name

    def paths(self) -> Iterator[Path]:
        """Where each object is that there is; not in order."""
        return self._objects.glob("??/" + "?" * 64)

    def has(self, digest: bytes) -> bool:
        """Whether it is there. Its bytes are not looked at."""
        return self.path(digest).is_file()

    def size(self, digest: bytes) -> int:
        """Its bytes; NotFoundError."""
        try:
            return self.path(digest).stat().st_size
        except OSError as error:
            raise _missing(digest, error) from error

    def get(self, digest: bytes) -> bytes:
        """The object; NotFoundError when it is not there, VerificationError when it is not what it was."""
        path = self.path(digest)
        try:
            with path.open("rb") as file:
                data = file.read(MAX_OBJECT + 1)
        except OSError as error:
            raise _missing(digest, error) from error
        if sha256(data).digest() != digest:
            raise VerificationError(
                f"{path} is damaged",
                cause="its bytes are not those of its name",
                hint="publish its release again from the built directory, or restore the newest backup",
            )
        return data

    def put(self, data: bytes) -> bytes:
        """Keep an object; its SHA-256. One that is there already is left alone, unless it is damaged."""
        digest = sha256(data).digest()
        if not self._is_whole(digest, len(data)):
            path = self.path(digest)
            try:
                files.make_private_dir(path.parent)
            except OSError as error:
                raise FleetError(f"cannot make {path.parent}", cause=error.strerror or str(error)) from error
            files.replace(path, data)
        return digest

    def _is_whole(self, digest: bytes, size: int) -> bool:
        path = self.path(digest)
        try:
            return path.stat().st_size == size and sha256(path.read_bytes()).digest() == digest
        except OSError:
            return False


def _missing(digest: bytes, error: OSError) -> NotFoundError:
    return NotFoundError(
        f"the archive has no object {digest.hex()}",
        hint="publish its release again from the built directory, or restore the newest backup",
        cause=error.strerror or str(error),
    )
