"""Base images: checked before they reach a board, chosen by version, and missing ones named with where to get them."""

import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.errors import FleetError, NotFoundError, UsageError, VerificationError
from fleet.flashing import base
from fleet.flashing.base import Shelf
from fleet.flashing.chips import CHIPS
from tools.virtual_board.base import app_image, base_image
from tools.virtual_board.chips import CHIPS as VIRTUAL

IMAGE = base_image("esp32", size=20000)
APP = 0x10000 - 0x1000


def of_version(version: str) -> bytes:
    return IMAGE[:APP] + app_image(VIRTUAL["esp32"], 4 << 20, 20000, version)


@pytest.mark.parametrize("chip", VIRTUAL)
@pytest.mark.parametrize("ota", [False, True])
def test_a_download_is_what_it_says(chip: str, ota: bool) -> None:
    found = base.check(base_image(chip, ota=ota, size=20000), "x.bin")
    assert found.chip.name == chip
    assert [piece.offset for piece in found.pieces()] == sorted(piece.offset for piece in found.pieces())
    names = [piece.name for piece in found.pieces()]
    assert names == ["bootloader", "partition table", *(["otadata", "ota_0"] if ota else ["factory"])]


def test_nvs_of_a_board_is_left_alone_and_the_choice_between_two_programs_is_not() -> None:
    pieces = base.check(base_image("esp32", ota=True, size=20000), "x.bin").pieces()
    assert not any(piece.offset < 0xD000 and piece.end > 0x9000 for piece in pieces)
    (choice,) = [piece for piece in pieces if piece.name == "otadata"]
    assert choice.data == b"\xff" * 0x2000


DAMAGED = {
    "empty": (b"", "does not begin"),
    "text": (b"<!DOCTYPE html>" * 100, "does not begin"),
    "only the program, as for an update": (IMAGE[APP:], "partition table"),
    "half of the download": (IMAGE[: APP + 10000], "missing"),
    "a bit of the program": (IMAGE[: APP + 5000] + bytes([IMAGE[APP + 5000] ^ 4]) + IMAGE[APP + 5001 :], "checksum"),
    "a bit of its digest": (IMAGE[:-1] + bytes([IMAGE[-1] ^ 1]), "SHA-256"),
    "a bit of the bootloader": (IMAGE[:900] + bytes([IMAGE[900] ^ 4]) + IMAGE[901:], "checksum"),
    "bootloader and program of two chips": (
        IMAGE[:APP] + app_image(VIRTUAL["esp32s3"], 4 << 20, 20000),
        "different chips",
    ),
}


@pytest.mark.parametrize("case", DAMAGED)
def test_what_is_damaged_is_refused_with_the_reason(case: str) -> None:
    data, reason = DAMAGED[case]
    with pytest.raises(VerificationError, match="no base image") as caught:
        base.check(data, "x.bin")
    assert reason in caught.value.cause


@given(st.binary(max_size=200))
def test_any_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(VerificationError):
        base.check(data, "x.bin")


VERSIONS = {
    "1.23.0": False,
    "1.9.4": False,
    "1.24.0": True,
    "1.24.0-preview.15": True,
    "1.30.1": True,
    "2.0.0": True,
}


@pytest.mark.parametrize("version", VERSIONS)
def test_versions_before_1_24_are_refused(version: str) -> None:
    if VERSIONS[version]:
        assert base.check(of_version(version), "x.bin").version == version
        return
    with pytest.raises(VerificationError, match=f"MicroPython {version}") as caught:
        base.check(of_version(version), "x.bin")
    assert "https://micropython.org/download/ESP32_GENERIC/" in caught.value.hint


def test_the_banner_of_the_interpreter_counts_where_there_is_one() -> None:
    assert base.version_of(b"..MicroPython v1.26.1 on 2025-09-11; Generic..") == "1.26.1"
    assert base.version_of(b"MicroPython v1.27.0-preview.123.gabc on 2025-10-10;") == "1.27.0-preview.123.gabc"
    assert base.version_of(b"no word of it") == ""


def test_another_digest_than_was_named_is_refused() -> None:
    base.check(IMAGE, "x.bin", hashlib.sha256(IMAGE).hexdigest().upper())
    with pytest.raises(VerificationError, match="not the file that was meant"):
        base.check(IMAGE, "x.bin", "0" * 64)


def shelf(directory: Path, *names: str, wanted: str = "", sha256: str = "") -> Shelf:
    for name in names:
        (directory / name).write_bytes(IMAGE)
    return Shelf(directory, wanted, sha256)


