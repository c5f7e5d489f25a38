"""The image that a node boots from: what goes in comes out, and the firmware is the manifest's."""

import random
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from fleet.errors import FleetError, NotFoundError, VerificationError
from fleet.flashing import firmware, image
from protocol import manifest
from protocol.identity import Identity
from tools.fuzz import littlefs

IDENTITY = Identity(
    node="air-1", kind="air", board="esp32_air", boot0=1, ca=b"ca", cert=b"c", key=b"k", brokers=["b:1"]
)

_RANDOM = random.Random(3)
FILES = {  # as many and as large as those of the firmware
    f"/a/node/{folder}/{number}.mpy": _RANDOM.randbytes(_RANDOM.randrange(100, 5000))
    for folder in ("air", "board", "core", "core/mqtt", "drivers", "light", "tasks")
    for number in range(14)
}


def small(top: Path, **files: str) -> Path:
    """A firmware of a few modules in `top`."""
    (top / "node").mkdir(parents=True)
    (top / "manifest.py").write_text('package("node")\nmodule("lamp.py")\n')
    sources = {"node/__init__.py": 'VERSION = "1.2.3"\n', "lamp.py": "x = 1\n", "boot.py": "", "main.py": "", **files}
    for name, text in sources.items():
        (top / name).write_text(text)
    return top


def test_what_goes_in_comes_out() -> None:
    files = {"/boot.py": b"print(1)\n", "/a/node/core/big.mpy": bytes(range(256)) * 100, "/id.cbor": b""}
    found = image.build(files)
    assert len(found) == image.SIZE
    assert image.read(found) == files


@pytest.mark.parametrize("product", ["", "air", "light"])
def test_the_slot_holds_every_module_compiled_and_a_manifest_of_them(product: str) -> None:
    found = firmware.load(product=product)
    names = firmware.sources(firmware.directory() / "manifest.py", product)
    assert found.slot.keys() == {manifest.PATH, *(name[:-3] + ".mpy" for name in names)}
    assert all(data[:1] == b"M" for name, data in found.slot.items() if name != manifest.PATH)
    listed = manifest.load(found.slot[manifest.PATH])
    assert (listed.version, {file.path for file in listed.files}) == (
        found.version,
        found.slot.keys() - {manifest.PATH},
    )
    assert found.manifest == manifest.digest(found.slot[manifest.PATH]).hex()


def test_what_claims_is_flashed_beside_the_program_and_is_part_of_none() -> None:
    found = firmware.load(product="air")
    assert found.claim.keys() == {"node/tasks/claim.mpy", "protocol/claim.mpy"}
    assert not found.claim.keys() & found.slot.keys()
    assert {"/a/" + path for path in found.claim} <= image.files_of(found).keys()


def test_the_program_of_a_product_is_the_same_whoever_asks_for_it() -> None:
    whole = firmware.load()
    air, light = whole.of("air"), whole.of("light")
    assert air == firmware.load(product="air")
    assert len({whole.manifest, air.manifest, light.manifest}) == 3
    assert whole.of("") == whole
    assert air.slot["node/app.mpy"] == light.slot["node/app.mpy"] == whole.slot["node/app.mpy"]


def test_a_provisioned_flash_has_stage_0_a_slot_and_an_identity(tmp_path: Path) -> None:
    files = image.files_of(firmware.load(small(tmp_path / "firmware")), IDENTITY)
    slot = {"/a/node/__init__.mpy", "/a/lamp.mpy", "/a/manifest.cbor"}
    assert files.keys() == {"/boot.py", "/main.py", "/id.cbor", *slot}
    assert Identity.decode(files["/id.cbor"]) == IDENTITY


def test_the_same_sources_give_the_same_firmware_with_and_without_a_cache(tmp_path: Path) -> None:
    top, cache = small(tmp_path / "firmware"), tmp_path / "cache"
    first = firmware.load(top)
    assert firmware.load(top, cache) == firmware.load(top, cache) == first
    assert first.version == "1.2.3"
    assert len(list(cache.iterdir())) == 2
    (top / "lamp.py").write_text("x = 2\n")
    assert firmware.load(top, cache).manifest != first.manifest


def test_a_mistake_in_a_module_is_told_in_the_words_of_the_compiler(tmp_path: Path) -> None:
    with pytest.raises(FleetError, match=r"lamp\.py cannot be compiled") as caught:
        firmware.load(small(tmp_path / "firmware", **{"lamp.py": "x ==\n"}))
    assert "SyntaxError" in caught.value.cause


