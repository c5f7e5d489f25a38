"""What an epoch does and what it costs: to nodes that it concerns, to all others, and when it is forged or old."""

from firmware.tests.fakes import Counting
from firmware.tests.manager import NEW, OLD, Manager, Node
from firmware.tests.test_update_abort import GROUP, at, confirmed, in_session, reverted, until, whole
from protocol import refusals as u
from protocol import trust, update


def test_what_a_node_says_when_an_epoch_comes():
    rows = {
        "at work: it has stopped, and why": (until(update.DOWNLOADING), update.STOPPED, u.U_HALTED),
        "confirmed: it stays, and proves it": (confirmed, update.CONFIRMED, u.U_NONE),
        "on trial: it goes back": (in_session, update.TRIAL, u.U_HALTED),
        "reverted: as before": (reverted, update.REVERTED, u.U_HUNG),
    }
    for sentence, row in rows.items():
        manager = Manager()
        node = Node(manager)
        row[0](node, manager, manager.campaign(manager.release(NEW), group=GROUP))
        count = len(node.statuses)
        status = node.hear(manager, manager.epoch(3, GROUP))
        assert (status.stage, status.code, status.epoch) == (row[1], row[2], 1), (sentence, status)
        assert len(node.statuses) == count + 1, sentence
        assert (status.proof is not None) is (row[1] == update.CONFIRMED), sentence
        assert node.resident.ready is (row[1] == update.TRIAL), sentence
        node.hear(manager, manager.epoch(3, GROUP, number=1))
        assert len(node.statuses) == count + 1, "the same again is answered with nothing: " + sentence
        assert node.slots.running == "b" if row[1] == update.CONFIRMED else node.start() == "a", sentence


def test_one_that_comes_while_blocks_come_ends_the_download():
    manager = Manager()
    node = Node(manager)

    def halt(blocks):
        if len(manager.asked) == 3:
            node.resident.halt(manager.epoch(GROUP))
        return blocks

    manager.carry = halt
    node.order(manager, manager.campaign(manager.release(NEW), group=GROUP))
    assert (node.status.stage, node.status.code, len(manager.asked)) == (update.STOPPED, u.U_HALTED, 3)
    assert node.events[-1][2] == update.STOPPED


def test_one_that_comes_while_it_installs_ends_it_before_the_pointer_moves():
    manager = Manager()
    node = Node(manager)
    words = []

    def halt(node):
        if at(update.INSTALLING)(node) and not words:
            words.append(manager.epoch(GROUP))
            node.resident.halt(words[0])

    node.order(manager, manager.campaign(manager.release(NEW), group=GROUP), until=halt)
    assert words
    assert update.WAITING not in [status.stage for status in node.statuses]
    assert (node.status.stage, node.resident.ready) == (update.STOPPED, False)


def test_what_is_unread_holds_the_restart_and_the_confirmation():
    manager = Manager()
    node = Node(manager)
    whole(node, manager, manager.campaign(manager.release(NEW), group=GROUP))
    assert node.resident.due
    node.resident.halt(manager.epoch(GROUP))
    assert not node.resident.due
    judged = []
    node.work(manager, until=lambda node: judged.append((node.resident.due, node.status.stage)))
    assert (True, update.WAITING) not in judged[:-1], "nor while it is judged"
    assert not node.resident.unread


def test_what_is_confirmed_while_the_word_is_judged_stays_and_is_said():
    for stop in (False, True):
        manager = Manager()
        node = Node(manager)
        in_session(node, manager, manager.campaign(manager.release(NEW), group=GROUP))
        count = len(node.statuses)

        def confirm(node):
            if node.resident.judging and node.slots.on_trial:
                node.resident.confirm()

        if stop:
            node.order(manager, manager.stop(), until=confirm)
        else:
            node.resident.halt(manager.epoch(GROUP))
            node.work(manager, until=confirm)
        assert node.slots.is_kept
        assert not node.resident.ready
        said = [status for status in node.statuses[count:] if status.stage == update.CONFIRMED]
        assert said[0].proof.confirmed, "stop" if stop else "epoch"


