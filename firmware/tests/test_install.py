"""Installing into the spare slot: what is written, what is refused, and that a refusal changes nothing."""

from firmware.tests import payload_rig as rig
from firmware.tests.fakes import EIO, ENOSPC, Files
from firmware.tests.payload_rig import NEW, OLD, copy, insert, same, source
from node.core.slots import digest
from node.core.update import UpdateError, room
from node.core.update.install import STAGED, Installer, is_whole
from protocol import manifest
from protocol.refusals import (
    U_FILE,
    U_MALFORMED,
    U_MEMORY,
    U_MIXED,
    U_OVERSIZE,
    U_PATH,
    U_PAYLOAD,
    U_SPACE,
    U_STORAGE,
)

DOCUMENT = rig.described(NEW)
SIZE = sum([len(data) for data in NEW.values()])
CHANGES = (
    insert(DOCUMENT)
    + source(2)
    + insert(NEW["boards/a.mpy"])
    + copy(8)
    + insert(b"2")
    + same(1)
    + copy(300)
    + insert(b"up and down and ")
    + copy(285, -16)
)


class FullFiles(Files):
    """Refuses every write below the spare slot as soon as `after` bytes were written there."""

    def __init__(self, code, after):
        super().__init__()
        self.code = code
        self.left = after

    def writer(self, path):
        out = super().writer(path)
        return Tight(self, out) if path.startswith("/b/") else out


class Tight:
    def __init__(self, files, out):
        self.files = files
        self.out = out
        self.close = out.close

    def write(self, data):
        self.files.left -= len(data)
        if self.files.left < 0:
            raise OSError(self.files.code, "refused")
        self.out.write(data)


class Forgetful(Files):
    """What was written in the spare slot reads otherwise."""

    def reader(self, path):
        if path.startswith("/b/") and path in self.data:
            self.data[path][0] ^= 1
        return super().reader(path)


def installer(files, slots, release=None):
    return Installer(files, slots, release or rig.release(DOCUMENT, SIZE), rig.PATH)


def fault_of(steps):
    """The UpdateError that the steps end with, or None."""
    try:
        for _ in steps:
            pass
    except UpdateError as error:
        return error
    return None


def install(files, slots, stream, release=None):
    """U_* of the end, or None."""
    files.write_atomic(rig.PATH, rig.payload(stream))
    fault = fault_of(installer(files, slots, release).run())
    assert files.size(STAGED) is None
    assert fault is None or len(fault.text.encode()) <= 96
    return None if fault is None else fault.code


def whole(files, slot="b"):
    """What `is_whole` returns."""
    return rig.result_of(is_whole(files, slot))


def expected(contents=NEW, document=DOCUMENT):
    return dict({"/b/" + path: data for path, data in contents.items()}, **{"/b/manifest.cbor": document})


def test_the_spare_slot_gets_the_program_of_the_payload():
    before = {
        "an empty slot": {},
        "the program before": OLD,
        "that very program": NEW,
        "another one, and what an update left behind": {"node": b"a file", "x/y/z/deep.mpy": b"x", "manifest.new": b""},
    }
    streams = {"changes": CHANGES, "the whole": rig.whole(NEW)}
    for sentence, contents in before.items():
        for kind, stream in streams.items():
            files, slots = rig.node()
            if contents:
                rig.fill(files, "b", contents, "0")
            running = rig.held(files, "/a")
            assert install(files, slots, stream) is None, (sentence, kind)
            assert rig.held(files) == expected(), (sentence, kind)
            assert rig.held(files, "/a") == running, (sentence, kind)
            assert digest(files, "b") == manifest.digest(DOCUMENT)
            assert files.read("/slot.cbor") is None


def test_what_is_right_already_is_not_written_again():
    files, slots = rig.node()
    rig.fill(files, "b", NEW, "0")
    opened = []
    writer = files.writer
    files.writer = lambda path: opened.append(path) or writer(path)
    assert install(files, slots, CHANGES) is None
    assert opened == [STAGED, "/b/manifest.cbor"]


def test_a_file_of_the_same_size_and_other_bytes_is_written():
    files, slots = rig.node()
    rig.fill(files, "b", dict(NEW, **{"node/app.mpy": bytes(len(NEW["node/app.mpy"]))}), "0")
    assert install(files, slots, CHANGES) is None
    assert rig.held(files) == expected()


def test_a_payload_that_is_not_what_was_signed_changes_nothing():
    other = dict(NEW, **{"node/__init__.mpy": b"VERSION 3"})
    head = insert(DOCUMENT)
    rest = rig.whole(NEW)[len(head) :]
    escape = manifest.Manifest(version="2", files=[manifest.File(path="../boot.py", size=1, sha256=bytes(32))]).encode()
    rows = {
        "a manifest that is not the release's": (rig.whole(NEW, rig.described(NEW, "3")), None, U_MIXED),
        "files of another release": (head + rig.whole(other, b".")[2:], None, U_FILE),
        "a byte of a file is another": (head + rest[:-1] + b"?", None, U_FILE),
        "copies from another program": (CHANGES.replace(copy(8), copy(8, 1)), None, U_FILE),
        "the end is missing": (head + rest[:-1], None, U_PAYLOAD),
        "a file is missing": (head, None, U_PAYLOAD),
        "something follows": (head + rest + insert(b"x"), None, U_OVERSIZE),
        "a manifest longer than was signed": (insert(DOCUMENT + b"x"), None, U_OVERSIZE),
        "files larger than was signed": (rig.whole(NEW), rig.release(DOCUMENT, SIZE - 1), U_OVERSIZE),
        "a path that leaves the slot": (rig.whole({}, escape) + insert(b"x"), rig.release(escape, 1), U_PATH),
        "a manifest that is none": (insert(b"\xa0"), rig.release(b"\xa0", 1), U_MALFORMED),
        "a name that cannot be": (rig.whole({}, b"\x80"), rig.release(b"\x80", 1), U_MALFORMED),
    }
    for sentence, row in rows.items():
        stream, release, code = row
        files, slots = rig.node()
        rig.fill(files, "b", OLD, "0")
        before = dict(files.data)
        assert install(files, slots, stream, release) == code, sentence
        files.remove(rig.PATH)
        assert files.data == before, sentence


