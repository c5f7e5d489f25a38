"""The block server: who gets what, how fast, and that nothing which a node may ask breaks it."""

import os
import shutil
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet import signing
from fleet.blocks import QUEUE, BlockServer
from fleet.blocks.rate import Limits, Rates
from fleet.blocks.shelf import BUILD_S, FRESH_S, NODE_BUILDS, OPEN_FILES, Shelf
from fleet.config import Config
from fleet.errors import UnreachableError
from fleet.releases.archive import Archive
from fleet.store import Store
from fleet.store.releases import Published
from fleet.tests.cli_rig import make_fleet
from fleet.tests.rig import wait_for
from fleet.tests.update_rig import Trusted, program
from protocol import topics
from protocol.refusals import U_UNAVAILABLE
from protocol.update import BASE, PAYLOAD, RELEASE, ROOT, Ask, Block

FAST = Limits(1e9, 1e9, 1e9, 1e9)
BASE_IMAGE = bytes(range(256)) * 100


@dataclass
class Desk:
    """A block server without a bus, over a real archive and store; the clock goes by hand."""

    config: Config
    store: Store
    old: Published
    new: Published
    light: Published
    now: float = 0.0
    limits: Limits = FAST
    posted: list[tuple[str, bytes]] = field(default_factory=list)
    log: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        roots = signing.roots(self.config)
        self.archive = Archive(self.config.releases_dir)
        payloads = self.config.releases_dir / "payloads"
        self.shelf = Shelf(self.archive, payloads, self.releases, roots.envelope, lambda: self.now)
        self.server = BlockServer(self.shelf, self.products, self.post, self.log.append, self.limits, lambda: self.now)

    def releases(self) -> list[Published]:
        return self.store.releases.all()

    def products(self) -> dict[str, str]:
        return {"air-1": "air", "air-2": "air", "light-1": "light"}

    def post(self, messages: "list[tuple[str, bytes]]") -> int:
        self.posted += messages
        return len(messages)

    def raw(self, payload: bytes, node: str = "air-1") -> list[Block]:
        self.posted.clear()
        self.server.serve([(topics.up(node, "block"), payload)])
        assert all(topic == topics.down(node, "block") for topic, _ in self.posted)
        return [Block.decode(payload) for _, payload in self.posted]

    def ask(self, what: int, release: Published | None = None, node: str = "air-1", **more: int | bytes) -> list[Block]:
        return self.raw(Ask(what=what, release=release.digest if release else b"", **more).encode(), node)

    def built(self, what: int, release: Published, node: str = "air-1", **more: int | bytes) -> list[Block]:
        """The answer when the payload is there."""
        wait_for(lambda: not self.is_building(what, release, node, **more), "the payload")
        return self.ask(what, release, node, **more)

    def is_building(self, what: int, release: Published, node: str, **more: int | bytes) -> bool:
        found = self.ask(what, release, node, **more)[0]
        return bool(found.wait_ms and not found.data)

    def whole(self, what: int, release: Published | None = None, node: str = "air-1", **more: int | bytes) -> bytes:
        """Everything, block by block."""
        found, total = b"", 1
        while len(found) < total:
            blocks = self.ask(what, release, node, offset=len(found), count=4, **more)
            if blocks[0].wait_ms and not blocks[0].data:
                continue
            for block in blocks:
                assert block.offset == len(found)
                found, total = found + block.data, block.total
        return found


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    config = make_fleet(tmp_path_factory.mktemp("fleet") / "fleet")
    trusted = Trusted(config)
    with Store.open(config.store_url) as store:
        yield Desk(
            config,
            store,
            trusted.publish(store, "air", "1.0.0", 10, program("1.0.0")),
            trusted.publish(store, "air", "1.1.0", 11, program("1.1.0"), base=BASE_IMAGE),
            trusted.publish(store, "light", "1.1.0", 11, program("light 1.1.0")),
        )


@pytest.fixture
def desk(made: Desk) -> Iterator[Desk]:
    """A server of its own over what was published."""
    found = Desk(made.config, made.store, made.old, made.new, made.light)
    yield found
    found.server.finish()


