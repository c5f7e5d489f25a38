"""A manifest that is read in windows says what the whole one says."""

from protocol import cbor, manifest
from protocol.errors import DecodeError

FILES = {"node/core/module_{}.mpy".format(number): bytes(number) for number in range(90)}


def reader(data):
    """What reads `data` as a flash reads a file."""

    def read(offset, view):
        piece = data[offset : offset + len(view)]
        view[: len(piece)] = piece
        return len(piece)

    return read


def walked(data):
    return list(manifest.walk(reader(data)))


def refusal(function, data):
    try:
        function(data)
    except DecodeError as error:
        return error.__class__.__name__
    return None


def row(path, size=0, sha256=bytes(32)):
    return {1: path, 2: size, 3: sha256}


def test_it_has_the_files_of_the_whole_one():
    longest = "a" * 64
    for contents in ({"f": b""}, FILES, {longest: b"x", "b/" + longest[2:]: b"y"}):
        data = manifest.build("1.0", contents).encode()
        assert walked(data) == manifest.load(data).files


def test_fields_of_a_later_version_are_passed_over():
    later = dict(row("a"))
    later[9] = "what it may be"
    data = cbor.encode({1: "1.0", 2: [later], 3: [1, 2, {4: b"x"}], 4: "more"})
    assert walked(data) == manifest.load(data).files == [manifest.File(path="a", size=0, sha256=bytes(32))]


def test_it_is_refused_where_the_whole_one_is():
    good = cbor.encode({1: "1.0", 2: [row("a"), row("b")]})
    rows = {
        "nothing": (b"", "DecodeError"),
        "no map": (b"\x80", "DecodeError"),
        "an empty map": (b"\xa0", "DecodeError"),
        "no files": (cbor.encode({1: "1.0"}), "DecodeError"),
        "no version": (cbor.encode({2: [row("a")]}), "DecodeError"),
        "a version of another type": (cbor.encode({1: 1, 2: [row("a")]}), "DecodeError"),
        "files of another type": (cbor.encode({1: "1.0", 2: {}}), "DecodeError"),
        "not one file": (cbor.encode({1: "1.0", 2: []}), "DecodeError"),
        "a file of another type": (cbor.encode({1: "1.0", 2: [1]}), "DecodeError"),
        "a digest that is too short": (cbor.encode({1: "1.0", 2: [row("a", 0, bytes(31))]}), "DecodeError"),
        "files out of order": (cbor.encode({1: "1.0", 2: [row("b"), row("a")]}), "DecodeError"),
        "a file twice": (cbor.encode({1: "1.0", 2: [row("a"), row("a")]}), "DecodeError"),
        "a path that leaves the slot": (cbor.encode({1: "1.0", 2: [row("../a")]}), "PathError"),
        "an absolute one": (cbor.encode({1: "1.0", 2: [row("/boot.py")]}), "PathError"),
        "one that is the manifest": (cbor.encode({1: "1.0", 2: [row("manifest.cbor")]}), "PathError"),
        "cut off": (good[:-1], "DecodeError"),
        "cut off between files": (good[: good.index(b"\x61b") - 2], "DecodeError"),
        "trailing bytes": (good + b"\x00", "DecodeError"),
        "a head that is not the shortest": (b"\xb8\x02" + good[1:], "DecodeError"),
    }
    for sentence, values in rows.items():
        data, wanted = values
        assert refusal(walked, data) == refusal(manifest.load, data) == wanted, sentence


def test_files_come_before_the_rest_was_looked_at():
    data = cbor.encode({1: "1.0", 2: [row("a"), row("../b")]})
    assert next(iter(manifest.walk(reader(data)))).path == "a"
