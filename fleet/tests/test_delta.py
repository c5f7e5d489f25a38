"""Payloads from the encoder of the manager, unpacked by the decoder of the node."""

import random
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.tests.fakes import Files
from fleet.flashing import firmware
from fleet.releases import delta
from fleet.releases.delta import Program
from node.core.update.payload import Decoder
from protocol import manifest
from protocol.payload import FORMAT

PAYLOAD = "/data/update.bin"
NAMES = ("app.mpy", "node/a.mpy", "node/b.mpy", "node/core/c.mpy", "x.mpy")


def program(files: dict[str, bytes], version: str = "1") -> Program:
    return Program(manifest.build(version, files).encode(), files)


def unpacked(payload: bytes, new: Program, old: Program | None) -> Program:
    """What a node that runs `old` makes of a payload."""
    files = Files()
    if old is not None:
        files.write_atomic("/a/manifest.cbor", old.manifest)
        for path, data in old.files.items():
            files.write_atomic("/a/" + path, data)
    files.write_atomic(PAYLOAD, payload)
    decoder = Decoder(files, "a", PAYLOAD)
    found = {}
    for path in (manifest.PATH, *sorted(new.files)):
        found[path] = bytearray()
        size = len(new.manifest if path == manifest.PATH else new.files[path])
        for _ in decoder.unpack(path, size, found[path].extend):
            pass
    decoder.end()
    document = bytes(found.pop(manifest.PATH))
    return Program(document, {path: bytes(data) for path, data in found.items()})


contents = st.one_of(
    st.binary(max_size=40),
    st.binary(min_size=1, max_size=9).map(lambda piece: piece * 70),
    st.integers(0, 9).map(lambda seed: random.Random(seed).randbytes(600)),
)


@st.composite
def edited(draw: st.DrawFn, data: bytes) -> bytes:
    """The same with pieces put in, taken out, replaced and moved."""
    for _ in range(draw(st.integers(0, 4))):
        at, to = sorted((draw(st.integers(0, len(data))), draw(st.integers(0, len(data)))))
        middle = draw(st.sampled_from((b"", b"new", data[:50], data[at:to] * 2)))
        data = data[:at] + middle + data[to:]
    return data


@st.composite
def pairs(draw: st.DrawFn) -> tuple[Program, Program]:
    old = draw(st.dictionaries(st.sampled_from(NAMES), contents, min_size=1))
    new = {}
    for path in draw(st.sets(st.sampled_from(NAMES), min_size=1)):
        start = draw(st.sampled_from(sorted(old)))
        new[path] = draw(edited(old.get(path, old[start]))) if draw(st.booleans()) else draw(contents)
    return program(old), program(new, draw(st.sampled_from(("1", "2"))))


@given(pairs())
def test_a_node_gets_exactly_the_new_program(pair: tuple[Program, Program]) -> None:
    old, new = pair
    payload = delta.delta(new, old)
    assert unpacked(payload, new, old) == new
    assert delta.delta(new, old) == payload
    assert len(payload) <= len(delta.full(new))


@given(pairs())
def test_a_node_that_has_nothing_gets_it_too(pair: tuple[Program, Program]) -> None:
    assert unpacked(delta.full(pair[1]), pair[1], None) == pair[1]


def noise(seed: int, size: int = 3000) -> bytes:
    return random.Random(seed).randbytes(size)


OLD = {f"node/m{number}.mpy": noise(number) for number in range(40)}
CHANGES = {
    "nothing but the version": (OLD, 60),
    "a byte": (OLD | {"node/m7.mpy": noise(7)[:1000] + b"?" + noise(7)[1001:]}, 130),
    "a line in the middle": (OLD | {"node/m7.mpy": noise(7)[:1000] + noise(99, 40) + noise(7)[1000:]}, 170),
    "a file under another name": ({("node/n7.mpy" if path == "node/m7.mpy" else path): OLD[path] for path in OLD}, 130),
    "a file less": ({path: OLD[path] for path in OLD if path != "node/m7.mpy"}, 90),
    "a file that became two": (
        {path: OLD[path] for path in OLD if path != "node/m7.mpy"}
        | {"node/m7a.mpy": noise(7)[:1500], "node/m7b.mpy": noise(7)[1500:]},
        220,
    ),
    "two files that changed places": (OLD | {"node/m7.mpy": noise(8), "node/m8.mpy": noise(7)}, 6500),
}


@pytest.mark.parametrize("sentence", CHANGES)
def test_what_a_change_costs(sentence: str) -> None:
    files, most = CHANGES[sentence]
    old, new = program(OLD), program(files, "2")
    payload = delta.delta(new, old)
    assert unpacked(payload, new, old) == new
    assert len(payload) <= most


def test_a_delta_has_the_smallest_window_and_a_whole_the_largest() -> None:
    old, new = program(OLD), program(OLD, "2")
    assert delta.delta(new, old)[:2] == bytes((FORMAT, 10))
    assert delta.full(new)[:2] == bytes((FORMAT, 12))


def test_a_program_that_has_nothing_in_common_comes_whole() -> None:
    new = program({"a.mpy": noise(50)})
    assert delta.delta(new, program({"b.mpy": noise(51)})) == delta.full(new)


def test_a_program_is_read_from_an_archive() -> None:
    new = program(OLD)
    objects = {manifest.digest(data): data for data in OLD.values()}
    assert Program.of(new.manifest, objects.__getitem__) == new


def test_a_line_of_this_firmware_costs_less_than_one_per_cent() -> None:
    slot = dict(firmware.load().slot)
    document = slot.pop(manifest.PATH)
    old = Program(document, slot)
    path = max(slot, key=lambda path: len(slot[path]))
    files = slot | {path: slot[path][:2000] + b"\x12\x34" + slot[path][2003:]}
    new = program(files, "0.1.9")
    payload = delta.delta(new, old)
    assert len(payload) < 300
    assert len(payload) * 100 < len(delta.full(new))
    assert len(zlib.decompress(payload[2:], -10)) < 400