def test_an_epoch_that_does_not_concern_a_node_costs_no_write():
    rows = {
        "it has never had an order": lambda node, manager: None,
        "it works for another group": lambda node, manager: whole(
            node, manager, manager.campaign(manager.release(NEW), group=8)
        ),
        "its order has no group": lambda node, manager: whole(node, manager, manager.campaign(manager.release(NEW))),
    }
    for sentence, row in rows.items():
        manager = Manager()
        node = Node(manager)
        row(node, manager)
        ready = node.resident.ready
        counting = Counting(node.files)
        counting.left = 0
        assert node.hear(manager, manager.epoch(GROUP)).epoch == 1, sentence
        assert node.resident.ready is ready, sentence
        counting.left = 1 << 30
        status = node.order(manager, manager.campaign(manager.release(NEW, sequence=3), group=GROUP))
        assert (status.stage, status.code, status.epoch) == (update.REFUSED, u.U_HALTED, 1), "but it is remembered"


def test_one_that_concerns_a_node_costs_one_write_and_outlives_a_reset():
    manager = Manager()
    node = Node(manager)
    program = manager.release(NEW)
    confirmed(node, manager, manager.campaign(program, group=GROUP))
    counting = Counting(node.files)
    counting.left = 1
    word = manager.epoch(GROUP)
    assert node.hear(manager, word).epoch == 1
    counting.left = 0
    for again in (word, manager.epoch(GROUP, number=1), word):
        node.hear(manager, again)
    counting.left = 1 << 30
    node.start()
    status = node.order(manager, manager.campaign(program, group=GROUP, force=True))
    assert (status.stage, status.code, status.epoch) == (update.REFUSED, u.U_HALTED, 1)
    assert node.order(manager, manager.campaign(manager.release(OLD, sequence=3), group=8)).stage == update.WAITING
    assert node.status.epoch == 1, "and the next order"


def test_a_node_that_it_does_not_concern_takes_it_at_once_and_says_so_later():
    manager = Manager()
    node = Node(manager)
    node.resident.random = lambda below: below - 1
    program = manager.release(NEW)
    node.resident.up()
    node.work(manager)
    count = len(node.statuses)
    node.hear(manager, manager.epoch(GROUP))
    assert (len(node.statuses), node.resident.taken[0], node.resident.busy) == (count, 1, False)
    node.time.sleep(29998)
    assert not node.resident.busy
    node.time.sleep(1)
    node.work(manager)
    assert (len(node.statuses), node.status.epoch, node.resident.busy) == (count + 1, 1, False)
    node.hear(manager, manager.epoch(GROUP, 8))
    status = node.order(manager, manager.campaign(program, group=GROUP))
    assert (status.stage, status.code, status.epoch) == (update.REFUSED, u.U_HALTED, 2), "whoever asks hears it earlier"
    count = len(node.statuses)
    node.time.sleep(30000)
    node.work(manager)
    assert len(node.statuses) == count, "and once"
    node.order(manager, manager.campaign(program, group=9))
    node.hear(manager, manager.epoch(9))
    assert (node.status.stage, node.status.epoch) == (update.STOPPED, 3), "who is concerned does not wait"


def test_a_halted_group_can_be_stopped_and_another_one_goes_on():
    manager = Manager()
    node = Node(manager)
    program = manager.release(NEW)
    node.hear(manager, manager.epoch(GROUP))
    assert node.order(manager, manager.stop(group=GROUP)).stage == update.STOPPED
    assert node.order(manager, manager.campaign(program, group=GROUP)).code == u.U_HALTED
    assert node.order(manager, manager.campaign(program, group=GROUP + 1)).stage == update.WAITING


