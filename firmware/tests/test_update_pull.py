"""Fetching over a way that loses, doubles, delays and reorders, and over resets."""

from firmware.tests.manager import NEW, OLD, Manager, Node
from node.core.update.record import DOWNLOAD
from protocol import refusals as u
from protocol import update
from protocol.messages import RESET_HARD, RESET_POWER_ON
from protocol.update import Ask, Block

BIG = {"node/{}.mpy".format(number): bytes([number]) * (3000 + number) for number in range(12)}


def pairs(items):
    return [(items[at], items[at + 1]) for at in range(len(items) - 1)]


def fetched(carry, contents=None, **options):
    """(node, manager) after an update over a way that `carry` is."""
    manager = Manager()
    manager.carry = carry
    node = Node(manager)
    node.order(manager, manager.campaign(manager.release(contents or BIG)), **options)
    return node, manager


class Way:
    """What happens to each answer."""

    def __init__(self):
        self.count = 0
        self.late = []

    def lossless(self, blocks):
        return blocks

    def loses(self, blocks):
        """Every third block, and now and then a whole answer."""
        kept = []
        for block in blocks:
            self.count += 1
            if self.count % 3 and self.count % 17 > 3:
                kept.append(block)
        return kept

    def doubles(self, blocks):
        return blocks + blocks

    def reverses(self, blocks):
        return list(reversed(blocks))

    def delays(self, blocks):
        """Every answer comes with the next one."""
        late, self.late = self.late, blocks
        return late

    def adds_strangers(self, blocks):
        """Blocks that nobody asked for come in between."""
        found = []
        for data in blocks:
            block = Block.decode(data)
            found.append(Block(what=block.what, id=b"stranger", offset=block.offset, total=99, data=b"x").encode())
            found.append(data)
            found.append(Block(what=block.what % 4 + 1, id=block.id, total=block.total, data=block.data).encode())
            found.append(b"\xff\xff")
        return found


def test_whatever_the_way_does_the_update_arrives():
    for name in ("lossless", "loses", "doubles", "reverses", "delays", "adds_strangers"):
        node, _ = fetched(getattr(Way(), name))
        assert node.status.stage == update.WAITING, (name, node.status)
        assert node.files.size(DOWNLOAD) is None
        assert node.start() == "b"


def test_a_lossless_way_costs_one_ask_for_each_step():
    node, manager = fetched(Way().lossless)
    asks = [ask for ask in manager.asked if ask.what == update.PAYLOAD]
    total = len(next(iter(manager.programs.values())).payload)
    assert len(asks) == (total + 4095) // 4096
    assert [ask.offset for ask in asks] == list(range(0, total, 4096))
    assert asks[0].have == node.slots.manifest
    assert all(ask.count == 4 and ask.size == 1024 for ask in asks)


def test_what_does_not_come_is_asked_for_later_each_time_and_alone():
    times = []

    def silent(blocks):
        times.append(node.time.ms)
        return []

    manager = Manager()
    node = Node(manager)
    manager.carry = silent
    node.order(manager, manager.campaign(manager.release(NEW)), until=lambda node: len(times) == 12)
    waits = [after - before for before, after in pairs(times)]
    assert waits == [5000, 10000, 20000, 40000, 80000, 160000, 300000, 300000, 300000, 300000, 300000]

    def second(blocks):
        manager.carry = lambda blocks: blocks
        return [block for block in blocks if Block.decode(block).offset != 1024]

    node, manager = Node(manager), manager
    manager.carry = lambda blocks: second(blocks) if Block.decode(blocks[0]).what == update.PAYLOAD else blocks
    began = len(manager.asked)
    node.order(manager, manager.campaign(next(iter(manager.programs.values()))))
    again = [ask for ask in manager.asked[began:] if ask.what == update.PAYLOAD][1]
    assert (again.offset, again.count) == (1024, 1)
    assert node.time.ms < 5000, "the last one came, so nobody waits for the one before"


def test_the_manager_says_how_fast():
    times = []

    def slow(blocks):
        times.append(node.time.ms)
        found = []
        for data in blocks:
            block = Block.decode(data)
            block.wait_ms = 20000
            found.append(block.encode())
        return found

    manager = Manager()
    node = Node(manager)
    manager.carry = slow
    node.order(manager, manager.campaign(manager.release(NEW)))
    assert node.status.stage == update.WAITING
    assert all(after - before >= 20000 for before, after in pairs(times))
    assert len([status for status in node.statuses if status.stage == update.DOWNLOADING and status.done]) >= 2


def test_a_block_without_data_says_when_to_ask_again():
    def later(blocks):
        manager.carry = lambda blocks: blocks
        return [Block(what=update.RELEASE, wait_ms=90000).encode()]

    manager = Manager()
    node = Node(manager)
    manager.carry = later
    assert node.order(manager, manager.campaign(manager.release(NEW))).stage == update.WAITING
    assert 90000 <= node.time.ms < 100000


