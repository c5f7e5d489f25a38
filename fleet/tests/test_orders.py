"""Commands and configurations as use cases: what is asked of nodes, and how their answers are reported."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from fleet import commands, configure, nodes
from fleet.errors import FleetError, NotAllowedError, NotFoundError, PartlyFailedError, TimedOutError, UsageError
from fleet.model import Kind, Node, Standing
from fleet.store import Store
from fleet.store.intake import Rows
from protocol import cbor, messages

NOW = 1_800_000_000


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "fleet.db") as made:
        made.migrate()
        for name in ("air-1", "air-2"):
            made.nodes.add(Node(name, Kind.AIR, "esp32"))
        made.nodes.add(Node("old-1", Kind.AIR, "esp32", standing=Standing.RETIRED))
        yield made


def answer(store: Store, ident: str, node: str, status: int, code: int = 0, text: str = "") -> None:
    """What the service writes when a reply comes in."""
    rows = Rows(replies=[(status, code, text, cbor.encode({"level": 50}), NOW * 1000, ident, store.nodes.keys()[node])])
    intake = store.intake()
    intake.write(rows)
    intake.close()


def report(store: Store, node: str, desired: int, applied: int, error: int = 0, path: str = "") -> None:
    """What the service writes when a state comes in."""
    row = (
        store.nodes.keys()[node],
        True,
        NOW * 1000,
        5,
        "1.4.0",
        "a",
        desired,
        applied,
        error,
        path,
        False,
        json.dumps({}),
        b"",
    )
    intake = store.intake()
    intake.write(Rows(states=[row]))
    intake.close()


def send(store: Store, *ids: str) -> list[commands.CommandView]:
    return commands.send(store, ids, "identify", {"seconds": 5}, 60, "me@here", NOW)


def test_a_command_is_kept_with_who_and_how_long(store: Store) -> None:
    (sent,) = send(store, "air-1")
    assert (sent.node, sent.name, sent.args, sent.actor) == ("air-1", "identify", {"seconds": 5}, "me@here")
    assert (sent.issued_s, sent.expires_s, sent.status) == (NOW, NOW + 60, commands.OPEN)
    assert len(bytes.fromhex(sent.id)) == 8


REFUSED = {
    "a retired node": (["air-1", "old-1"], "identify", {}, NotAllowedError),
    "a node that does not exist": (["air-1", "air-9"], "identify", {}, NotFoundError),
    "a name that is too long": (["air-1"], "i" * 25, {}, UsageError),
    "too many arguments": (["air-1"], "identify", dict.fromkeys("abcdefghijklmnopq", 1), UsageError),
}


@pytest.mark.parametrize(("ids", "name", "args", "error"), REFUSED.values(), ids=REFUSED.keys())
def test_nobody_gets_what_one_may_not(
    store: Store, ids: list[str], name: str, args: dict[str, int], error: type[FleetError]
) -> None:
    with pytest.raises(error):
        commands.send(store, ids, name, args, 60, "me", NOW)
    assert store.commands.of("air-1") == []


def test_waiting_ends_with_the_last_answer(store: Store) -> None:
    sent = send(store, "air-1", "air-2")
    answer(store, sent[0].id, "air-1", messages.DONE)
    still = commands.wait(store, sent, 0)
    assert [command.status for command in still] == [messages.DONE, commands.OPEN]
    with pytest.raises(PartlyFailedError) as caught:
        commands.require_done(still)
    assert caught.value.failed == {"air-2": "no answer yet"}
    answer(store, sent[1].id, "air-2", messages.DONE)
    commands.require_done(commands.wait(store, sent, 60))


ENDS = {
    "failed with a reason": (
        messages.FAILED,
        messages.E_ARGUMENT,
        "seconds",
        FleetError,
        "an argument or value is wrong: seconds",
    ),
    "failed with a code of a newer node": (messages.FAILED, 99, "", FleetError, "code 99"),
    "expired": (messages.EXPIRED, 0, "", FleetError, "expired before the node ran it"),
    "still running": (messages.RUNNING, 0, "", TimedOutError, "running"),
}


@pytest.mark.parametrize(("status", "code", "text", "error", "words"), ENDS.values(), ids=ENDS.keys())
def test_how_a_command_may_end(
    store: Store, status: int, code: int, text: str, error: type[FleetError], words: str
) -> None:
    sent = send(store, "air-1")
    answer(store, sent[0].id, "air-1", status, code, text)
    with pytest.raises(error) as caught:
        commands.require_done(commands.wait(store, sent, 0))
    assert type(caught.value) is error
    assert caught.value.message == f"air-1: {words}"


def change(store: Store, *ids: str, back: tuple[str, ...] = (), **values: str) -> dict[str, int]:
    return configure.apply(store, configure.plan(store, ids, values, back), NOW)


def test_a_change_keeps_the_rest_and_counts_up(store: Store) -> None:
    assert change(store, "air-1", interval_s="30", stats="on") == {"air-1": 1}
    assert change(store, "air-1", batch="3", back=("stats",)) == {"air-1": 2}
    found = store.configs.get("air-1")
    assert found is not None
    assert found.values == {1: 30, 2: 3}


def test_a_default_is_not_kept_and_no_change_is_no_revision(store: Store) -> None:
    assert change(store, "air-1", interval_s="60") == {}
    change(store, "air-1", interval_s="30")
    assert change(store, "air-1", interval_s="30") == {}
    assert change(store, "air-1", interval_s="60") == {"air-1": 2}


def test_planning_changes_nothing(store: Store) -> None:
    (planned,) = configure.plan(store, ["air-1"], {"interval_s": "30"}, ())
    assert planned.names == ("interval_s",)
    assert store.configs.get("air-1") is None


@pytest.mark.parametrize(
    ("values", "words"),
    {
        "a name like another": ({"intervall_s": "3"}, "did you mean interval_s?"),
        "out of range": ({"interval_s": "0"}, "length of one record: 1 to 3600 s, default 60"),
        "no number": ({"interval_s": "x"}, "1 to 3600 s"),
        "no truth": ({"stats": "maybe"}, "true or false"),
    }.values(),
)
def test_a_wrong_value_says_what_is_right(store: Store, values: dict[str, str], words: str) -> None:
    with pytest.raises(UsageError) as caught:
        configure.plan(store, ["air-1"], values, ())
    assert words in caught.value.hint


def test_waiting_for_nodes_to_take_it(store: Store) -> None:
    revisions = change(store, "air-1", "air-2", interval_s="30")
    with pytest.raises(TimedOutError):
        configure.wait(store, revisions, 0)
    report(store, "air-1", 1, 1)
    with pytest.raises(PartlyFailedError) as partly:
        configure.wait(store, revisions, 0)
    assert partly.value.failed == {"air-2": "has not confirmed it yet"}
    report(store, "air-2", 1, 0)  # on probation
    with pytest.raises(PartlyFailedError):
        configure.wait(store, revisions, 0)
    report(store, "air-2", 1, 0, messages.E_ARGUMENT, "interval_s")
    with pytest.raises(PartlyFailedError) as refused:
        configure.wait(store, revisions, 0)
    assert refused.value.failed == {"air-2": "interval_s: an argument or value is wrong"}
    with pytest.raises(FleetError, match="air-2 refused it"):
        configure.wait(store, {"air-2": 1}, 60)
    report(store, "air-2", 1, 1)
    configure.wait(store, revisions, 60)


@pytest.mark.parametrize(
    ("desired", "applied", "error", "word"),
    [(0, 0, 0, "pending"), (1, 0, 0, "pending"), (1, 1, 0, "applied"), (1, 0, 2, "refused"), (0, 0, 2, "pending")],
)
def test_where_a_configuration_stands(store: Store, desired: int, applied: int, error: int, word: str) -> None:
    assert nodes.config_status(store.nodes.view("air-1")) == "default"
    change(store, "air-1", interval_s="30")
    assert nodes.config_status(store.nodes.view("air-1")) == "pending"
    report(store, "air-1", desired, applied, error)
    assert nodes.config_status(store.nodes.view("air-1")) == word


def test_selecting_nodes(store: Store) -> None:
    def chosen(*ids: str, where: str = "", retired: bool = False) -> list[str]:
        return [
            view.node.id for view in nodes.select(store, ids, where, NOW, nodes.EVERY if retired else nodes.PRESENT)
        ]

    assert chosen() == ["air-1", "air-2"]
    assert chosen(retired=True) == ["air-1", "air-2", "old-1"]
    assert chosen("old-1") == ["old-1"]
    assert chosen("air-2", "air-1", where="id=air-1") == ["air-1"]
    with pytest.raises(NotFoundError, match="air-9"):
        chosen("air-9")


TAGS = {
    "a value that is empty": {"site": ""},
    "a value that is too long": {"site": "x" * 129},
    "a value with a line break": {"site": "a\nb"},
    "a name that is taken": {"online": "x"},
    "a name in capitals": {"Site": "x"},
    "too many": {f"tag{number}": "x" for number in range(33)},
}


@pytest.mark.parametrize("changes", TAGS.values(), ids=TAGS.keys())
def test_tags_that_are_none(store: Store, changes: dict[str, str | None]) -> None:
    with pytest.raises(UsageError):
        nodes.tag(store, "air-1", changes)
    assert store.nodes.get("air-1").tags == {}
