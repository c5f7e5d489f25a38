"""A directory that claims to be a release is not believed: whatever is changed, missing or too much is named."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from fleet.errors import FleetError, NotFoundError, VerificationError
from fleet.releases import contents, directory
from fleet.tests.release_rig import built, small_firmware
from protocol import manifest
from protocol.trust import Release, Signed


@pytest.fixture(scope="module")
def releases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, contents.Contents]:
    top = tmp_path_factory.mktemp("sources")
    later = small_firmware(top / "later", "1.1.0", "LAMP = 2\n")
    return {"old": built(top / "first"), "new": built(later)}


@pytest.fixture
def place(tmp_path: Path, releases: dict[str, contents.Contents]) -> Path:
    return directory.write(tmp_path, releases["new"])[0]


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))


def _resign(place: Path, **fields: object) -> None:
    """Another release document in the envelope, as somebody with an editor makes it."""
    release = Release.decode(Signed.decode((place / "release.cbor").read_bytes()).document)
    for name, value in fields.items():
        setattr(release, name, value)
    (place / "release.cbor").write_bytes(Signed(document=release.encode()).encode())


def _relist(place: Path, *files: manifest.File) -> None:
    """Another manifest, which the release names."""
    data = manifest.Manifest(version="1.1.0", files=list(files)).encode()
    (place / "manifest.cbor").write_bytes(data)
    total = sum(one.size for one in files)
    _resign(place, manifest=manifest.digest(data), manifest_size=len(data), size=total)


def _link(path: Path, target: str) -> None:
    path.unlink()
    path.symlink_to(target)


def _grow(path: Path) -> None:
    with path.open("ab") as file:
        file.truncate(1 << 34)  # sparse: whoever reads all of it has lost


def _deep(place: Path) -> None:
    (place / "/".join(["files", *"d" * 600])).mkdir(parents=True)


def _many(place: Path) -> None:
    for number in range(600):
        (place / f"x{number}").touch()


APP = "files/node/app.mpy"
TAMPERED: dict[str, tuple[Callable[[Path], object], str]] = {
    "a file with one bit turned": (lambda place: _flip(place / APP), APP),
    "a file that is missing": (lambda place: (place / APP).unlink(), APP),
    "a file that is empty": (lambda place: (place / APP).write_bytes(b""), APP),
    "a file without an end": (lambda place: _grow(place / APP), APP),
    "a file that is a link": (lambda place: _link(place / APP, "/etc/hostname"), APP),
    "a file that is a pipe": (lambda place: ((place / APP).unlink(), os.mkfifo(place / APP)), APP),
    "a folder in the place of a file": (lambda place: ((place / APP).unlink(), (place / APP).mkdir()), "no release"),
    "a folder that is a link": (
        lambda place: ((place / "files" / "boards").rename(place.parent / "b"), _link_dir(place)),
        "files/boards",
    ),
    "one file more": (lambda place: (place / "files" / "node" / "boot.mpy").write_bytes(b"M"), "node/boot.mpy"),
    "one file more beside": (lambda place: (place / "readme.txt").write_text("run me"), "readme.txt"),
    "an empty folder": (lambda place: (place / "files" / "more").mkdir(), "empty folders"),
    "folders without end": (_deep, "no release"),
    "files without end": (_many, "holds too much"),
    "a manifest with one bit turned": (lambda place: _flip(place / "manifest.cbor"), "manifest.cbor"),
    "a manifest without an end": (lambda place: _grow(place / "manifest.cbor"), "manifest.cbor"),
    "no manifest": (lambda place: (place / "manifest.cbor").unlink(), "manifest.cbor"),
    "a bill with one bit turned": (lambda place: _flip(place / "sbom.cdx.json"), "sbom.cdx.json"),
    "a bill that is no JSON": (lambda place: _rebill(place, b"[" * 100_000), "bill of materials"),
    "a bill that names no report": (lambda place: _rebill(place, b"{}"), "bill of materials"),
    "a bill without an end": (lambda place: _grow(place / "sbom.cdx.json"), "sbom.cdx.json"),
    "a size report with one bit turned": (lambda place: _flip(place / "size.json"), "size.json"),
    "no size report": (lambda place: (place / "size.json").unlink(), "size.json"),
    "an envelope without an end": (lambda place: _grow(place / "release.cbor"), "release.cbor"),
    "an envelope that is none": (lambda place: (place / "release.cbor").write_bytes(b"\xa0"), "release.cbor"),
    "another version": (lambda place: _resign(place, version="9.9.9"), "manifest.cbor is not in order"),
    "a commit of two lines": (lambda place: _resign(place, source="1\nmanifest  2"), "more than one line"),
    "a board that moves the cursor": (lambda place: _resign(place, boards=["\x1b[2J"]), "more than one line"),
    "a version that is a path": (lambda place: _resign(place, version="../../etc"), "is not a name"),
    "a version that moves the cursor": (lambda place: _resign(place, version="1\x1b[2J"), "is not a name"),
    "a product that is a path": (lambda place: _resign(place, product="../air"), "is not a name"),
    "more bytes than any slot": (lambda place: _resign(place, size=0xFFFFFF), "16777215 bytes"),
    "another size": (lambda place: _resign(place, size=5), "manifest.cbor is not in order"),
    "a base that is not there": (lambda place: _resign(place, base=bytes(32), base_size=9), "base.bin"),
    "a base that nobody named": (lambda place: (place / "base.bin").write_bytes(b"\xe9"), "base.bin"),
    "a path that leaves the slot": (
        lambda place: _relist(place, manifest.File(path="../../../etc/passwd", size=1, sha256=bytes(32))),
        "leaves the slot",
    ),
    "an absolute path": (
        lambda place: _relist(place, manifest.File(path="/etc/passwd", size=1, sha256=bytes(32))),
        "leaves the slot",
    ),
    "a file twice": (
        lambda place: _relist(place, *[manifest.File(path="a.mpy", size=1, sha256=bytes(32))] * 2),
        "out of order or twice",
    ),
    "sizes that are not those of the files": (lambda place: _resize(place), "manifest.cbor is not in order"),
}


def _link_dir(place: Path) -> None:
    (place / "files" / "boards").symlink_to(place.parent / "b")


def _rebill(place: Path, data: bytes) -> None:
    (place / "sbom.cdx.json").write_bytes(data)
    _resign(place, sbom=manifest.digest(data))


def _resize(place: Path) -> None:
    rows = manifest.load((place / "manifest.cbor").read_bytes()).files
    rows[0].size += 1
    _relist(place, *rows)


@pytest.mark.parametrize("case", TAMPERED)
def test_what_is_not_as_it_was_built_is_named(place: Path, case: str) -> None:
    tamper, text = TAMPERED[case]
    tamper(place)
    with pytest.raises(VerificationError) as caught:
        directory.load(place)
    assert text in str(caught.value)
    assert caught.value.hint


def test_parts_of_two_releases_are_never_put_together(
    tmp_path: Path, place: Path, releases: dict[str, contents.Contents]
) -> None:
    older, _ = directory.write(tmp_path, releases["old"])
    for name in (APP, "manifest.cbor", "sbom.cdx.json", "size.json", "files/node/__init__.mpy", "release.cbor"):
        if (older / name).read_bytes() == (place / name).read_bytes():
            continue  # the same in both
        before = (place / name).read_bytes()
        (place / name).write_bytes((older / name).read_bytes())
        with pytest.raises(VerificationError):
            directory.load(place)
        (place / name).write_bytes(before)
    assert directory.load(place) == releases["new"]


def test_every_fault_is_named_at_once(place: Path) -> None:
    for name in (APP, "files/node/__init__.mpy", "sbom.cdx.json"):
        _flip(place / name)
    with pytest.raises(VerificationError) as caught:
        directory.load(place)
    assert len(caught.value.cause.splitlines()) == 3


@pytest.mark.parametrize("name", ["nowhere", "file", "empty"])
def test_what_is_no_release_at_all_is_called_that(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "empty").mkdir()
    with pytest.raises(NotFoundError) as caught:
        directory.load(tmp_path / name)
    assert caught.value.hint


def test_a_directory_that_cannot_be_written_is_said(tmp_path: Path, releases: dict[str, contents.Contents]) -> None:
    (tmp_path / "taken").touch()
    with pytest.raises(FleetError, match="cannot write"):
        directory.write(tmp_path / "taken", releases["new"])
