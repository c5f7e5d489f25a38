"""Windows: a campaign is fetched, and the node restarts for it, within the spans that it names and at no other time."""

from firmware.tests.manager import NEW, NOW_S, OLD, Base, Manager, Node
from firmware.tests.test_update_base import press, what
from node.core.clock import Clock
from node.core.update.record import DOWNLOAD
from protocol import refusals as u
from protocol import update
from protocol.messages import RESET_HARD, RESET_POWER_ON, RESET_WATCHDOG

HOUR_S = 3600
NIGHT = [NOW_S + 10 * HOUR_S, NOW_S + 12 * HOUR_S]
NIGHTS = NIGHT + [NOW_S + 34 * HOUR_S, NOW_S + 36 * HOUR_S]
OPEN = [NOW_S - HOUR_S, NOW_S + HOUR_S]

# sentence: spans, time, seconds until it is time
SPANS = {
    "no spans: always": ([], 5, 0),
    "no spans, and no time either": ([], None, 0),
    "before the first": ([10, 20], 3, 7),
    "at its begin": ([10, 20], 10, 0),
    "in its last second": ([10, 20], 19, 0),
    "at its end": ([10, 20], 20, -1),
    "between two": ([10, 20, 30, 40], 20, 10),
    "in the second": ([10, 20, 30, 40], 35, 0),
    "two that touch": ([10, 20, 20, 30], 20, 0),
    "a span of nothing": ([10, 10, 30, 40], 10, 20),
    "after the last": ([10, 20, 30, 40], 99, -1),
    "the time is unknown": ([10, 20], None, None),
}


def test_how_long_a_clock_has_to_wait():
    for sentence, row in SPANS.items():
        clock = Clock(lambda: 0)
        if row[1] is not None:
            clock.set_utc(row[1] * 1000)
        assert clock.wait_s(row[0]) == row[2], sentence


def it_is(node, at_s):
    """The clock of the node was set, whatever it said before."""
    node.time.clock.set_utc(at_s * 1000)


def payloads(manager):
    """The offsets of the payload that were asked for."""
    return [ask.offset for ask in manager.asked if ask.what == update.PAYLOAD]


def ordered(manager=None, **values):
    """(node, manager, program) after everything that comes of a campaign with these spans."""
    manager = manager or Manager()
    node = Node(manager)
    program = manager.release(NEW)
    node.order(manager, manager.campaign(program, expires=NOW_S + 90 * HOUR_S, **values))
    return node, manager, program


def test_nothing_is_fetched_before_its_time_and_then_without_a_session_that_says_so():
    node, manager, program = ordered(fetch=NIGHT)
    said = node.status
    assert (said.stage, said.code, said.done) == (update.DOWNLOADING, u.U_WINDOW, 0), "what does not fit is known now"
    assert said.text == "from {}".format(NIGHT[0])
    assert (payloads(manager), node.resident.busy) == ([], False)
    asked = len(manager.asked)
    for _ in range(3):
        node.resident.up()
        node.work(manager)
        assert (node.status.code, len(manager.asked)) == (u.U_WINDOW, asked), "a session asks for nothing"
    it_is(node, NIGHT[0] - 1)
    assert not node.resident.busy
    it_is(node, NIGHT[0])
    assert node.resident.busy
    node.work(manager)
    assert (node.status.stage, node.status.code) == (update.WAITING, u.U_NONE)
    assert node.start() == "b"
    assert node.slots.manifest == program.manifest


def test_a_span_that_ends_during_the_download_interrupts_it_and_the_next_one_goes_on():
    for resets in (False, True):
        manager = Manager()
        left = []

        def carry(blocks, manager=manager, left=left):
            left.append(1)
            if payloads(manager) == [0, 4096]:
                it_is(left[0], NIGHTS[1])
            return blocks

        node = Node(manager)
        left.append(node)
        it_is(node, NIGHTS[0])
        manager.carry = carry
        order = manager.campaign(manager.release(NEW), expires=NOW_S + 90 * HOUR_S, fetch=NIGHTS)
        said = node.order(manager, order)
        assert (said.stage, said.code, said.done) == (update.DOWNLOADING, u.U_WINDOW, 8192)
        assert payloads(manager) == [0, 4096]
        assert not node.resident.busy
        manager.carry = lambda blocks: blocks
        if resets:
            node.start(RESET_POWER_ON)
            node.resident.up()
            it_is(node, NIGHTS[1] + 60)
            node.work(manager)
            assert (node.status.code, payloads(manager)) == (u.U_WINDOW, [0, 4096])
        it_is(node, NIGHTS[2])
        node.work(manager)
        assert node.status.stage == update.WAITING
        assert payloads(manager)[:3] == [0, 4096, 8192], "it goes on where it was"