def test_a_node_gets_what_it_asks_for(desk: Desk) -> None:
    assert desk.whole(ROOT, version=1) == signing.roots(desk.config).envelope(1)
    assert desk.whole(RELEASE, desk.new) == desk.new.envelope
    assert desk.whole(BASE, desk.new) == BASE_IMAGE
    full, delta = desk.whole(PAYLOAD, desk.new), desk.whole(PAYLOAD, desk.new, have=desk.old.manifest)
    assert len(full) > 5000
    assert len(delta) < 200
    assert zlib.decompress(full[2:], -15).count(program("1.1.0")["node/app.mpy"]) == 1


def test_what_a_node_has_is_no_help_when_nobody_knows_it(desk: Desk) -> None:
    full = desk.whole(PAYLOAD, desk.new)
    for have in (bytes(32), desk.light.manifest, desk.new.digest, b"short"):
        assert desk.whole(PAYLOAD, desk.new, have=have) == full
    assert len(list((desk.config.releases_dir / "payloads").glob(f"{desk.new.digest.hex()}-*"))) <= 2


# sentence: what is asked for, of whom
NOTHING = {
    "a root that there is not": (ROOT, None, "air-1", {"version": 2}),
    "root 0": (ROOT, None, "air-1", {}),
    "a release that nobody published": (RELEASE, None, "air-1", {}),
    "the release of the other product": (RELEASE, "light", "air-1", {}),
    "the payload of the other product": (PAYLOAD, "new", "light-1", {}),
    "a base image that did not come along": (BASE, "old", "air-1", {}),
    "a manifest instead of a release": (PAYLOAD, None, "air-1", {}),
}


@pytest.mark.parametrize(("what", "release", "node", "more"), NOTHING.values(), ids=NOTHING)
def test_what_a_node_does_not_get(desk: Desk, what: int, release: str | None, node: str, more: dict[str, int]) -> None:
    (block,) = desk.ask(what, getattr(desk, release) if release else None, node, count=4, offset=5, **more)
    assert (block.what, block.offset, block.code, block.data) == (what, 5, U_UNAVAILABLE, b"")


@given(st.integers(0, 30_000), st.integers(64, 1024), st.integers(1, 4))
def test_blocks_are_what_is_there(made: Desk, offset: int, size: int, count: int) -> None:
    blocks = made.ask(BASE, made.new, offset=offset, size=size, count=count)
    wanted = [BASE_IMAGE[at : at + size] for at in range(offset, offset + count * size, size)]
    assert [block.data for block in blocks] == ([data for data in wanted if data] or [b""])
    assert {block.total for block in blocks} == {len(BASE_IMAGE)}


def test_behind_every_end_there_is_nothing(desk: Desk) -> None:
    for offset in (len(BASE_IMAGE), 0xFFFFFF):
        blocks = desk.ask(BASE, desk.new, offset=offset, count=4, size=1024)
        assert [(block.offset, block.data, block.code) for block in blocks] == [(offset, b"", 0)]


HOSTILE = {
    "nothing": b"",
    "no CBOR": b"\xff" * 100,
    "another message": Block(what=1).encode(),
    "a kind of later": b"\xa1\x01\x05",
    "an endless size": b"\xa2\x01\x03\x06\x1a\xff\xff\xff\xff",
    "blocks of nothing": b"\xa2\x01\x03\x06\x00",
    "a window without end": b"\xa2\x01\x03\x07\x18\xff",
    "a negative offset": b"\xa2\x01\x03\x05\x20",
    "a digest that is a path": b"\xa2\x01\x02\x02\x4f../../etc/passw",
    "a digest of text": b"\xa2\x01\x02\x02\x63abc",
    "more than a question has": bytes(5000),
}


@pytest.mark.parametrize("payload", HOSTILE.values(), ids=HOSTILE)
def test_what_is_no_question_gets_no_answer_that_harms(desk: Desk, payload: bytes) -> None:
    answer = desk.raw(payload)
    assert all(block.code == U_UNAVAILABLE for block in answer)
    assert len(answer) == (desk.server.figures().refused == 0)
    assert desk.log == []


