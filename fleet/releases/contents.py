"""A release with everything that it consists of, checked part by part against what names it.

    release.cbor      the envelope: release document and signatures
    manifest.cbor     named by the release; names every file
    files/...         the slot of a node
    sbom.cdx.json     named by the release; names size.json
    size.json
    base.bin          named by the release, when a base image comes along

The parts come from anybody: nothing is read beyond what a part that was checked before it allows.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from fleet.errors import VerificationError
from protocol import manifest
from protocol.errors import DecodeError
from protocol.trust import Release, Signed

RELEASE = "release.cbor"
MANIFEST = "manifest.cbor"
FILES = "files/"
SBOM = "sbom.cdx.json"
SIZE = "size.json"
BASE = "base.bin"
MAX_SBOM = 1 << 20  # bytes; one of 90 files has 50 000
MAX_SIZE = 1 << 16
MAX_SLOT = 1 << 20  # bytes of all files of a slot: more than any node has
_NAME = re.compile(r"[a-z]{1,8}")
_VERSION = re.compile(r"[0-9A-Za-z][0-9A-Za-z.+_-]{0,31}")

Fetch = Callable[[str, bytes, int], bytes]  # (part, its SHA-256, its most bytes) -> its bytes, whatever they are


@dataclass(frozen=True)
class Contents:
    """A whole release. Who signed it is another question: `verify`."""

    signed: Signed
    release: Release
    manifest: bytes
    files: Mapping[str, bytes]  # {path within the slot: contents}
    sbom: bytes
    size: bytes
    base: bytes = b""

    @property
    def id(self) -> str:
        """What people call it: `air-1.4.0`."""
        return f"{self.release.product}-{self.release.version}"

    @property
    def digest(self) -> bytes:
        """The SHA-256 of the release document."""
        return sha256(self.signed.document).digest()

    def parts(self) -> dict[str, bytes]:
        """{part: bytes} of everything but the envelope."""
        found = {MANIFEST: self.manifest, SBOM: self.sbom, SIZE: self.size}
        found.update({FILES + path: data for path, data in self.files.items()})
        return {**found, BASE: self.base} if self.release.base else found


def opened(envelope: bytes) -> tuple[Signed, Release]:
    """The release in an envelope; VerificationError when it is none, or has names that mislead."""
    try:
        signed = Signed.decode(envelope)
        release = Release.decode(signed.document)
    except DecodeError as error:
        raise VerificationError(f"{RELEASE} is no release", cause=str(error)) from error
    if not (_NAME.fullmatch(release.product) and _VERSION.fullmatch(release.version)):
        raise VerificationError(f"{RELEASE} is no release", cause="its product or version is not a name")
    words = (release.source, release.base_min, release.base_version, *release.boards, *release.chips, *release.cves)
    if not all(word.isprintable() for word in words):
        raise VerificationError(f"{RELEASE} is no release", cause="a text of it has more than one line, or hides some")
    if release.size > MAX_SLOT:
        raise VerificationError(f"{RELEASE} is no release", cause=f"its files have {release.size} bytes")
    return signed, release


def listed(release: Release, data: bytes) -> manifest.Manifest:
    """The manifest of a release; VerificationError when it is another one, or is not in order."""
    if sha256(data).digest() != release.manifest or len(data) != release.manifest_size:
        raise VerificationError(f"{MANIFEST} is not the one of the release")
    try:
        found = manifest.load(data)
    except DecodeError as error:
        raise VerificationError(f"{MANIFEST} is not in order", cause=str(error)) from error
    if found.version != release.version or sum(file.size for file in found.files) != release.size:
        raise VerificationError(f"{MANIFEST} is not in order", cause="version or size are not those of the release")
    return found


def load(envelope: bytes, fetch: Fetch) -> Contents:
    """The release of an envelope with all its parts; VerificationError names each part that is not what it has to be.

    What `fetch` raises as VerificationError is taken for such a fault.
    """
    signed, release = opened(envelope)
    listing = fetch(MANIFEST, release.manifest, release.manifest_size)
    rows = listed(release, listing).files
    parts = {FILES + row.path: (row.sha256, row.size) for row in rows}
    if release.base:
        parts[BASE] = (release.base, release.base_size)
    found = _fetched({**parts, SBOM: (release.sbom, MAX_SBOM)}, fetch)
    if any(len(found[name]) != size for name, (_, size) in parts.items()):
        raise VerificationError(f"{MANIFEST} is not in order", cause="sizes are not those of the files")
    try:
        digest = _size_digest(found[SBOM])
    except ValueError as error:
        raise VerificationError(f"{SBOM} is no bill of materials of ours", cause=str(error)) from error
    size = _fetched({SIZE: (digest, MAX_SIZE)}, fetch)[SIZE]
    files = {row.path: found[FILES + row.path] for row in rows}
    return Contents(signed, release, listing, files, found[SBOM], size, found.get(BASE, b""))


def _size_digest(bill: bytes) -> bytes:
    """The SHA-256 of the size report that a bill names; ValueError when it names none."""
    try:
        references: Any = json.loads(bill)["metadata"]["component"]["externalReferences"]
        found = [row["hashes"][0]["content"] for row in references if row["url"] == SIZE]
        digest = bytes.fromhex(found[0])
    except (KeyError, IndexError, TypeError, RecursionError) as error:
        raise ValueError(f"it names no {SIZE}") from error
    if len(digest) != sha256().digest_size:
        raise ValueError(f"it names {SIZE} by no SHA-256")
    return digest


def _fetched(parts: Mapping[str, tuple[bytes, int]], fetch: Fetch) -> dict[str, bytes]:
    found, faults = {}, []
    for name, (digest, most) in parts.items():
        try:
            found[name] = fetch(name, digest, most)
            if sha256(found[name]).digest() != digest:
                faults.append(f"{name} is not what was built")
        except VerificationError as error:
            faults.append(f"{name}: {error}")
    if faults:
        raise VerificationError("the release is not whole", cause="\n".join(faults), hint="build or copy it again")
    return found