def test_no_payload_at_all_is_a_fault_of_the_storage():
    files, slots = rig.node()
    assert fault_of(installer(files, slots).run()).code == U_STORAGE


def test_a_flash_that_refuses_while_it_is_written():
    rows = {"full": (ENOSPC, U_SPACE), "broken": (EIO, U_STORAGE)}
    for sentence, row in rows.items():
        for after in (0, 100, 2000):
            files, slots = rig.node(FullFiles(row[0], after))
            files.left = after
            assert install(files, slots, CHANGES) == row[1], sentence
            assert digest(files, "b") == b"", sentence
            files.left = 1 << 20
            assert install(files, slots, CHANGES) is None, sentence  # once it takes them again
            assert rig.held(files) == expected(), sentence


def test_what_does_not_read_as_it_was_written_is_noticed():
    files, slots = rig.node(Forgetful())
    assert install(files, slots, CHANGES) == U_STORAGE
    assert digest(files, "b") == b""


def test_a_memory_that_is_too_small_is_said():
    files, slots = rig.node()

    def inflate(stream, bits):
        raise MemoryError

    files.inflate = inflate
    assert install(files, slots, CHANGES) == U_MEMORY


def test_the_slot_is_no_program_until_the_last_write():
    files, slots = rig.node()
    rig.fill(files, "b", OLD, "0")
    files.write_atomic(rig.PATH, rig.payload(CHANGES))
    new = manifest.digest(DOCUMENT)
    seen = [digest(files, "b"), b"", new]
    for _ in installer(files, slots).run():
        if seen[0] != digest(files, "b"):
            del seen[0]
        assert seen[0] == digest(files, "b")
        assert seen[0] != new or rig.held(files) == expected()
    assert seen == [new]


def test_others_run_between_any_two_files():
    contents = {"node/m{:02}.mpy".format(number): b"x" * number for number in range(1, 40)}
    document = rig.described(contents)
    files, slots = rig.node()
    rig.fill(files, "a", contents, "0")
    files.write_atomic(rig.PATH, rig.payload(insert(document) + same(len(contents))))
    opened = []
    read = files.reader

    def reader(path):
        opened.append(path)
        return read(path)

    files.reader = reader
    for _ in installer(files, slots, rig.release(document, sum(range(40)))).run():
        assert len(opened) <= 2, opened  # to find one costs LittleFS hundreds of reads
        opened.clear()
    assert len(rig.held(files)) == 40


def test_a_whole_slot_is_one_whose_every_byte_is_right():
    files = Files()
    assert not whole(files)
    rig.fill(files, "b", NEW)
    assert whole(files)
    files.data["/b/node/app.mpy"][7] ^= 1
    assert not whole(files)
    files.data["/b/node/app.mpy"][7] ^= 1
    files.remove("/b/boards/a.mpy")
    assert not whole(files)
    files.write_atomic("/b/manifest.cbor", b"\xa0")
    assert not whole(files)


def leave(files, blocks):
    """Nothing but so many blocks is free."""
    files.room = 1 << 30
    files.room -= files.free() - blocks * 4096


def test_what_is_missing_is_said_in_kib():
    files = Files()
    rows = {
        "a full flash": (0, "132 KiB more are needed"),
        "all but a block": (32, "4 KiB more are needed"),
        "room enough": (33, ""),  # and 4 for the file system
    }
    for sentence, row in rows.items():
        leave(files, row[0])
        assert room.lack(files, 29) == row[1], sentence


def test_what_the_spare_slot_holds_may_go():
    files = Files()
    assert rig.result_of(room.held(files, "/b")) == 0
    rig.fill(files, "b", {"node/big.mpy": bytes(90000), "node/core/small.mpy": bytes(100)})
    files.write_atomic("/b/manifest.cbor", bytes(200))
    assert rig.result_of(room.held(files, "/b")) == 22 + 0 + 1 + 2 * 4  # three files, two folders


def test_to_count_what_a_slot_holds_lets_others_run_after_each_entry():
    files = Files()
    rig.fill(files, "b", {"node/{}.mpy".format(number): b"x" for number in range(20)})
    assert len(list(room.held(files, "/b"))) == 20 + 2


def test_a_full_file_system_is_refused_before_the_slot_is_touched():
    files, slots = rig.node()
    rig.fill(files, "b", OLD, "0")
    before = rig.held(files)
    files.write_atomic(rig.PATH, rig.payload(CHANGES))
    leave(files, 1)
    fault = fault_of(installer(files, slots).run())
    assert (fault.code, fault.text[-20:]) == (U_SPACE, " KiB more are needed")
    assert rig.held(files) == before
