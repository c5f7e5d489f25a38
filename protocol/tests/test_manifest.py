"""The manifest of a slot: what a builder writes and what a reader refuses; on both interpreters."""

from protocol import manifest
from protocol.errors import DecodeError, EncodeError
from protocol.manifest import File, Manifest
from protocol.tests.expect import raises

CONTENTS = {"node/app.mpy": b"app", "boards/esp32_air.mpy": b"", "node/core/clock.mpy": b"clock", "node/app/x": b"x"}

PATHS = {
    "a file in a folder": ("node/app.mpy", True),
    "a file of the slot itself": ("data", True),
    "a name with a dot in front": (".hidden", True),
    "dots within a name": ("a..b/c", True),
    "the manifest": ("manifest.cbor", False),
    "a manifest of another folder": ("node/manifest.cbor", True),
    "an absolute path": ("/id.cbor", False),
    "the folder above": ("../id.cbor", False),
    "the folder above, later": ("node/../../id.cbor", False),
    "the same folder": ("./node", False),
    "two slashes": ("node//app.mpy", False),
    "a folder": ("node/", False),
    "nothing": ("", False),
    "a backslash": ("node\\app.mpy", False),
    "a space": ("node app", False),
    "a letter beyond ASCII": ("n\u00f6de", False),
    "a null": ("node\0", False),
}


def test_a_manifest_names_every_file_in_order() -> None:
    found = manifest.load(manifest.build("0.1.0", CONTENTS).encode())
    assert [file.path for file in found.files] == sorted(CONTENTS)
    for file in found.files:
        assert file.size == len(CONTENTS[file.path])
        assert file.sha256 == manifest.digest(CONTENTS[file.path])
    assert found.version == "0.1.0"


def test_the_same_program_has_the_same_digest_and_any_other_another() -> None:
    digest = manifest.digest(manifest.build("1", CONTENTS).encode())
    assert manifest.digest(manifest.build("1", dict(reversed(list(CONTENTS.items())))).encode()) == digest
    assert manifest.digest(manifest.build("2", CONTENTS).encode()) != digest
    other = dict(CONTENTS)
    other["node/app.mpy"] = b"apq"
    assert manifest.digest(manifest.build("1", other).encode()) != digest


def test_paths_stay_inside_the_slot() -> None:
    for what, (path, good) in PATHS.items():
        assert manifest.is_inside(path) is good, what


def test_paths_out_of_the_slot_out_of_order_or_twice_are_refused() -> None:
    for paths, reason in (
        (["../a"], "File.path leaves the slot"),
        (["b", "a"], "Manifest.files out of order or twice"),
        (["a", "a"], "Manifest.files out of order or twice"),
    ):
        files = [File(path=path, size=0, sha256=bytes(32)) for path in paths]
        assert str(raises(DecodeError, manifest.load, Manifest(version="1", files=files).encode())) == reason


def test_a_manifest_is_bounded() -> None:
    raises(EncodeError, manifest.build("1", {}).encode)
    most = {"{:064}".format(number): b"" for number in range(manifest.MAX_FILES)}
    assert len(manifest.load(manifest.build("v" * 32, most).encode()).files) == manifest.MAX_FILES
    most["x"] = b""
    raises(EncodeError, manifest.build("1", most).encode)
