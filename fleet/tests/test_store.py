"""The store: schema and migrations, nodes, configurations, commands, books, backup."""

import sqlite3
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import create_engine, text
from sqlalchemy import event as sqlalchemy_event

from fleet.errors import FleetError, NotAllowedError, NotFoundError, UnreachableError, UsageError
from fleet.model import DesiredConfig, Kind, Node, Standing
from fleet.store import Store, dialect, migrate, nodes, schema
from fleet.store.commands import OPEN
from fleet.tests.store_rig import BOOT, NOW_S, Feed, batch, delivery, event, filled_store, record
from protocol.messages import DONE, EXPIRED, FAILED, RUNNING, Heartbeat, Log, Reply, State

OLD = Path(__file__).parent / "databases"  # one dump per released schema: real old data
COMMAND = b"\x01" * 8


@pytest.fixture
def feed(tmp_path: Path):
    with filled_store(tmp_path / "fleet.db") as found:
        yield found


def test_migrations_make_what_the_schema_says(tmp_path: Path) -> None:
    with Store.open(tmp_path / "fleet.db") as store:
        store.migrate()
        store.migrate()
        with store._engine.connect() as connection:
            assert compare_metadata(MigrationContext.configure(connection), schema.metadata) == []
            found = {row[0] for row in connection.execute(text("SELECT name FROM sqlite_master WHERE type = 'index'"))}
        wanted = {index.name for table in schema.metadata.tables.values() for index in table.indexes}
        assert wanted <= found
        assert store.schema() == (migrate.newest(), migrate.newest())


def test_every_released_schema_has_a_dump_of_real_data() -> None:
    assert [path.stem for path in sorted(OLD.glob("*.sql"))] == migrate.revisions()


@pytest.mark.parametrize("revision", migrate.revisions())
def test_a_database_of_an_earlier_release_keeps_its_data(tmp_path: Path, revision: str) -> None:
    path = tmp_path / "fleet.db"
    made = create_engine(f"sqlite:///{path}")
    with made.connect() as connection:
        raw = connection.connection.driver_connection
        assert raw is not None
        raw.executescript((OLD / f"{revision}.sql").read_text())
    made.dispose()
    with Store.open(path) as store:
        assert store.schema()[0] == revision
        store.migrate()
        assert store.schema()[0] == migrate.newest()
        assert [node.id for node in store.nodes.all()] == ["air-1", "air-2", "light-1"]
        assert [reading.mean for reading in store.readings.latest(["air-1"])] == [20, 2]
        assert len(list(store.readings.range(["air-1"], 0, NOW_S + 600))) == 6
        assert [found.code for found in store.journal.events()] == [2]
        assert store.configs.get("air-1") == DesiredConfig("air-1", 1, {1: 30}, NOW_S)
        assert store.commands.of("air-1")[0].name == "identify"
        assert store.journal.refused() == {"Batch is not a map": 1}
        claimed = store.claims.of("240ac4000001")
        assert (claimed.node, claimed.issues) == ("light-1", 1) if claimed else revision < "0002"
        assert list(store.campaigns.orders()) == list(store.campaigns.updates()) == ["air-1"] * (revision >= "0004")
        assert [row.yanked_reason for row in store.releases.all()] == (["a test"] if revision >= "0003" else [])
        rollouts = [(view.name, view.head.phase.value) for view in store.rollouts.all()]
        assert rollouts == ([("spring", "running")] if revision >= "0005" else [])
        assert store.audit.verify() == (2 if revision >= "0005" else 0)


def test_a_database_of_a_newer_release_is_left_alone(tmp_path: Path) -> None:
    with Store.open(tmp_path / "fleet.db") as store:
        store.migrate()
        with dialect.writing(store._engine) as connection:
            connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
        with pytest.raises(FleetError, match="newer version"):
            store.migrate()


def test_a_database_without_tables_says_what_to_do(tmp_path: Path) -> None:
    with Store.open(tmp_path / "fleet.db") as store, pytest.raises(UnreachableError) as caught:
        store.nodes.all()
    assert "fleet serve" in caught.value.hint


