"""The image that a node boots from: what goes in comes out, and the firmware is the manifest's."""

from protocol.identity import Identity
from tools.sim import image
from tools.sim.flash import SIZE

IDENTITY = Identity(
    node="air-1", kind="air", board="esp32_air", boot0=1, ca=b"ca", cert=b"c", key=b"k", brokers=["b:1"]
)


def test_what_goes_in_comes_out() -> None:
    files = {"/boot.py": b"print(1)\n", "/a/node/core/big.mpy": bytes(range(256)) * 100, "/id.cbor": b""}
    found = image.build(files)
    assert len(found) == SIZE
    assert image.read(found) == files


def test_the_slot_holds_every_module_of_the_manifest_compiled_and_the_doors_of_the_host() -> None:
    slot = image.firmware()
    assert slot.keys() == {name[:-3] + ".mpy" for name in (*image.sources(), image.HOST)}
    assert all(data[:1] == b"M" for data in slot.values())


def test_a_provisioned_flash_has_stage_0_a_slot_and_an_identity() -> None:
    files = image.files_of(IDENTITY, {"node/app.mpy": b"M"})
    assert files.keys() == {"/boot.py", "/main.py", "/a/node/app.mpy", "/id.cbor"}
    assert Identity.decode(files["/id.cbor"]) == IDENTITY