def test_forgeries_and_replays_change_nothing():
    rows = {
        "a stranger's": lambda manager: manager.epoch(GROUP, by=["stranger"]),
        "signed by who signs releases": lambda manager: manager.epoch(GROUP, by=["build"]),
        "signed by the root": lambda manager: manager.epoch(GROUP, by=["root"]),
        "signed by nobody": lambda manager: manager.epoch(GROUP, by=[]),
        "signed as a campaign": lambda manager: manager.epoch(GROUP, typ=trust.CAMPAIGN_TYPE),
        "a campaign on the topic of epochs": lambda manager: manager.stop(counter=99),
        "another one's signature": lambda manager: other(manager),
        "no envelope": lambda manager: b"\xff" * 40,
        "nothing": lambda manager: b"",
    }
    for sentence, row in rows.items():
        manager = Manager()
        node = Node(manager)
        program = manager.release(NEW)
        node.order(manager, manager.campaign(program, group=GROUP), until=at(update.DOWNLOADING))
        word = row(manager)
        before = {path: bytes(data) for path, data in node.files.data.items()}
        count = len(node.statuses)
        node.resident.halt(word)
        node.work(manager, until=lambda node: not node.resident.unread)
        assert {path: bytes(data) for path, data in node.files.data.items()} == before, sentence
        assert [(event[2], event[3]) for event in node.events] == [(update.REFUSED, u.U_EPOCH_FORGED)], sentence
        node.work(manager)
        assert update.STOPPED not in [status.stage for status in node.statuses[count:]], sentence
        assert (node.status.stage, node.status.epoch) == (update.WAITING, 0), sentence
        node.hear(manager, word)
        node.time.sleep(70000)
        node.hear(manager, word)
        assert len(node.events) == 1, "once more costs nothing: " + sentence


def other(manager):
    """An epoch under the signature of another one."""
    signed = trust.Signed.decode(manager.epoch(GROUP))
    signed.signatures = trust.Signed.decode(manager.epoch(3)).signatures
    return signed.encode()


def test_an_epoch_that_is_not_newer_is_not_even_verified():
    manager = Manager()
    node = Node(manager)
    old = manager.epoch(GROUP)
    node.hear(manager, manager.epoch(3))
    for sentence, word in {
        "replayed": old,
        "the same number, something else in it": manager.epoch(GROUP, number=2),
        "forged, and old": manager.epoch(GROUP, number=1, by=["stranger"]),
    }.items():
        steps = node.steps
        node.hear(manager, word)
        assert node.steps - steps < 9, sentence
        assert not node.events, sentence
    assert node.order(manager, manager.campaign(manager.release(NEW), group=GROUP)).stage == update.WAITING


def test_a_flood_of_forgeries_costs_an_event_a_minute_and_no_memory():
    manager = Manager()
    node = Node(manager)
    counting = Counting(node.files)
    counting.left = 0
    for number in range(20):
        node.resident.halt(manager.epoch(GROUP, issued=number, by=["stranger"]))
        node.work(manager)
    assert len(node.events) == 1
    node.resident.halt(bytes(2049))
    assert node.resident.epoch is None, "too long for one"


def test_a_new_online_key_makes_numbers_start_anew():
    manager = Manager()
    node = Node(manager)
    node.hear(manager, manager.epoch(GROUP, number=0xFFFFFFFF))  # somebody had stolen the key
    manager.rotate({"root": (1, ["root"]), "build": (1, ["build"]), "campaign": (1, ["online 2"])})
    status = node.hear(manager, manager.epoch(8, by=["online 2"], number=1))
    assert (status.epoch, status.root) == (1, 2)
    program = manager.release(NEW)
    assert node.order(manager, manager.campaign(program, group=8, by=["online 2"])).code == u.U_HALTED
    assert node.order(manager, manager.campaign(program, group=GROUP, by=["online 2"])).stage == update.WAITING


def test_a_flash_that_refuses_an_epoch_does_not_say_that_it_is_known():
    manager = Manager()
    node = Node(manager)
    whole(node, manager, manager.campaign(manager.release(NEW), group=GROUP))
    node.start()
    node.order(manager, manager.epoch(GROUP))  # noise on down/ota
    node.files.fail = 5
    count = len(node.statuses)
    word = manager.epoch(GROUP)
    node.resident.halt(word)
    node.work(manager)
    assert len(node.statuses) == count
    node.files.fail = 0
    node.resident.up()
    node.work(manager)
    assert node.status.epoch == 0
    assert node.hear(manager, word).epoch == 2
    assert (node.status.stage, node.status.code, node.resident.ready) == (update.TRIAL, u.U_HALTED, True)


def test_a_node_without_a_root_hears_of_no_epoch():
    manager = Manager()
    node = Node(None)
    node.resident.halt(manager.epoch(GROUP))
    node.work(manager)
    assert (node.statuses, node.events) == ([], [])