def test_when_the_last_span_is_over_the_campaign_is():
    rows = {
        "for fetching, before it began": ({"fetch": NIGHT}, NIGHT[1], (update.FAILED, u.U_CAMPAIGN_STALE)),
        "for the restart": ({"switch": NIGHT}, NIGHT[1], (update.FAILED, u.U_CAMPAIGN_STALE)),
        "for the restart, while it waits for the other": (
            {"fetch": NIGHTS, "switch": NIGHT},
            NIGHTS[2],
            (update.FAILED, u.U_CAMPAIGN_STALE),
        ),
    }
    for sentence, row in rows.items():
        node, manager, program = ordered(**row[0])
        it_is(node, row[1])
        assert not (node.resident.ready and node.resident.due), sentence
        assert node.resident.busy, sentence
        node.work(manager)
        assert (node.status.stage, node.status.code) == row[2], (sentence, node.status)
        assert (node.resident.ready, node.files.size(DOWNLOAD)) == (False, None), sentence
        assert node.events[-1][3] == u.U_CAMPAIGN_STALE, sentence
        it_is(node, NIGHT[0])
        assert not node.resident.ready, "also when the clock goes back: " + sentence
        assert node.start() == "a", sentence
        assert node.order(manager, manager.campaign(program)).stage == update.WAITING, "it is not taken for bad"
    node, manager, program = ordered(switch=[NOW_S - 9, NOW_S - 5])
    assert (node.status.stage, node.status.code) == (update.REFUSED, u.U_CAMPAIGN_STALE), "over before it came"


def test_a_lamp_that_got_the_job_at_4_59_does_not_restart_at_5_10():
    manager = Manager()
    node = Node(manager)
    five = NOW_S + 5 * HOUR_S
    night = [five - 3 * HOUR_S, five, five + 21 * HOUR_S, five + 24 * HOUR_S]
    it_is(node, five - 60)
    order = manager.campaign(manager.release(NEW), expires=NOW_S + 90 * HOUR_S, switch=night, now=True)
    assert node.order(manager, order).code == u.U_NONE
    assert node.resident.due, "at 4:59 it may"
    it_is(node, five + 600)
    assert (node.resident.ready, node.resident.now, node.resident.due) == (True, True, False), "`now` opens no window"
    node.resident.up()
    node.work(manager)
    assert (node.status.stage, node.status.code) == (update.WAITING, u.U_WINDOW)
    for cause in (RESET_POWER_ON, RESET_WATCHDOG, RESET_HARD):
        assert node.start(cause) == "a", "nor does any other restart bring the new program"
        it_is(node, five + 1200)
        assert (node.resident.ready, node.resident.now, node.resident.due) == (True, True, False)
    it_is(node, night[2])
    assert node.resident.due
    assert node.restart() == "b"
    node.confirm(manager)


def test_what_waits_for_its_span_needs_nobody_after_a_reset():
    node, manager, program = ordered(switch=NIGHT)
    asked = len(manager.asked)
    for _ in range(80):
        assert node.start(RESET_POWER_ON) == "a"
        assert not node.resident.busy
    assert len(manager.asked) == asked
    it_is(node, NIGHT[0])
    assert node.restart() == "b"
    node.confirm(manager)
    assert node.status.proof.manifest == program.manifest


def test_without_the_time_it_waits_for_it():
    node, manager, _ = ordered(fetch=OPEN, switch=OPEN)
    assert node.start(knows_time=False) == "a"
    assert (node.resident.ready, node.resident.due) == (True, False)
    node.resident.up()
    node.work(manager)
    assert (node.status.stage, node.status.code) == (update.WAITING, u.U_TIME)
    it_is(node, NOW_S)
    assert node.resident.due
    manager = Manager()
    node = Node(manager)
    order = manager.campaign(manager.release(NEW), fetch=OPEN)
    node.order(manager, order, until=lambda node: node.statuses and node.status.stage == update.DOWNLOADING)
    before = payloads(manager)
    node.start(knows_time=False)
    node.resident.up()
    node.work(manager)
    assert (node.status.code, payloads(manager)) == (u.U_TIME, before)
    it_is(node, NOW_S)
    node.work(manager)
    assert node.status.stage == update.WAITING