def test_what_the_manager_does_not_have_ends_the_update_after_a_few_asks():
    manager = Manager()
    node = Node(manager)
    program = manager.release(NEW)
    program.payload = None
    status = node.order(manager, manager.campaign(program))
    assert (status.stage, status.code) == (update.FAILED, u.U_UNAVAILABLE)
    assert len([ask for ask in manager.asked if ask.what == update.PAYLOAD]) == 5


def test_nobody_answers_until_the_campaign_has_expired():
    node, _ = fetched(lambda blocks: [], limit=100000)
    assert (node.status.stage, node.status.code) == (update.REFUSED, u.U_UNAVAILABLE)
    assert 86400 * 1000 < node.time.ms < 2 * 86400 * 1000


def test_after_a_reset_it_goes_on_where_the_file_ends():
    manager = Manager()
    node = Node(manager)
    envelope = manager.campaign(manager.release(BIG))
    node.order(manager, envelope, until=lambda node: (node.files.size(DOWNLOAD) or 0) >= 8192)
    assert node.files.size(DOWNLOAD) == 8192
    began = len(manager.asked)
    node.start(RESET_HARD)
    node.resident.up()
    node.work(manager)
    assert node.status.stage == update.WAITING
    assert next(ask.offset for ask in manager.asked[began:] if ask.what == update.PAYLOAD) == 8192
    assert node.statuses[-1].counter == 1


def test_another_payload_begins_anew():
    """As when the manager made the delta again while the node was away."""
    manager = Manager()
    node = Node(manager)
    program = manager.release(BIG)
    node.order(manager, manager.campaign(program), until=lambda node: (node.files.size(DOWNLOAD) or 0) >= 8192)
    good = program.payload
    program.payload = good + b"more"  # what follows the stream is not read
    node.start()
    node.resident.up()
    node.work(manager)
    assert node.status.stage == update.WAITING
    assert node.status.total == len(good) + 4


def test_a_manager_that_never_says_the_same_twice_is_given_up():
    count = [0]

    def change(blocks):
        count[0] += 1
        found = []
        for data in blocks:
            block = Block.decode(data)
            if block.what == update.PAYLOAD:
                block.id = bytes((count[0],)) * 8
            found.append(block.encode())
        return found

    node, _ = fetched(change)
    assert (node.status.stage, node.status.code) == (update.FAILED, u.U_PAYLOAD)


def test_blocks_that_nobody_asked_for_cost_nothing():
    node = Node(Manager())
    for _ in range(100):
        node.resident.block(Block(what=update.PAYLOAD, total=5, data=b"12345").encode())
    assert not node.resident.busy
    assert node.resident.take() == []


def test_what_is_too_long_for_a_block_takes_no_memory():
    manager = Manager()
    node = Node(manager)
    node.resident.offer(manager.campaign(manager.release(NEW)))
    steps = node.resident.work()
    while not isinstance(next(steps), bytes):
        pass
    node.resident.block(bytes(Block.MAX_SIZE + 1))
    assert node.resident.take() == []
    node.resident.block(bytes(Block.MAX_SIZE))
    assert len(node.resident.take()) == 1
    steps.close()


def test_without_room_it_is_refused_before_and_after_the_size_of_the_payload_is_known():
    for room, stage in ((30000, update.REFUSED), (70000, update.FAILED)):
        manager = Manager()
        node = Node(manager)
        node.files.room = node.files.room - node.files.free() + room
        status = node.order(manager, manager.campaign(manager.release(BIG)))
        assert (status.stage, status.code) == (stage, u.U_SPACE), (room, status)
        assert "KiB" in status.text


def test_what_is_asked_for_is_what_the_contract_says():
    seen = []
    _, manager = fetched(Way().lossless, OLD)
    for ask in manager.asked:
        seen.append((ask.what, ask.release != b"", ask.have != b"", ask.version))
        assert len(ask.encode()) <= Ask.MAX_SIZE
    assert seen == [(update.RELEASE, True, False, 0), (update.PAYLOAD, True, True, 0)]


def test_a_restart_costs_little_after_a_power_cut_and_much_after_anything_else():
    for cause, most in ((RESET_POWER_ON, 64), (RESET_HARD, 6)):
        for more, ends in ((0, (update.WAITING, u.U_NONE)), (1, (update.REFUSED, u.U_LOOP))):
            manager = Manager()
            manager.carry = lambda blocks: []
            node = Node(manager)
            node.order(manager, manager.campaign(manager.release(NEW)), until=lambda node, asked=manager.asked: asked)
            for _ in range(most + more):
                node.start(cause)
            manager.carry = lambda blocks: blocks
            node.work(manager)
            assert (node.status.stage, node.status.code) == ends, (cause, more)