def test_a_directory_without_a_firmware_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no firmware in"):
        firmware.load(tmp_path)


def test_an_image_is_a_function_of_the_files() -> None:
    files = {"/a/x.mpy": b"x" * 5000, "/boot.py": b"boot", "/data/q/1": b"1" * 100}
    assert image.build(files) == image.build(dict(reversed(files.items())))


def test_what_is_in_blocks_that_are_not_used_does_not_matter() -> None:
    files = {"/a/x.mpy": b"x" * 9000, "/id.cbor": b"id", "/data/q/1": bytes(3000)}
    found = bytearray(image.build(files))
    blocks = image.used(found)
    for block in set(range(len(found) // image.BLOCK)) - set(blocks):
        found[block * image.BLOCK : (block + 1) * image.BLOCK] = bytes(range(256)) * 16
    assert image.read(found) == files
    assert image.used(found) == blocks


SIZES = {"4 MB": 512, "two slots in 4 MB": 240, "8 MB": 1536, "16 MB": 3584}
CHANGES = {
    "a constant": lambda data: data[:-1] + b"!",
    "a line more": lambda data: data + b"x" * 40,
    "a block more": lambda data: data + b"x" * image.BLOCK,
    "half of it": lambda data: data[: len(data) // 2],
}


@pytest.mark.parametrize("blocks", SIZES.values(), ids=SIZES)
@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_change_of_one_module_changes_few_blocks(blocks: int, change: Callable[[bytes], bytes]) -> None:
    files = dict(FILES)
    before = image.build(files, blocks * image.BLOCK)
    for path in sorted(files)[::20]:
        after = image.build({**files, path: change(files[path])}, len(before))
        changed = [block for block in image.used(after) if _block(before, block) != _block(after, block)]
        assert 0 < len(changed) * 100 < 15 * len(image.used(after)), path


def test_a_module_more_changes_few_blocks() -> None:
    before, after = image.build(FILES), image.build({**FILES, "/a/node/core/new.mpy": bytes(2000)})
    assert sum(_block(before, block) != _block(after, block) for block in image.used(after)) < 12


def test_files_that_do_not_fit_are_refused() -> None:
    with pytest.raises(FleetError, match="do not fit"):
        image.build({"/a/x": bytes(80 * image.BLOCK)}, 64 * image.BLOCK)


@pytest.mark.parametrize("data", [b"\xff" * 16 * image.BLOCK, bytes(16 * image.BLOCK)])
def test_what_is_no_file_system_is_refused(data: bytes) -> None:
    with pytest.raises(VerificationError, match="cannot be read"):
        image.read(data)


def lying(files: dict[str, bytes], kinds: tuple[int, ...], lie: bytes) -> bytes:
    """An image whose metadata has `lie` in the place of everything of these kinds, under checksums that hold."""
    data = bytearray(image.build(files, 32 * image.BLOCK))
    for block in range(32):
        found = bytearray(_block(data, block))
        for kind, at, size in littlefs.payloads(bytes(found)):
            if kind in kinds:
                found[at : at + size] = lie[:size].ljust(size, b"\0")
        data[block * image.BLOCK : (block + 1) * image.BLOCK] = littlefs.sealed(bytes(found))
    return bytes(data)


# sentence: (kinds of tags in LittleFS SPEC.md, what they say)
LIES = {
    "folders in each other without end": ((0x200,), struct.pack("<2L", 0, 1)),
    "files larger than themselves": ((0x202,), struct.pack("<2L", 8, 0x7FFFFFFF)),
    "files outside of the flash": ((0x202,), struct.pack("<2L", 0xFFFFFFFF, 0x2000)),
    "names that lead out": ((0x001, 0x002), b"../../x"),
    "names that a terminal obeys": ((0x001, 0x002), b"\x1b[2J"),
    "names that are no text": ((0x001, 0x002), b"\xff\xfe\xfd"),
    "names that are nothing": ((0x001, 0x002), b""),
}


@pytest.mark.parametrize("sentence", LIES)
def test_a_file_system_that_lies_is_refused(sentence: str) -> None:
    files = {"/data/o/long": bytes(9000), "/data/o/short": b"x", "/data/other": bytes(6000)}
    with pytest.raises(VerificationError, match="cannot be read") as caught:
        image.read(lying(files, *LIES[sentence]))
    assert caught.value.cause.isprintable()


def _block(data: bytes, block: int) -> bytes:
    return data[block * image.BLOCK : (block + 1) * image.BLOCK]
