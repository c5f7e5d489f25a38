"""How a trial ends: every reason, what is tried again, what is taken for bad, and what survives power cuts."""

from firmware.tests.fakes import Counting, Cut
from firmware.tests.manager import NEW, OLD, Manager, Node
from node.core.slots import digest
from node.core.update.record import DOWNLOAD
from protocol import refusals as u
from protocol import update
from protocol.messages import RESET_HARD, RESET_POWER_ON, RESET_SOFT, RESET_UNKNOWN, RESET_WATCHDOG

CRASH = "ValueError: no such thing"


def on_trial(manager=None, **changes):
    """(node, manager, program) with a program that the next start tries."""
    manager = manager or Manager()
    node = Node(manager)
    program = manager.release(NEW)
    node.order(manager, manager.campaign(program, **changes))
    assert node.status.stage == update.WAITING
    return node, manager, program


def report(node, manager):
    node.resident.up()
    node.work(manager)
    return node.status.stage, node.status.code


def test_why_a_program_that_never_gets_as_far_as_the_updater_was_given_up():
    rows = {
        "an exception at import": (RESET_HARD, "", CRASH, u.U_CRASHED),
        "an exception, then a power cut": (RESET_POWER_ON, "", CRASH, u.U_CRASHED),
        "it hangs": (RESET_WATCHDOG, "", "", u.U_HUNG),
        "a panic": (RESET_HARD, "", "", u.U_RESTARTED),
        "back to the prompt": (RESET_SOFT, "", "", u.U_RESTARTED),
        "nobody knows": (RESET_UNKNOWN, "", "", u.U_RESTARTED),
    }
    for sentence, row in rows.items():
        node, manager, program = on_trial()
        assert [node.stage_0() for _ in range(3)] == ["b", "b", "b"]
        assert node.start(row[0], row[1], row[2]) == "a", sentence
        assert report(node, manager) == (update.REVERTED, row[3]), sentence
        assert node.status.text == row[2]
        last = node.events[-1]
        assert (last[1], last[2], last[3], last[5]) == (1, update.REVERTED, row[3], program.manifest), sentence
        assert node.start() == "a"
        assert report(node, manager) == (update.REVERTED, row[3]), sentence
        assert len(node.events) == 1


def test_why_a_program_that_runs_for_a_while_was_given_up():
    rows = {
        "it crashes each time": ([(RESET_HARD, "", CRASH)] * 3, u.U_CRASHED),
        "it crashes once, then the power fails": ([(RESET_HARD, "", CRASH), (RESET_POWER_ON, "", "")] * 2, u.U_CRASHED),
        "the power fails, then it hangs": ([(RESET_POWER_ON, "", ""), (RESET_WATCHDOG, "", "")] * 2, u.U_HUNG),
        "it restarts on purpose": ([(RESET_HARD, "task link keeps failing", "")] * 3, u.U_RESTARTED),
    }
    for sentence, row in rows.items():
        node, manager, _ = on_trial()
        assert node.start() == "b"
        for end in row[0][:2]:
            assert node.start(end[0], end[1], end[2]) == "b", sentence
        end = row[0][2]
        assert node.start(end[0], end[1], end[2]) == "a", sentence
        assert report(node, manager) == (update.REVERTED, row[1]), sentence
        assert node.events[-1][3] == row[1]


def test_a_program_that_does_not_prove_itself_is_left_at_the_next_restart():
    node, manager, program = on_trial()
    assert node.start() == "b"
    assert report(node, manager) == (update.TRIAL, u.U_NONE)
    node.resident.give_up(True)
    assert not node.resident.prove(b"").confirmed
    assert node.start(RESET_HARD, "slot b did not prove itself") == "a"
    assert report(node, manager) == (update.REVERTED, u.U_UNCONFIRMED)
    status = node.order(manager, manager.campaign(program))
    assert (status.stage, status.code) == (update.REFUSED, u.U_QUARANTINED)
    assert node.order(manager, manager.campaign(program, force=True)).stage == update.WAITING
    assert node.start() == "b"
    node.resident.confirm()
    node.work(manager)
    assert node.status.stage == update.CONFIRMED
    old = manager.release(OLD, sequence=3)
    node.order(manager, manager.campaign(old))
    node.start()
    node.resident.confirm()
    node.work(manager)
    assert node.order(manager, manager.campaign(program)).stage == update.WAITING, "it has proved itself since"


def test_a_broker_that_is_not_reached_is_tried_again_three_times():
    node, manager, program = on_trial()
    for attempt in range(4):
        assert node.start() == "b", attempt
        node.resident.give_up(False)
        assert node.start(RESET_HARD, "slot b did not prove itself") == "a"
        before = len(manager.asked)
        stage = report(node, manager)
        if attempt < 3:
            assert stage[0] == update.WAITING, attempt
            assert [ask.what for ask in manager.asked[before:]] == [update.RELEASE], "the broker is there again"
    assert stage == (update.REVERTED, u.U_UNREACHED)
    assert [event[2] for event in node.events] == [update.REVERTED]
    assert node.order(manager, manager.campaign(program)).code == u.U_QUARANTINED


