"""Installing on real LittleFS: every power cut, and how exact the account of its blocks is."""

import vfs

from firmware.tests import payload_rig as rig
from firmware.tests.payload_rig import OLD
from firmware.tests.test_install import CHANGES, DOCUMENT, SIZE, expected, fault_of, whole
from node.board.files import Files
from node.core.slots import Slots, digest
from node.core.update import room
from node.core.update.install import Installer
from protocol import manifest
from protocol.refusals import U_SPACE
from tools.powercut.device.chip import Chip, Cutter
from tools.sim.flash import BLOCK, Flash, Ram

ROOT = "/flash"


class Disk:
    """A LittleFS of so many blocks, mounted while the `with` lasts."""

    def __init__(self, blocks=64, data=None):
        self.ram = Ram(data, blocks * BLOCK)
        self.flash = Flash(self.ram)
        if data is None:
            vfs.VfsLfs2.mkfs(self.flash)
        self.files = Files(ROOT)

    def __enter__(self):
        vfs.mount(vfs.VfsLfs2(self.flash, mtime=False), ROOT)
        return self.files

    def __exit__(self, *_):
        vfs.umount(ROOT)


def prepared():
    """The bytes of a flash whose node runs OLD, with another program in the spare slot, and a payload."""
    disk = Disk()
    with disk as files:
        rig.fill(files, "a", OLD)
        rig.fill(files, "b", dict(OLD, **{"node/app.mpy": b"the one before"}), "0")
        files.write_atomic(rig.PATH, rig.payload(CHANGES))
    return bytes(disk.ram.data)


def run(files, release=None):
    for _ in Installer(files, Slots(files, "a"), release or rig.release(DOCUMENT, SIZE), rig.PATH).run():
        pass


def test_a_power_cut_within_any_write_costs_no_program_and_no_update():
    chip = Chip(len(prepared()))
    chip.write(0, prepared())
    cuts = []

    def after(operation, keep):
        cuts.append(operation)
        vfs.mount(vfs.VfsLfs2(Flash(chip), mtime=False), "/cut")
        files = Files("/cut")
        try:
            assert rig.held(files, "/a") == running, (operation, keep)
            assert digest(files, "b") in allowed, (operation, keep)
            assert not digest(files, "b") or whole(files), (operation, keep)
            run(files)
            assert rig.held(files) == expected(), (operation, keep)
        finally:
            vfs.umount("/cut")

    vfs.mount(vfs.VfsLfs2(Cutter(chip, lambda number, size: (0, size // 2, size), after), mtime=False), ROOT)
    try:
        files = Files(ROOT)
        running = rig.held(files, "/a")
        allowed = (digest(files, "b"), b"", manifest.digest(DOCUMENT))
        run(files)
        assert rig.held(files) == expected()
    finally:
        vfs.umount(ROOT)
    assert len(cuts) > 100


def program(count):
    """A program of many small files in folders, as real ones are."""
    sizes = [(number * 379 + 40) % 2600 for number in range(count)]
    return {"node/p{}/m{}.mpy".format(at % 7, at): bytes((at,)) * size for at, size in enumerate(sizes)}


def test_what_fits_by_the_account_fits_and_little_that_fits_is_refused():
    contents = program(40)
    document = rig.described(contents)
    wanted = rig.release(document, sum([len(data) for data in contents.values()]))
    disk = Disk(112)
    with disk as files:
        files.write_atomic("/a/manifest.cbor", b"-")
        files.write_atomic(rig.PATH, rig.payload(rig.whole(contents, document)))
    data = bytes(disk.ram.data)
    with disk as files:
        free = files.free()
        run(files, wanted)
        taken = (free - files.free()) // BLOCK
    refused = 0
    for left in range(taken + 14, taken - 3, -1):
        disk.ram.data[:] = data
        with disk as files:
            files.write_atomic("/filler", bytes(files.free() - left * BLOCK))
            fault = fault_of(Installer(files, Slots(files, "a"), wanted, rig.PATH).run())
            if fault is None:
                assert not refused, left
                continue
            refused = max(refused, left)
            assert (fault.code, fault.text[-20:]) == (U_SPACE, " KiB more are needed"), (left, fault.text)
            assert list(files.scan("/b")) == [], "something was begun"
    assert taken < refused < taken + 12, (taken, refused)


def test_an_emptied_slot_gives_as_much_as_was_counted():
    with Disk(128) as files:
        rig.fill(files, "b", program(60))
        counted = rig.result_of(room.held(files, "/b")) * BLOCK
        free = files.free()
        for path in rig.held(files):
            files.remove(path)
        for name, _ in list(files.scan("/b/node")):
            files.remove_folder("/b/node/" + name[:-1])
        files.remove_folder("/b/node")
        assert 0 <= files.free() - free - counted <= 4 * BLOCK
