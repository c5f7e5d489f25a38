"""The matrix finds nothing in what the node does, and finds what a careless writer would do."""

from node.board.files import Files
from node.core import boots
from node.core.outbox import Outbox
from node.core.update import trial
from node.core.update.install import Installer
from tools.powercut.device.chip import Chip, Cutter
from tools.powercut.device.choice import Choice
from tools.powercut.device.facts import BadError, Facts
from tools.powercut.device.matrix import Matrix
from tools.powercut.device.operations import ALL
from tools.sim.flash import BLOCK

_CHIP = Chip(64 * BLOCK)


def cut(name, choice=None):
    """(matrix, what it found) of one operation."""
    found = []
    matrix = Matrix(ALL[name](), choice or Choice(sample=40), _CHIP, found.append, lambda: None)
    matrix.run()
    return matrix, found


def broken(owner, name, method, operation, sample=150):
    """What the matrix finds in an operation while a method is replaced."""
    before = getattr(owner, name)
    setattr(owner, name, method)
    try:
        return cut(operation, Choice(sample=sample))[1]
    finally:
        setattr(owner, name, before)


def test_every_operation_survives_a_sample_of_cuts():
    for name in ALL:
        matrix, found = cut(name)
        assert not found, (name, found[0].cut, found[0].again, found[0].text)
        assert matrix.cuts > 10, (name, matrix.cuts)
        assert matrix.operations > 5, (name, matrix.operations)


def overwrite(self, path, data):
    """What LittleFS has when a file is closed is there as a whole; what is flushed before is there in pieces."""
    self._make_folders(path)
    with open(self._root + path, "wb") as file:
        file.write(data[:3])
        file.flush()
        file.write(data[3:])


def test_a_file_that_is_overwritten_in_place_is_caught():
    for operation, words in (("config", "config is"), ("claim", "identity is b''"), ("boots", "boot number")):
        found = broken(Files, "write_atomic", overwrite, operation)
        assert any(words in bad.text for bad in found), (operation, [bad.text for bad in found])


def test_a_pointer_that_comes_before_the_program_is_caught():
    run = Installer.run

    def eager(self):
        self._slots.try_next()
        yield from run(self)

    found = broken(Installer, "run", eager, "update", 30)
    assert any("slot b has no manifest" in bad.text for bad in found), [bad.text for bad in found]


def test_a_program_before_that_says_nothing_is_caught():
    found = broken(trial, "_ended", lambda *_: None, "revert", 10)
    assert any("the update ends with" in bad.text or "does not end" in bad.text for bad in found), found


def test_an_entry_that_is_kept_in_memory_only_is_caught():
    append = Files.append
    waiting = {}

    def lazy(self, path, data):
        both = waiting.pop(self._root, b"") + data
        if len(both) > 600:
            append(self, path, both)
        else:
            waiting[self._root] = both

    assert any("lost" in bad.text for bad in broken(Files, "append", lazy, "outbox"))


def test_a_segment_that_goes_before_it_is_acknowledged_is_caught():
    take = Outbox.take

    def hasty(self):
        item = take(self)
        if item is not None:
            self._files.remove(item.segment.path)
        return item

    assert any("cannot be read" in bad.text for bad in broken(Outbox, "take", hasty, "outbox"))


def test_a_boot_number_that_is_given_twice_is_caught():
    def begin(files, boot0, cause, intended):
        return boots.Boots(boot=boot0 + 1)

    assert any("boot number" in bad.text for bad in broken(boots, "begin", begin, "first-boot"))


def test_one_cut_can_be_made_again():
    _, found = cut("config", Choice(at=7, keep=1))
    assert not found
    matrix, _ = cut("config", Choice(at=7, keep=1))
    assert matrix.cuts == 1
    matrix, _ = cut("config", Choice(at=7, keep=1, again=(2, 0)))
    assert matrix.cuts == 2


def test_the_shares_of_the_workers_are_all_cuts():
    whole, _ = cut("first-boot", Choice())
    parts = [cut("first-boot", Choice(share=(index, 3)))[0].cuts for index in range(3)]
    assert sum(parts) == whole.cuts
    assert min(parts) > 0


def test_a_cut_leaves_a_part_of_the_operation_and_then_the_chip_is_as_before():
    chip = Chip(2 * BLOCK)
    seen = []

    def after(number, keep):
        seen.append((number, keep, bytes(chip.data[:4])))

    cutter = Cutter(chip, lambda number, size: [0, 1, size], after)
    cutter.writeblocks(0, b"\x0f\xf0\x00", 0)
    cutter.ioctl(6, 0)
    assert seen == [
        (1, 0, b"\xff\xff\xff\xff"),
        (1, 1, b"\x0f\xff\xff\xff"),
        (1, 3, b"\x0f\xf0\x00\xff"),
        (2, 0, b"\x0f\xf0\x00\xff"),
        (2, 1, b"\xff\xf0\x00\xff"),
        (2, BLOCK, b"\xff\xff\xff\xff"),
    ]
    assert bytes(chip.data) == b"\xff" * 2 * BLOCK


def test_a_state_has_two_values_while_it_changes_and_one_afterwards():
    facts = Facts()
    facts.settle("x", 1)
    assert facts.change("x", 2, lambda: facts.allowed("x")) == [1, 2]
    assert facts.allowed("x") == [2]
    said = ""
    try:
        facts.check("x", 1)
    except BadError as error:
        said = str(error)
    assert said == "x is 1, not one of ['2']"