@given(st.binary(max_size=300))
def test_no_bytes_are_answered_with_more_than_they_may(made: Desk, payload: bytes) -> None:
    made.raw(payload)
    assert made.log == []


def test_a_stranger_gets_nothing_and_costs_one_look(desk: Desk) -> None:
    looks: list[int] = []
    desk.server._products._load = lambda: looks.append(1) or desk.products()  # type: ignore[func-returns-value]
    for number in range(50):
        assert desk.raw(Ask(what=ROOT, version=1).encode(), f"nobody-{number}") == []
    assert len(looks) == 1
    assert desk.server.figures().refused == 50


def test_one_payload_is_built_for_all_who_run_the_same(desk: Desk) -> None:
    for path in (desk.config.releases_dir / "payloads").glob("*"):
        path.unlink()
    for _ in range(3):
        for node in ("air-1", "air-2"):
            desk.built(PAYLOAD, desk.new, node, have=desk.old.manifest)
    assert desk.server.figures().built == 1
    again = Desk(desk.config, desk.store, desk.old, desk.new, desk.light)
    assert again.ask(PAYLOAD, desk.new, have=desk.old.manifest)[0].data, "kept over a restart"
    again.server.finish()


def test_nobody_waits_for_the_payload_of_another(desk: Desk) -> None:
    desk.shelf._builder.submit(lambda: os.read(reads, 1))  # the builder is busy
    (later,) = desk.ask(PAYLOAD, desk.old, have=desk.new.manifest)
    assert (later.data, later.code, later.wait_ms) == (b"", 0, 1000)
    assert desk.ask(BASE, desk.new, "air-2")[0].data
    assert desk.server.figures().delayed == 1
    os.write(writes, b"x")
    assert desk.built(PAYLOAD, desk.old, have=desk.new.manifest)[0].data


reads, writes = os.pipe()


def test_no_node_has_a_payload_built_for_every_pair_of_releases(desk: Desk) -> None:
    shutil.rmtree(desk.config.releases_dir / "payloads", ignore_errors=True)
    for _ in range(int(NODE_BUILDS)):
        desk.shelf._take_turn("air-1")
    (later,) = desk.ask(PAYLOAD, desk.new)
    assert (later.data, later.code, later.wait_ms) == (b"", 0, int(BUILD_S * 1000) + 1)
    assert desk.built(PAYLOAD, desk.new, "air-2")[0].data, "others do not wait for it"
    assert desk.ask(PAYLOAD, desk.new)[0].data, "what is there costs nobody a turn"
    (later,) = desk.ask(PAYLOAD, desk.old)
    assert later.wait_ms > 1000
    desk.now += BUILD_S
    assert desk.built(PAYLOAD, desk.old)[0].data


def test_a_payload_that_is_damaged_on_the_disk_is_made_anew(desk: Desk) -> None:
    whole = desk.whole(PAYLOAD, desk.new)
    digest = (desk.config.releases_dir / "payloads" / f"{desk.new.digest.hex()}-full").read_bytes()
    desk.archive.path(digest).write_bytes(b"x")
    again = Desk(desk.config, desk.store, desk.old, desk.new, desk.light)
    assert again.whole(PAYLOAD, desk.new) == whole
    again.server.finish()


def test_a_release_with_a_file_missing_is_not_there_and_others_are(desk: Desk, tmp_path: Path) -> None:
    gone = desk.archive.path(desk.light.manifest)
    gone.rename(tmp_path / "kept")
    assert desk.built(PAYLOAD, desk.light, "light-1")[0].code == U_UNAVAILABLE
    assert desk.built(PAYLOAD, desk.new)[0].data
    (tmp_path / "kept").rename(gone)
    assert desk.ask(PAYLOAD, desk.light, "light-1")[0].code == U_UNAVAILABLE, "not tried again at once"
    desk.now += 61
    assert desk.built(PAYLOAD, desk.light, "light-1")[0].data