def test_another_kind_of_database_is_refused() -> None:
    with pytest.raises(UsageError):
        Store.open("postgresql://localhost/fleet")


def test_nodes_are_kept_as_they_are(feed: Feed) -> None:
    serial = (1 << 159) + 1
    node = Node("new-1", Kind.AIR, "c6", cert_serial=serial, cert_until_s=5, boot0=7, tags={"site": "mitte"})
    feed.store.nodes.add(node)
    assert feed.store.nodes.get("new-1") == node
    with pytest.raises(NotAllowedError):
        feed.store.nodes.add(node)
    retired = Node("new-1", Kind.AIR, "c6", Standing.RETIRED, retired_s=9)
    feed.store.nodes.replace(retired)
    assert feed.store.nodes.get("new-1") == replace(retired, tags={"site": "mitte"}), "tags have their own way in"
    assert [found.id for found in feed.store.nodes.all()] == ["air-1", "air-2", "light-1", "new-1"]


def test_tags_and_standing_are_changed_beside_each_other(feed: Feed) -> None:
    before = feed.store.nodes.get("air-1")

    def while_it_is_retired(tags: Mapping[str, str]) -> Mapping[str, str]:
        return {**tags, "street": "Ring"}

    feed.store.nodes.replace(replace(before, standing=Standing.RETIRED, retired_s=9))
    changed = feed.store.nodes.set_tags("air-1", while_it_is_retired)
    assert changed == feed.store.nodes.get("air-1")
    assert (changed.standing, changed.tags) == (Standing.RETIRED, {"street": "Ring"})
    feed.store.nodes.replace(replace(before, standing=Standing.RETIRED, retired_s=10))
    assert feed.store.nodes.get("air-1").tags == {"street": "Ring"}


def test_more_nodes_can_be_named_than_a_query_has_room_for(feed: Feed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nodes, "NAMED", nodes.FEW)
    for number in range(nodes.FEW):
        feed.store.nodes.add(Node(f"more-{number}", Kind.AIR, "board"))
    feed.tele("air-1", record(1))
    feed.take(delivery("air-2", "event", batch(event(0), event(1))))
    every = [node.id for node in feed.store.nodes.all()]
    limit = sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER
    sqlalchemy_event.listen(feed.store._engine, "checkout", lambda raw, *_: raw.setlimit(limit, 50))
    assert [reading.node for reading in feed.store.readings.latest(every)] == ["air-1", "air-1"]
    assert [found.seq for found in feed.store.journal.events(every, limit=1)] == [1]
    assert [account.node for account in feed.store.readings.accounts(every)] == ["air-1", "air-2"]
    assert [account.node for account in feed.store.readings.accounts(["air-2"])] == ["air-2"]
    with pytest.raises(NotFoundError, match="no node x"):
        feed.store.readings.latest([*every, "x"])


def test_a_configuration_that_somebody_else_changed_meanwhile_is_left_alone(feed: Feed) -> None:
    configs = feed.store.configs
    assert configs.set("air-1", {1: 30}, NOW_S, after=0).rev == 1
    with pytest.raises(NotAllowedError, match="just changed"):
        configs.set("air-1", {1: 20}, NOW_S, after=0)
    assert configs.get("air-1") == DesiredConfig("air-1", 1, {1: 30}, NOW_S)


def test_a_revision_is_above_what_the_node_has_also_after_a_backup_was_restored(feed: Feed) -> None:
    feed.take(delivery("air-1", "state", State(online=True, boot=BOOT, config_desired=7).encode()))
    assert feed.store.configs.set("air-1", {1: 30}, NOW_S).rev == 8
    feed.take(delivery("air-2", "state", State(online=True, boot=BOOT, config_desired=(1 << 32) - 1).encode()))
    assert feed.store.configs.set("air-2", {1: 30}, NOW_S).rev <= (1 << 31) + 1


