"""MicroPython itself as a part of an update: what comes, how it is tried, and that it and its program go together."""

from firmware.tests.manager import NEW, OLD, Base, Manager, Node
from node.core.update import pull
from protocol import manifest, update
from protocol import refusals as u
from protocol.messages import RESET_HARD, RESET_POWER_ON, RESET_WATCHDOG

IMAGE = bytes(range(256)) * 100 + b"end"
CRASH = "ValueError: no such thing"


SAME = manifest.build("1.1", OLD).encode()  # the manifest of the program that nodes run at first


def press(manager, contents=NEW, image=IMAGE, **changes):
    """A release of a program and a base image."""
    if contents is OLD:
        changes["document"] = SAME
    values = {"base_version": "1.27.0", "base_size": len(image), "base": manifest.digest(image)}
    program = manager.release(contents, **dict(values, **changes))
    program.base = image
    return program


def ready(contents=NEW):
    """(node, manager, program) that is to restart into the program and its image."""
    manager = Manager()
    node = Node(manager, base=Base())
    program = press(manager, contents)
    assert node.order(manager, manager.campaign(program)).stage == update.WAITING
    return node, manager, program


def ends(node, manager):
    """(stage, code) that the node reports in its next session."""
    node.resident.up()
    node.work(manager)
    return node.status.stage, node.status.code


def what(manager):
    """What was asked for, each once."""
    found = []
    for ask in manager.asked:
        if ask.what not in found:
            found.append(ask.what)
    return found


def test_a_base_image_goes_with_its_program():
    node, manager, program = ready()
    base = node.base
    assert (base.data[: len(IMAGE)], base.label) == (IMAGE, "ota_0")
    assert (node.restart(), base.label, base.good) == ("b", "ota_1", "ota_0")
    assert not node.resident.prove(b"").confirmed
    node.confirm(manager)
    assert (base.good, node.status.proof.base) == ("ota_1", program.release and manifest.digest(IMAGE))
    assert (node.start(), base.label) == ("b", "ota_1")


def test_a_base_image_alone_goes_with_a_copy_of_the_program():
    node, manager, _ = ready(OLD)
    assert node.status.manifest == node.slots.manifest
    assert ends(node, manager) == (update.WAITING, u.U_NONE), "the program that runs is the right one, but not its base"
    assert (node.restart(), node.base.label) == ("b", "ota_1")
    node.confirm(manager)
    assert node.status.proof.base == manifest.digest(IMAGE)


def test_a_base_image_alone_that_fails_is_not_taken_for_done():
    node, manager, program = ready(OLD)
    assert (node.restart(), node.base.label) == ("b", "ota_1")
    node.resident.give_up(True)
    assert (node.start(RESET_HARD), node.base.label) == ("a", "ota_0")
    assert ends(node, manager) == (update.REVERTED, u.U_UNCONFIRMED)
    assert node.order(manager, manager.campaign(program)).code == u.U_QUARANTINED
    plain = manager.release(OLD, sequence=3, document=SAME)
    assert node.order(manager, manager.campaign(plain)).stage == update.CONFIRMED, "its program is not to blame"


def test_what_runs_is_not_fetched_whatever_its_version_says():
    manager = Manager()
    node = Node(manager, base=Base())
    node.base.images["ota_0"][: len(IMAGE)] = IMAGE
    status = node.order(manager, manager.campaign(press(manager, OLD)))
    assert (status.stage, status.proof.base) == (update.CONFIRMED, manifest.digest(IMAGE))
    assert node.order(manager, manager.campaign(press(manager, NEW))).stage == update.WAITING
    assert what(manager) == [update.RELEASE, update.PAYLOAD]
    assert (node.restart(), node.base.label) == ("b", "ota_0")
    node.confirm(manager)
    assert node.status.proof.base == manifest.digest(IMAGE)


def test_an_image_of_the_same_version_is_another_one():
    manager = Manager()
    node = Node(manager, base=Base())
    assert node.order(manager, manager.campaign(press(manager, base_version="1.26.0"))).stage == update.WAITING
    assert what(manager) == [update.RELEASE, update.PAYLOAD, update.BASE]