def test_ten_power_cuts_in_a_row_end_well():
    node, manager, program = on_trial()
    slots = []
    for _ in range(10):
        slots.append(node.start(RESET_POWER_ON))
        node.resident.up()
        node.work(manager)
    assert slots.count("b") >= 7
    while node.status.stage != update.TRIAL:
        node.start()
        node.resident.up()
        node.work(manager)
    node.resident.confirm()
    node.work(manager)
    assert (node.status.stage, node.status.proof.manifest) == (update.CONFIRMED, program.manifest)


def test_power_cuts_without_end_end_the_trial():
    node, manager, _ = on_trial()
    for _ in range(40):
        node.start(RESET_POWER_ON)
        node.resident.up()
        node.work(manager)
    assert (node.status.stage, node.status.code) == (update.REVERTED, u.U_POWER)
    assert node.slots.running == "a"


def test_a_reset_between_the_pointer_and_the_record_is_understood():
    node, manager, _ = on_trial()
    node.start()
    node.slots.confirm()  # and nothing more
    assert node.start() == "b"
    assert report(node, manager) == (update.CONFIRMED, u.U_NONE)
    node, manager, _ = on_trial()
    node.slots.settle()  # as if the pointer was never written
    assert node.start() == "a"
    assert report(node, manager) == (update.WAITING, u.U_NONE)
    assert node.resident.ready
    assert node.start() == "b"


def test_the_quarantine_holds_the_last_eight():
    node, manager, program = on_trial()
    programs = [program]
    for number in range(9):
        for _ in range(3):
            node.stage_0()
        assert node.start(RESET_WATCHDOG) == "a"
        assert report(node, manager) == (update.REVERTED, u.U_HUNG)
        node.slots.settle()
        contents = {"node/app.mpy": bytes([number]) * 50}
        programs.append(manager.release(contents, sequence=3 + number))
        assert node.order(manager, manager.campaign(programs[-1])).stage == update.WAITING
    node.order(manager, manager.stop())
    codes = []
    for program in programs[:-1]:
        codes.append(node.order(manager, manager.campaign(program)).code)
        node.order(manager, manager.stop())
    assert codes == [u.U_NONE] + [u.U_QUARANTINED] * 8


def test_now_and_the_download_file():
    node, _, _ = on_trial(now=True)
    assert (node.resident.ready, node.resident.now) == (True, True)
    assert node.files.size(DOWNLOAD) is None
    node, _, _ = on_trial()
    assert (node.resident.ready, node.resident.now) == (True, False)


def test_a_power_cut_before_any_write_of_an_update_costs_nothing():
    """Of the whole of it, over and over: the node ends on the new program, whatever was lost."""
    cut = 0
    manager = Manager()
    program = manager.release(NEW, floor=1)
    envelope = manager.campaign(program)
    while True:
        node = Node(manager)
        counting = Counting(node.files)
        counting.left = cut
        cuts = life(node, manager, envelope, counting)
        assert node.status.stage == update.CONFIRMED, cut
        assert (node.status.proof.manifest, node.status.floor) == (program.manifest, 1), cut
        if not cuts:
            break
        cut += 1
    assert cut > 15


def life(node, manager, envelope, counting):
    """Starts of a node until its update is over; the number of power cuts."""
    cuts = 0
    for _ in range(9):
        try:
            if cuts or node.statuses:
                node.start(RESET_POWER_ON if cuts else RESET_HARD)
            node.order(manager, envelope)
            if node.slots.on_trial:
                node.resident.confirm()
                node.work(manager)
            if node.status.stage == update.CONFIRMED:
                return cuts
        except Cut:
            cuts += 1
            counting.left = 1 << 30
    return cuts


def test_a_campaign_that_waited_for_the_end_of_a_trial_does_not_make_it_forgotten():
    for sentence in ("boot", "stop"):
        manager = Manager()
        node = Node(manager)
        program = manager.release(NEW, sequence=5, floor=4)
        node.order(manager, manager.campaign(program))
        assert node.start() == "b"
        if sentence == "boot":
            node.order(manager, manager.boot(digest(node.files, "a")))
            node.resident.confirm()
        else:
            node.resident.confirm()
            node.resident.offer(manager.stop())
        node.work(manager)
        confirmed = [status for status in node.statuses if status.stage == update.CONFIRMED]
        assert [(status.counter, status.floor) for status in confirmed] == [(1, 4)], sentence
        wanted = (update.REFUSED, u.U_ROLLBACK) if sentence == "boot" else (update.STOPPED, u.U_NONE)
        assert (node.status.stage, node.status.code) == wanted, "below the floor that was just raised"


def test_nothing_is_written_over_the_program_that_a_revert_needs():
    manager = Manager()
    node = Node(manager)
    node.order(manager, manager.campaign(manager.release(NEW)))
    assert node.start() == "b"
    node.order(manager, manager.stop())
    third = manager.release({"node/x.mpy": b"x" * 9000}, sequence=3)
    before = {path: bytes(data) for path, data in node.files.data.items() if path.startswith("/a/")}
    node.order(manager, manager.campaign(third))
    assert before == {path: bytes(data) for path, data in node.files.data.items() if path.startswith("/a/")}
    assert (node.resident.ready, node.resident.busy) == (True, False)
    assert node.start() == "a"
    assert node.order(manager, manager.campaign(third)).stage == update.WAITING
