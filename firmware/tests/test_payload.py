"""The decoder of payloads: what each operation gives, and that nothing else is taken."""

from firmware.tests import payload_rig as rig
from firmware.tests.fakes import EIO, Files
from firmware.tests.payload_rig import copy, insert, same, source, varint
from node.core.update import UpdateError
from node.core.update.payload import Decoder
from protocol import manifest
from protocol.refusals import U_OVERSIZE, U_PAYLOAD

SOURCE = bytes(range(200))
SLOT = {"file": SOURCE, "other": b"from elsewhere", "third": b"3"}  # 1, 2 and 3 of the manifest


def files_with(data):
    files = Files()
    rig.fill(files, "a", SLOT)
    files.write_atomic(rig.PATH, data)
    return files


def unpacked(data, rows, skipped=()):
    """{path: contents} that the decoder gives for (path, size) rows."""
    decoder = Decoder(files_with(data), "a", rig.PATH)
    found = {}
    for path, size in rows:
        out = bytearray()
        for _ in decoder.unpack(path, size, None if path in skipped else out.extend):
            pass
        found[path] = bytes(out)
    decoder.end()
    decoder.close()
    return found


def code_of(action):
    """U_* of the UpdateError that an action ends with, or the errno of its OSError."""
    try:
        action()
    except UpdateError as error:
        return error.code
    except OSError as error:
        return "errno", error.errno
    return None


def consume(files):
    for _ in Decoder(files, "a", rig.PATH).unpack("file", 5, None):
        pass


def refusal(data, rows):
    return code_of(lambda: unpacked(data, rows))


def test_each_operation_gives_what_it_says():
    rows = {
        "what is inserted": (insert(b"hello"), b"hello"),
        "in two pieces": (insert(b"hel") + insert(b"lo"), b"hello"),
        "the beginning of the file of the same path": (copy(4), SOURCE[:4]),
        "from further on": (copy(4, 10), SOURCE[10:14]),
        "and on from there": (copy(4, 10) + copy(2), SOURCE[10:16]),
        "and back": (copy(4, 10) + copy(2, -13), SOURCE[10:14] + SOURCE[1:3]),
        "what is inserted stands for as much": (copy(4) + insert(b"xy") + copy(2), SOURCE[:4] + b"xy" + SOURCE[6:8]),
        "unless something was put in between": (
            copy(2) + insert(b"xy") + copy(2, -2),
            SOURCE[:2] + b"xy" + SOURCE[2:4],
        ),
        "another file": (source(2) + copy(14), b"from elsewhere"),
        "the manifest": (source(0) + copy(9), rig.described(SLOT, "1")[:9]),
        "all of it, longer than a piece": (
            copy(200) + insert(b"." * 700) + copy(200, -900),
            SOURCE + b"." * 700 + SOURCE,
        ),
    }
    for sentence, row in rows.items():
        stream, wanted = row
        assert unpacked(rig.payload(stream), [("file", len(wanted))]) == {"file": wanted}, sentence


def test_a_run_of_files_that_are_as_they_were_is_one_operation():
    rows = [("a", 2), ("file", 200), ("nothing", 0), ("other", 14), ("z", 1)]
    found = unpacked(rig.payload(insert(b"ab") + same(2) + insert(b"z")), rows)
    assert found == {"a": b"ab", "file": SOURCE, "nothing": b"", "other": b"from elsewhere", "z": b"z"}


def test_what_is_skipped_costs_no_look_at_its_source():
    stream = rig.payload(same(1) + insert(b"ab") + copy(2, 5) + insert(b"z"))
    assert unpacked(stream, [("file", 200), ("other", 4), ("z", 1)], ("file", "other"))["z"] == b"z"


def test_every_window_that_a_node_has_will_do():
    for bits in (10, 11, 12):
        assert unpacked(rig.payload(insert(b"a"), bits), [("file", 1)]) == {"file": b"a"}