def test_a_boot_that_is_not_heard_of_again_gives_way(feed: Feed) -> None:
    def boot() -> int:
        state = feed.store.nodes.view("air-1").state
        return state.boot if state else 0

    feed.take(delivery("air-1", "state", State(online=True, boot=(1 << 32) - 1).encode(), NOW_S))
    feed.take(delivery("air-1", "state", State(online=True, boot=BOOT).encode(), NOW_S + 300))
    assert boot() == (1 << 32) - 1, "it may be late"
    feed.take(delivery("air-1", "state", State(online=True, boot=BOOT).encode(), NOW_S + 900))
    assert boot() == BOOT


def test_an_unknown_node_is_named_with_its_neighbours(feed: Feed) -> None:
    with pytest.raises(NotFoundError) as caught:
        feed.store.nodes.get("air-3")
    assert "air-1" in caught.value.hint
    with pytest.raises(NotFoundError):
        list(feed.store.readings.range(["nobody"], 0, 1))


def test_a_state_is_what_the_node_said_last_and_a_will_changes_online_alone(feed: Feed) -> None:
    beat = Heartbeat(up_s=60, wifi_bssid=b"\x01\x02", rssi_dbm=-60)
    said = State(online=True, boot=BOOT, firmware="1.2", config_applied=3, heartbeat=beat)
    feed.take(delivery("air-1", "state", said.encode(), NOW_S))
    feed.take(delivery("air-1", "state", State(online=False).encode(), NOW_S + 5))
    view = feed.store.nodes.view("air-1")
    assert view.state is not None
    assert (view.state.online, view.state.firmware, view.state.boot, view.state.config_applied) == (
        False,
        "1.2",
        BOOT,
        3,
    )
    assert (view.state.health["wifi_bssid"], view.state.health["rssi_dbm"]) == ("0102", -60)
    assert view.attributes()["version"] == "1.2"
    assert feed.sql("SELECT count(*) FROM heartbeat") == [(1,)]


def test_a_state_of_an_earlier_boot_is_old_news(feed: Feed) -> None:
    for boot in (BOOT + 1, BOOT):
        feed.take(delivery("air-1", "state", State(online=True, boot=boot, firmware=str(boot)).encode()))
    state = feed.store.nodes.view("air-1").state
    assert state is not None
    assert state.boot == BOOT + 1


def test_a_retained_message_is_no_sign_of_life_and_a_will_is_none_either(feed: Feed) -> None:
    payload = State(online=True).encode()
    feed.take(delivery("air-1", "state", payload, retained=True))
    assert feed.store.nodes.view("air-1").last_seen_ms is None
    feed.take(delivery("air-1", "state", payload))
    feed.take(delivery("air-1", "state", State(online=False).encode(), NOW_S + 99))
    assert feed.store.nodes.view("air-1").last_seen_ms == NOW_S * 1000


def test_configurations_are_numbered_and_undelivered_until_the_node_has_them(feed: Feed) -> None:
    configs = feed.store.configs
    assert configs.get("air-1") is None
    configs.set("air-1", {1: 60}, NOW_S)
    wanted = configs.set("air-1", {1: 30, 7: True}, NOW_S, probation_s=60)
    assert wanted == configs.get("air-1") == DesiredConfig("air-1", 2, {1: 30, 7: True}, NOW_S, 60)
    assert [(item.config.rev, item.sent_rev) for item in configs.undelivered()] == [(2, 0)]
    configs.sent([("air-1", 2, 5)])
    assert configs.undelivered() == []
    feed.take(delivery("air-1", "state", State(online=True, config_desired=1).encode()))
    assert [(item.sent_rev, item.online, item.said_ms) for item in configs.undelivered()] == [(2, True, NOW_S * 1000)]
    feed.take(delivery("air-1", "state", State(online=True, config_desired=2).encode()))
    assert configs.undelivered() == []