def test_a_base_image_comes_also_when_its_program_is_there_already():
    manager = Manager()
    node = Node(manager, base=Base())
    node.fill("b", NEW, "1.2")
    assert node.order(manager, manager.campaign(press(manager))).stage == update.WAITING
    assert what(manager) == [update.RELEASE, update.BASE]
    assert (node.restart(), node.base.label) == ("b", "ota_1")


def test_what_does_not_fit_is_refused_before_anything_comes():
    rows = {
        "one partition": (None, {}, u.U_NO_PARTITION),
        "larger than the partition": (Base(len(IMAGE) - 1), {}, u.U_SPACE),
        "for another chip": (Base(), {"chips": ["esp32s3"]}, u.U_CHIP),
        "older than its program needs": (Base(), {"base_min": "1.28.0"}, u.U_BASE_OLD),
    }
    for sentence, row in rows.items():
        manager = Manager()
        node = Node(manager, base=row[0])
        status = node.order(manager, manager.campaign(press(manager, **row[1])))
        assert (status.stage, status.code) == (update.REFUSED, row[2]), sentence
        assert what(manager) == [update.RELEASE], sentence
        assert row[0] is None or row[0].written == 0


def test_one_partition_takes_a_release_with_the_version_that_it_runs():
    manager = Manager()
    node = Node(manager)
    assert node.order(manager, manager.campaign(press(manager, base_version="1.26.0"))).stage == update.WAITING
    assert what(manager) == [update.RELEASE, update.PAYLOAD]


def test_an_image_that_is_not_what_was_signed_changes_nothing():
    manager = Manager()
    node = Node(manager, base=Base())
    program = press(manager)
    program.base = IMAGE[:-1] + b"?"
    status = node.order(manager, manager.campaign(program))
    assert (status.stage, status.code, node.resident.ready) == (update.FAILED, u.U_IMAGE, False)
    assert (node.start(), node.base.label) == ("a", "ota_0")
    program.base = IMAGE
    assert node.order(manager, manager.campaign(program)).stage == update.WAITING
    assert node.base.data[: len(IMAGE)] == IMAGE


def test_an_image_that_esp_idf_does_not_start_is_given_up_with_its_program():
    def refuse():
        raise OSError(-0x1503)

    node, manager, _ = ready()
    node.base.activate = refuse
    assert not node.resident.depart()
    assert ends(node, manager) == (update.FAILED, u.U_IMAGE)
    assert (node.start(), node.base.label) == ("a", "ota_0")
    assert ends(node, manager) == (update.FAILED, u.U_IMAGE)
    assert [event[3] for event in node.events] == [u.U_IMAGE]


def test_how_an_image_fails_and_that_its_program_goes_with_it():
    rows = {
        "it never starts": ([], RESET_HARD, "", u.U_BASE_REVERTED),
        "it hangs before the program": ([], RESET_WATCHDOG, "", u.U_BASE_REVERTED),
        "the program crashes on it": ([(RESET_HARD, "update")], RESET_HARD, CRASH, u.U_CRASHED),
        "the program hangs on it": ([(RESET_HARD, "update")], RESET_WATCHDOG, "", u.U_HUNG),
        "the program restarts on it": ([(RESET_HARD, "update")], RESET_HARD, "", u.U_RESTARTED),
    }
    for sentence, (first, cause, crash, code) in rows.items():
        node, manager, program = ready()
        assert node.resident.depart()
        if first:
            assert (node.start(*first[0]), node.base.label) == ("b", "ota_1"), sentence
        else:
            node.base.reset()  # as far as it got
        assert (node.start(cause, "", crash), node.base.label) == ("b", "ota_0"), sentence
        assert node.resident.ready, sentence
        assert node.restart() == "a", sentence
        assert ends(node, manager) == (update.REVERTED, code), sentence
        assert [event[2] for event in node.events].count(update.REVERTED) == 1, sentence
        assert node.events[-1][3] == code
        assert (node.start(), node.base.label, node.base.good) == ("a", "ota_0", "ota_0")
        assert node.order(manager, manager.campaign(program)).code == u.U_QUARANTINED, sentence
        assert node.order(manager, manager.campaign(program, force=True)).stage == update.WAITING, sentence
        assert (node.restart(), node.base.label) == ("b", "ota_1")
        node.confirm(manager)