def test_what_is_no_payload_is_refused_as_such():
    good = rig.payload(insert(b"hello"))
    rows = {
        "nothing": b"",
        "half a head": good[:1],
        "another format": b"\x02" + good[1:],
        "a window that no node has": good[:1] + b"\x0d" + good[2:],
        "a window that nobody needs": good[:1] + b"\x09" + good[2:],
        "a head alone": good[:2],
        "a stream that breaks off": good[:-3],
        "one that never ends": good[:2] + rig.stored(insert(b"hello"), False),
        "no deflate stream": good[:2] + b"\xff" * 20,
        "fewer bytes than an insert says": rig.payload(varint(5 << 2) + b"hel"),
        "no operation": rig.payload(b""),
        "an insert of nothing": rig.payload(varint(0) + insert(b"hello")),
        "a copy of nothing": rig.payload(copy(0) + insert(b"hello")),
        "a run of no files": rig.payload(same(0) + insert(b"hello")),
        "a run within a file": rig.payload(insert(b"he") + same(1)),
        "a run that goes on after the last file": rig.payload(same(2)),
        "a number that does not end": rig.payload(b"\xfc\xff\xff\xff\x00" + b"hello"),
        "half a number": rig.payload(b"\x94"),
        "a copy from before the beginning": rig.payload(copy(5, -1)),
        "a copy from behind the end": rig.payload(copy(5, 196)),
        "a copy from far behind the end": rig.payload(copy(5, (1 << 26) - 1)),
        "a source within a file": rig.payload(insert(b"he") + source(2) + copy(3)),
        "two sources": rig.payload(source(2) + source(2) + copy(5)),
        "a source and then a run": rig.payload(source(1) + same(1)),
        "a source that there is not": rig.payload(source(4) + copy(5)),
    }
    for sentence, data in rows.items():
        assert refusal(data, [("file", 5)]) == U_PAYLOAD, sentence


def test_copies_need_a_file_to_copy_from():
    for stream in (copy(2), same(1)):
        assert refusal(rig.payload(stream), [("new", 2)]) == U_PAYLOAD


def test_the_manifest_is_never_as_it_was():
    assert refusal(rig.payload(same(1)), [(manifest.PATH, 9)]) == U_PAYLOAD


def test_more_than_was_signed_is_refused_before_it_is_taken():
    rows = {
        "an insert": insert(b"hello!"),
        "a copy": copy(6),
        "the second operation": insert(b"hell") + copy(2),
        "the largest number": b"\xfc\xff\xff\x7f",
        "another operation": insert(b"hello") + insert(b"x"),
        "a byte": insert(b"hello") + b"\x00",
    }
    for sentence, stream in rows.items():
        assert refusal(rig.payload(stream), [("file", 5)]) == U_OVERSIZE, sentence


def test_a_bomb_is_not_unpacked():
    data = rig.payload(b"")[:2] + rig.stored(insert(b"hello") + b"\x00", False) + rig.bomb(4096)
    assert len(data) < 8000  # and a million bytes
    given = []
    decoder = Decoder(files_with(data), "a", rig.PATH)
    for _ in decoder.unpack("file", 5, lambda view: given.append(bytes(view))):
        pass
    assert given == [b"hello"]
    assert code_of(decoder.end) == U_OVERSIZE


def test_a_running_program_without_a_manifest_has_no_numbered_sources():
    for document in (None, b"\xa0", b"garbage"):
        files = files_with(rig.payload(source(1) + copy(5)))
        files.remove("/a/manifest.cbor")
        if document is not None:
            files.write_atomic("/a/manifest.cbor", document)
        assert code_of(lambda files=files: consume(files)) == U_PAYLOAD, document


def test_a_fault_of_the_flash_is_none_of_the_payload():
    class Broken:
        def readinto(self, view):
            raise OSError(EIO, "broken")

    files = files_with(rig.payload(insert(b"hello")))
    files.inflate = lambda stream, bits: Broken()
    assert code_of(lambda: consume(files)) == ("errno", EIO)


def test_long_work_is_done_in_pieces():
    rows = {"one copy": (same(1), 512), "many operations": ((copy(1) + insert(b"x")) * 5000, 1)}
    for sentence, row in rows.items():
        stream, most = row
        files = files_with(rig.payload(stream))
        files.write_atomic("/a/big", b"x" * 10000)
        sizes = []
        most_at_once = before = 0
        for _ in Decoder(files, "a", rig.PATH).unpack("big", 10000, lambda view, sizes=sizes: sizes.append(len(view))):
            most_at_once = max(most_at_once, len(sizes) - before)
            before = len(sizes)
        assert (sum(sizes), max(sizes)) == (10000, most), sentence
        assert most_at_once <= 1024 // (64 + most) + 1, sentence