REPLIES = {
    "a reply is kept": ([RUNNING], RUNNING),
    "a reply that comes twice changes nothing": ([RUNNING, RUNNING], RUNNING),
    "an earlier status after a later one is ignored": ([DONE, RUNNING], DONE),
    "the first final status stands": ([FAILED, DONE], FAILED),
}


@pytest.mark.parametrize(("statuses", "wanted"), REPLIES.values(), ids=REPLIES)
def test_replies(feed: Feed, statuses: list[int], wanted: int) -> None:
    feed.store.commands.add(COMMAND, "air-1", "identify", {"seconds": 5}, NOW_S, 0, "me")
    for status in statuses:
        feed.take(delivery("air-1", "reply", Reply(id=COMMAND, status=status, result={"x": status}).encode()))
    found = feed.store.commands.get(COMMAND.hex())
    assert (found.status, found.result) == (wanted, {"x": wanted})


def test_a_node_cannot_answer_for_another(feed: Feed) -> None:
    feed.store.commands.add(COMMAND, "air-1", "identify", {}, NOW_S, 0, "me")
    feed.take(delivery("air-2", "reply", Reply(id=COMMAND, status=DONE).encode()))
    assert feed.store.commands.get(COMMAND.hex()).status == OPEN


def test_an_expired_command_is_closed_and_a_late_answer_still_counts(feed: Feed) -> None:
    feed.store.commands.add(COMMAND, "air-1", "identify", {}, NOW_S, NOW_S + 10, "me")
    assert feed.store.commands.expire(NOW_S + 10) == 0
    assert feed.store.commands.expire(NOW_S + 11) == 1
    assert feed.store.commands.get(COMMAND.hex()).status == EXPIRED
    feed.take(delivery("air-1", "reply", Reply(id=COMMAND, status=DONE).encode()))
    assert feed.store.commands.get(COMMAND.hex()).status == DONE


def test_commands_wait_for_nodes_that_are_online(feed: Feed) -> None:
    feed.store.commands.add(COMMAND, "air-1", "identify", {}, NOW_S, 0, "me")
    assert feed.store.commands.unanswered() == []
    feed.take(delivery("air-1", "state", State(online=True).encode()))
    assert [found.id for found in feed.store.commands.unanswered()] == [COMMAND.hex()]


def test_logs_are_followed_by_key(feed: Feed) -> None:
    for number in range(5):
        feed.take(delivery("air-1", "log", Log(boot=BOOT, up_ms=number, text=f"line {number}").encode()))
    first = feed.store.journal.logs("air-1", limit=2)
    assert [line.text for line in first] == ["line 3", "line 4"]
    assert feed.store.journal.logs("air-1", after=first[-1].key) == []


def test_events_are_newest_first(feed: Feed) -> None:
    for seq, t in enumerate((NOW_S, NOW_S + 9, NOW_S + 3)):
        feed.take(delivery("air-1", "event", batch(event(seq, t))))
    assert [found.seq for found in feed.store.journal.events()] == [1, 2, 0]
    assert [found.seq for found in feed.store.journal.events(["air-1"], since_s=NOW_S + 4)] == [1]
    assert feed.store.journal.events(["air-2"]) == []


def test_figures_come_back_in_order(feed: Feed) -> None:
    for t_ms in (1000, 3000, 2000, 3000):
        feed.store.journal.add_figures(t_ms, {"stored": t_ms})
    assert feed.store.journal.newest_figures(1500) == (3000, {"stored": 3000})
    assert feed.store.journal.newest_figures(3001) is None
    assert feed.store.journal.figures(1500) == [(2000, {"stored": 2000}), (3000, {"stored": 3000})]


def test_a_backup_is_whole_while_others_write(feed: Feed, tmp_path: Path) -> None:
    feed.tele("air-1", record(0), record(1))
    target = tmp_path / "copy.db"
    feed.store.backup(target)
    feed.tele("air-1", record(2))
    with Store.open(target) as copy:
        assert copy.readings.count() == 2
        assert copy.check() == "ok"
        assert copy.schema()[0] == migrate.newest()
