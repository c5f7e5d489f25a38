"""What a board must not lose when its file system is written anew: identity, ticket and everything under /data.

It is read over the prompt of a running MicroPython, which takes a second or two, or out of the flash through the
loader, which takes minutes and works for a board whose program is dead.
"""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from fleet.errors import NotAllowedError, VerificationError
from fleet.flashing import image, partitions
from fleet.flashing.esptool import Esptool, Found, Progress
from fleet.flashing.remote import Remote
from protocol import identity
from protocol.claim import Ticket
from protocol.errors import DecodeError

DATA = "/data/"
_DOCUMENTS = (identity.PATH, identity.TICKET_PATH)
_MAX = 4 << 20  # bytes that are read at all
_BATCH = 12 << 10  # bytes of files that one answer holds: the board has them in memory twice
_MAGIC = b"littlefs"  # in the superblock, LittleFS SPEC.md 0x0ff
_HEAD = 2 * image.BLOCK  # where the superblock is, and its twin

_LIST = """\
import os
answer = {'files': []}
def walk(top):
    for row in os.ilistdir(top):
        path = top + '/' + row[0]
        if row[1] & 0x4000:
            walk(path)
        else:
            answer['files'].append((path, os.stat(path)[6]))
for path in %r:
    try:
        answer['files'].append((path, os.stat(path)[6]))
    except OSError:
        pass
try:
    walk('/data')
except OSError:
    pass
"""
# The watchdog of a node goes on while its program is stopped; whoever makes it anew feeds it.
_READ = """\
import binascii, hashlib
try:
    __import__('machine').WDT(timeout=60000)
except Exception:
    pass
answer = {}
for path in %r:
    with open(path, 'rb') as file:
        data = file.read()
    digest = hashlib.sha256(data).digest()
    answer[path] = (binascii.b2a_base64(data).decode().strip(), binascii.hexlify(digest).decode())
"""


def is_kept(path: str) -> bool:
    """Whether a file belongs to the node, and not to its program."""
    return path in _DOCUMENTS or path.startswith(DATA)


def node_of(files: Mapping[str, bytes]) -> str:
    """The node whose identity is among the files; nothing when there is none, or a damaged one."""
    try:
        return identity.Identity.decode(files[identity.PATH]).node
    except (KeyError, DecodeError):
        return ""


def kind_of(files: Mapping[str, bytes]) -> str:
    """The kind of node that the identity or ticket among the files is for; nothing when there is none."""
    for path, document in ((identity.PATH, identity.Identity), (identity.TICKET_PATH, Ticket)):
        try:
            return document.decode(files[path]).kind
        except (KeyError, DecodeError):
            continue
    return ""


def completed(kept: Mapping[str, bytes], rescued: Mapping[str, bytes]) -> dict[str, bytes]:
    """The files of a board, and what is only among those that were read from it earlier.

    What the board has is newer, unless it is empty or an identity that cannot be read: so ends a write that broke off.
    A board that has become another node since keeps nothing of the old one.
    """
    node = node_of(kept)
    if not rescued or node not in ("", node_of(rescued)):
        return dict(kept)
    whole = {path: data for path, data in kept.items() if data and (node or path != identity.PATH)}
    return {**rescued, **whole}


def from_prompt(remote: Remote, progress: Progress | None = None) -> dict[str, bytes]:
    """{path: contents}, read by a small program on the board, whose own program is stopped for it.

    The errors are those of Remote; VerificationError when something does not come through as it is on the board.
    """
    listed = _listed(remote.url, remote.ask(_LIST % (_DOCUMENTS,), fresh=True).get("files"))
    total = sum(size for _, size in listed)
    found: dict[str, bytes] = {}
    for batch in _batches(listed):
        answer = remote.ask(_READ % (batch,))
        found.update({path: _decoded(remote.url, path, answer.get(path)) for path in batch})
        if progress is not None:
            progress(sum(map(len, found.values())), total)
    return found


def from_loader(loader: Esptool, found: Found, progress: Progress | None = None) -> dict[str, bytes]:
    """{path: contents}, out of the flash; nothing when there is no file system of ours in it.

    NotAllowedError when there is one that cannot be read: whoever wants it gone has to say so.
    """
    try:
        where = partitions.files(partitions.parse(found.table), found.flash_size)
    except VerificationError:
        return {}
    if _MAGIC not in loader.read(where.offset, _HEAD):
        return {}
    try:
        files = image.read(loader.read(where.offset, where.size, progress))
    except VerificationError as error:
        raise NotAllowedError(
            f"{loader.url} has a file system that cannot be read, and may have an identity and records in it",
            cause=error.cause,
            hint="save it with `esptool read-flash`, or give it up with --erase",
        ) from error
    return {path: data for path, data in files.items() if is_kept(path)}


def _listed(url: str, answer: Any) -> list[tuple[str, int]]:
    """The files that a board says it has, checked: another program may answer, and a line may lose bytes."""
    try:
        listed = [(str(path), int(size)) for path, size in answer]
    except (TypeError, ValueError, OverflowError):
        listed = [("", 0)]
    sizes = [size for _, size in listed]
    if min(sizes, default=0) < 0 or sum(sizes) > _MAX or not all(_makes_sense(path) for path, _ in listed):
        raise VerificationError(f"{url} lists files that make no sense", hint="reset the board, run it again")
    return listed


def _makes_sense(path: str) -> bool:
    """Whether a file of the node can have that name."""
    return is_kept(path) and path.isascii() and path.isprintable() and {"", ".", ".."}.isdisjoint(path.split("/")[1:])


def _batches(listed: Sequence[tuple[str, int]]) -> list[list[str]]:
    """Paths in groups that one answer can hold."""
    groups: list[list[str]] = []
    room = 0
    for path, size in listed:
        if not groups or size > room:
            groups.append([])
            room = _BATCH
        groups[-1].append(path)
        room -= size
    return groups


def _decoded(url: str, path: str, answer: Any) -> bytes:
    try:
        text, digest = answer
        data = base64.b64decode(text, validate=True)
    except (TypeError, ValueError):
        data, digest = b"", ""
    if hashlib.sha256(data).hexdigest() != digest:
        raise VerificationError(f"{path} did not come through from {url}", hint="run it again")
    return data