def test_a_power_cut_on_trial_costs_the_bootloaders_only_try_and_is_nobodys_fault():
    node, manager, _ = ready()
    for attempt in range(4):
        assert (node.restart(), node.base.label) == ("b", "ota_1"), attempt
        assert (node.start(RESET_POWER_ON), node.base.label, node.resident.ready) == ("b", "ota_0", True)
        assert node.restart() == "a"
        stage = ends(node, manager)
        assert stage == ((update.WAITING, u.U_NONE) if attempt < 3 else (update.REVERTED, u.U_POWER)), attempt


def test_power_cuts_while_it_waits_try_nothing_and_cost_nothing():
    node, manager, _ = ready()
    for _ in range(12):
        assert (node.start(RESET_POWER_ON), node.base.label) == ("a", "ota_0")
        assert ends(node, manager) == (update.WAITING, u.U_NONE)
    assert (node.restart(), node.base.label) == ("b", "ota_1")


def test_stop_while_it_waits_and_on_trial():
    node, manager, _ = ready()
    assert node.order(manager, manager.stop()).stage == update.STOPPED
    assert (node.resident.depart(), node.start(), node.base.label) == (False, "a", "ota_0")
    node, manager, _ = ready()
    node.restart()
    node.order(manager, manager.stop())
    assert (node.restart(), node.base.label, node.base.good) == ("a", "ota_0", "ota_0")
    assert ends(node, manager) == (update.STOPPED, u.U_STOPPED)


def test_an_image_goes_on_where_it_was():
    image = bytes(pull.STEP * 40)
    manager = Manager()
    node = Node(manager, base=Base(len(image)))
    program = press(manager, image=image)
    node.order(manager, manager.campaign(program), until=lambda node: node.base.written >= pull.STEP * 35)
    node.start()
    before = len(manager.asked)
    assert ends(node, manager) == (update.WAITING, u.U_NONE)
    offsets = [ask.offset for ask in manager.asked[before:] if ask.what == update.BASE]
    assert offsets[0] == pull.STEP * 32, "within 64 KiB of where it was"
    assert node.base.data == image


class Cut(BaseException):
    """The power fails."""


def test_a_power_cut_before_any_write_of_an_update_with_a_base_image_costs_nothing():
    manager = Manager()
    program = press(manager, {"node/app.mpy": b"small"}, IMAGE[:5000])
    envelope = manager.campaign(program)
    cut = 0
    while True:
        node = Node(manager, base=Base())
        writes = [cut]
        cuts = life(node, manager, envelope, writes)
        assert node.status.stage == update.CONFIRMED, cut
        assert (node.status.proof.manifest, node.status.proof.base) == (program.manifest, manifest.digest(IMAGE[:5000]))
        assert node.base.good == node.base.label == "ota_1", cut
        if not cuts:
            break
        cut += 1
    assert cut > 20


def life(node, manager, envelope, writes):
    """Starts of a node until its update is over, with a cut once `writes` are done; how many there were."""
    cuts = 0
    allow = node.files._allow

    def count(size=0):
        if writes[0] <= 0:
            writes[0] = 1 << 30
            raise Cut
        writes[0] -= 1
        allow(size)

    node.files._allow = node.base.changed = count
    for _ in range(9):
        try:
            if cuts or node.statuses:
                node.start(RESET_POWER_ON if cuts else RESET_HARD)
            node.order(manager, envelope)
            if node.resident.ready:
                node.restart()
                node.order(manager, envelope)
            if node.slots.on_trial and not node.resident.ready:
                node.resident.confirm()
                node.work(manager)
            if node.status.stage == update.CONFIRMED:
                break
        except Cut:
            cuts += 1
    return cuts