def test_what_is_yanked_is_gone_within_seconds(tmp_path: Path) -> None:
    config = make_fleet(tmp_path / "fleet")
    trusted = Trusted(config)
    with Store.open(config.store_url) as store:
        one = trusted.publish(store, "air", "1.0.0", 10, program("1.0.0"))
        desk = Desk(config, store, one, one, one)
        assert desk.built(PAYLOAD, one)[0].data
        store.releases.yank(one.digest, 1, "ops@desk", "burns")
        desk.now += FRESH_S
        assert [desk.ask(what, one)[0].code for what in (RELEASE, PAYLOAD)] == [U_UNAVAILABLE] * 2
        later = trusted.publish(store, "air", "1.2.0", 12, program("1.2.0"))
        desk.now += FRESH_S
        assert desk.ask(RELEASE, later)[0].data == later.envelope
        desk.server.finish()


def test_a_database_that_fails_makes_nodes_wait_and_not_give_up(desk: Desk) -> None:
    def fails() -> list[Published]:
        raise UnreachableError("the database does not do what it should")

    desk.shelf._catalogue._load = fails  # type: ignore[assignment]
    for _ in range(3):
        (later,) = desk.ask(RELEASE, desk.new)
        assert (later.code, later.data, later.wait_ms) == (0, b"", 30_000)
    assert desk.log == ["cannot serve blocks: the database does not do what it should"]


def test_open_files_are_bounded(desk: Desk) -> None:
    before = len(os.listdir("/proc/self/fd"))
    objects = [desk.archive.put(b"%d" % number) for number in range(2 * OPEN_FILES)]
    for digest in objects:
        assert desk.shelf._object(digest)
    assert len(os.listdir("/proc/self/fd")) - before == OPEN_FILES
    desk.shelf.close()
    assert len(os.listdir("/proc/self/fd")) == before


def test_each_node_has_one_place_in_a_queue_that_ends(desk: Desk) -> None:
    for number in range(QUEUE + 5):
        desk.server.offer(f"lum/1/n{number}/up/block", b"")
    assert desk.server.figures().dropped == 5
    for _ in range(100):
        desk.server.offer("lum/1/n3/up/block", Ask(what=ROOT).encode())
    assert len(desk.server._asks) == QUEUE
    assert desk.server._asks["lum/1/n3/up/block"] == Ask(what=ROOT).encode(), "the newest counts"
    desk.server.offer("lum/1/n4/up/block", bytes(10_000))
    assert desk.server.figures().refused == 1


def test_the_thread_answers_and_ends(desk: Desk) -> None:
    desk.server.start()
    desk.server.offer("lum/1/air-1/up/block", Ask(what=ROOT, version=1).encode())
    wait_for(lambda: desk.posted, "an answer")


def test_a_node_is_served_at_its_rate() -> None:
    rates = Rates(Limits(10, 8, 1000, 1000), 0)
    assert rates.grant("a", 4, 0) == (4, 0)
    assert rates.grant("a", 4, 0) == (4, 0.4)
    assert rates.grant("a", 4, 0) == (0, 0.4)
    assert rates.grant("b", 4, 0) == (4, 0), "others have their own"
    assert rates.grant("a", 4, 0.2) == (2, 0.4), "as many as there are"
    assert rates.grant("a", 4, 60) == (4, 0)


def test_all_together_are_served_at_theirs_and_come_one_after_the_other() -> None:
    rates = Rates(Limits(100, 100, 8, 8), 0)
    assert [rates.grant(node, 4, 0) for node in "ab"] == [(4, 0), (4, 0)]
    assert [rates.grant(node, 4, 0) for node in "cde"] == [(0, 0.5), (0, 1), (0, 1.5)]
    assert rates.grant("c", 4, 0.5) == (4, 0)
    assert rates.grant("f", 4, 1) == (4, 0), "who comes first: nobody's place is kept"
    for number in range(100_000):
        rates.grant(f"node-{number}", 4, 1)
    assert rates.grant("z", 4, 1) == (0, 600), "no longer than a Block can say"


def test_the_memory_of_rates_does_not_grow_with_nodes_that_left() -> None:
    rates = Rates(Limits(), 0)
    for number in range(5000):
        rates.grant(f"node-{number}", 4, float(number))
    assert len(rates._nodes) < 2100