NEWEST = {
    "the only one": (["ESP32_GENERIC-20250911-v1.26.1.bin"], "", "20250911-v1.26.1"),
    "the newest by its number": (
        ["ESP32_GENERIC-20250911-v1.26.1.bin", "ESP32_GENERIC-20241129-v1.24.1.bin"],
        "",
        "20250911-v1.26.1",
    ),
    "the one that is asked for": (
        ["ESP32_GENERIC-20250911-v1.26.1.bin", "ESP32_GENERIC-20241129-v1.24.1.bin"],
        "1.24.1",
        "20241129-v1.24.1",
    ),
    "with a v in front": (["ESP32_GENERIC-20241129-v1.24.1.bin"], "v1.24.1", "20241129-v1.24.1"),
    "numbers, not letters": (
        ["ESP32_GENERIC-20250101-v1.9.9.bin", "ESP32_GENERIC-20250101-v1.25.0.bin"],
        "",
        "v1.25.0",
    ),
    "no variant unless it is asked for": (
        ["ESP32_GENERIC-OTA-20250911-v1.26.1.bin", "ESP32_GENERIC-20241129-v1.24.1.bin"],
        "",
        "GENERIC-20241129",
    ),
    "a variant": (
        ["ESP32_GENERIC-OTA-20250911-v1.26.1.bin", "ESP32_GENERIC-20250911-v1.26.1.bin"],
        "OTA-1.26.1",
        "OTA-20250911",
    ),
    "no other chip": (
        ["ESP32_GENERIC_S3-20250911-v1.26.1.bin", "ESP32_GENERIC-20241129-v1.24.1.bin"],
        "",
        "GENERIC-20241129",
    ),
}


@pytest.mark.parametrize("case", NEWEST)
def test_choice_of_a_version(case: str, tmp_path: Path) -> None:
    names, wanted, expected = NEWEST[case]
    assert expected in shelf(tmp_path, *names, wanted=wanted).find(CHIPS["esp32"]).name


@pytest.mark.parametrize(
    ("wanted", "name"),
    [("1.26.1", "ESP32_GENERIC-*-v1.26.1.bin"), ("OTA-1.26", "ESP32_GENERIC-OTA-*-v1.26.bin"), ("", "ESP32_GENERIC-*")],
)
def test_what_is_missing_is_named_with_where_to_get_it_and_where_to_put_it(
    wanted: str, name: str, tmp_path: Path
) -> None:
    with pytest.raises(NotFoundError) as caught:
        shelf(tmp_path, wanted=wanted).find(CHIPS["esp32"])
    assert str(tmp_path) in caught.value.message
    assert "https://micropython.org/download/ESP32_GENERIC/" in caught.value.hint
    assert name in caught.value.hint


def test_an_image_for_another_chip_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.bin").write_bytes(IMAGE)
    with pytest.raises(VerificationError, match=r"x\.bin is for esp32, and this chip is esp32s3"):
        Shelf(tmp_path, str(tmp_path / "x.bin")).find(CHIPS["esp32s3"])


def test_a_digest_beside_an_image_counts(tmp_path: Path) -> None:
    name = "ESP32_GENERIC-20250911-v1.26.1.bin"
    (tmp_path / f"{name}.sha256").write_text(f"{hashlib.sha256(IMAGE).hexdigest()}  {name}\n")
    assert shelf(tmp_path, name).find(CHIPS["esp32"])
    (tmp_path / f"{name}.sha256").write_text("\n")
    with pytest.raises(VerificationError):
        shelf(tmp_path, name).find(CHIPS["esp32"])


def test_a_file_that_is_not_there_or_a_digest_without_a_file(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        Shelf(tmp_path, str(tmp_path / "none.bin")).find(CHIPS["esp32"])
    with pytest.raises(FleetError, match="cannot read"):
        Shelf(tmp_path, str(tmp_path)).find(CHIPS["esp32"])
    with pytest.raises(UsageError):
        Shelf(tmp_path, "", "00")


def test_where_downloads_are_looked_for() -> None:
    assert base.directory({"FLEET_CACHE": "/c"}) == Path("/c/micropython")
    assert base.directory({"XDG_CACHE_HOME": "/x"}) == Path("/x/lumenair/micropython")
    assert base.directory({}) == Path.home() / ".cache" / "lumenair" / "micropython"


@pytest.mark.parametrize("version", ["1.26x", "1.26-preview", "1.26rc1.2", ""])
def test_a_version_that_is_no_version_is_not_too_old(version: str) -> None:
    assert not base.is_too_old(version)
    assert base.check(of_version(version or "x"), "x.bin").name == "x.bin"