def test_a_clock_that_jumps_is_believed_as_it_is():
    node, manager, _ = ordered(fetch=NIGHTS, switch=NIGHTS)
    it_is(node, NOW_S - 50 * HOUR_S)
    assert not node.resident.busy
    it_is(node, NIGHT[0] + 5)
    assert node.resident.busy
    it_is(node, NOW_S)
    node.work(manager)
    assert (node.status.stage, node.resident.busy) == (update.DOWNLOADING, False), "it went back before anybody looked"
    it_is(node, NIGHTS[2] + 5)
    node.work(manager)
    assert (node.status.stage, node.resident.due) == (update.WAITING, True)
    it_is(node, NIGHT[1])
    assert not node.resident.due
    it_is(node, NIGHT[1] - 1)
    assert node.resident.due


def test_a_trial_goes_on_and_back_at_any_time():
    node, manager, _ = ordered(switch=NIGHT)
    it_is(node, NIGHT[1] - 1)
    assert node.restart() == "b"
    it_is(node, NIGHT[1] + 100)
    assert node.start(RESET_POWER_ON) == "b", "its second try"
    it_is(node, NIGHT[1] + 200)
    node.order(manager, manager.stop())
    assert node.resident.ready
    assert node.start() == "a"
    node, manager, _ = ordered(switch=NIGHTS)
    it_is(node, NIGHT[0])
    assert node.restart() == "b"
    node.resident.give_up(False)  # it had no session: nobody's fault, so it is tried again, in the next span
    assert node.start(RESET_HARD) == "a"
    it_is(node, NIGHT[1] + 100)
    node.work(manager)
    assert (node.status.stage, node.status.code, node.resident.due) == (update.WAITING, u.U_WINDOW, False)
    assert node.start() == "a"


def test_the_program_before_comes_back_in_its_span_too():
    manager = Manager()
    node = Node(manager)
    node.update(manager, manager.release(NEW))
    before = node.status.spare
    said = node.order(manager, manager.boot(before, switch=NIGHT))
    assert (said.stage, said.code, node.resident.due) == (update.WAITING, u.U_WINDOW, False)
    assert node.start() == "b"
    it_is(node, NIGHT[0])
    assert node.restart() == "a"


def test_a_base_image_has_the_same_windows():
    for contents in (NEW, OLD):
        manager = Manager()
        node = Node(manager, base=Base())
        order = manager.campaign(press(manager, contents), expires=NOW_S + 90 * HOUR_S, fetch=NIGHT, switch=NIGHTS[2:])
        said = node.order(manager, order)
        assert (said.stage, said.code, what(manager)) == (update.DOWNLOADING, u.U_WINDOW, [update.RELEASE])
        assert node.base.written == 0
        it_is(node, NIGHT[0])
        node.work(manager)
        assert (node.status.stage, node.status.code, node.resident.due) == (update.WAITING, u.U_WINDOW, False)
        assert update.BASE in what(manager)
        assert (node.start(RESET_POWER_ON), node.base.label) == ("a", "ota_0")
        it_is(node, NIGHT[1] - 9)
        node.work(manager)
        assert node.status.stage == update.WAITING
        it_is(node, NIGHTS[2])
        assert node.resident.due
        assert (node.restart(), node.base.label) == ("b", "ota_1")
        node.confirm(manager)


def test_a_span_for_the_program_starts_no_base_image():
    manager = Manager()
    node = Node(manager, base=Base())
    assert node.order(manager, manager.campaign(manager.release(NEW), switch=OPEN)).stage == update.WAITING
    assert (node.restart(), node.base.label, node.base.next) == ("b", "ota_0", "")


def test_spans_that_are_none_are_refused():
    rows = {
        "half of one": [5],
        "backwards": [9, 5],
        "one before the other": [20, 30, 5, 9],
        "an odd number": [5, 9, 11],
    }
    for sentence, spans in rows.items():
        for name in ("fetch", "switch"):
            node, _, _ = ordered(**{name: spans})
            assert (node.status.stage, node.status.code) == (update.REFUSED, u.U_MALFORMED), (sentence, name)
