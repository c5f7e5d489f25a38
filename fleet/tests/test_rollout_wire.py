"""Values of rollouts as bytes: there and back, the same bytes for equal values, and nothing that was not written."""

from dataclasses import replace
from typing import Any

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.model import Kind
from fleet.rollout import wire
from fleet.rollout.model import (
    Command,
    Execution,
    Halt,
    Order,
    Phase,
    Quarantine,
    Report,
    Rollout,
    Seen,
    Stage,
    Step,
    Stop,
    Undo,
    Verb,
    Verdict,
)
from fleet.rollout.plan import Goal, Judging, Member, Plan, Target, Wave

VALUES: list[Any] = [
    Plan("x"),
    Plan(
        "x",
        Goal.CONFIG,
        (Target(Kind.AIR, "r", b"1", b"2", 3, b"4"),),
        {7: "text", 1: None, 3: 0},
        waves=(Wave("a"), Wave("b", judged=False)),
        judging=Judging(enabled=False, alpha=0),
    ),
    Member("n-1", Kind.LIGHT, 2, "esp32", 0, -13_405_000, "mitte", ("n-2",), b"\0"),
    Member("n-1", Kind.AIR, 0),
    Execution("n-1", Stage.DARK, recent=(1, 2), late=True, before=b"\x01"),
    Rollout(7, Phase.HALTED, approvals=("ann", "bob"), verdict=Verdict.HALT, undo=True),
    Seen(),
    Seen(
        (Report("n-1", online=True, counter=4, manifest=b"m"),),
        Command(Verb.RETRY, "me", "why", ("n-1",)),
        Verdict.HOLD,
        3,
        "so",
        (Member("n-9", Kind.AIR, 1),),
        frozenset({"b", "a"}),
        quarantined={"z": 1, "a": 0},
        measuring={"mitte": 0},
    ),
    Step(
        Rollout(7),
        (Execution("n-1"),),
        (Order("n", 5, (), (1, 2)), Stop("n"), Halt(1), Quarantine("n", 2, "w")),
        ("n",),
    ),
    Step(Rollout(7), actions=(Undo(("a", "b")),)),
]


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_there_and_back(value: Any) -> None:
    data = wire.encode(value)
    assert wire.decode(type(value), data) == value
    assert wire.encode(wire.decode(type(value), data)) == data


def test_equal_values_have_equal_bytes() -> None:
    one = Seen(busy=frozenset("abcdef"), measuring={"a": 1, "b": 2})
    other = Seen(busy=frozenset("fedcba"), measuring={"b": 2, "a": 1})
    assert wire.encode(one) == wire.encode(other)


def test_what_is_empty_is_left_out_whatever_its_default_is() -> None:
    told = cbor2.loads(wire.encode(Plan("x", judging=Judging(enabled=False, alpha=0))))
    assert told["judging"].keys() == {"beta", "patience_s"}
    assert told["limits"] == {"in_flight": 50, "per_minute": 600}, "a default is written, for it may change"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff",
        cbor2.dumps(5),
        cbor2.dumps({}),
        cbor2.dumps({"name": "x", "colour": 1}),
        cbor2.dumps({"goal": "no"}),
    ],
)
def test_what_is_no_plan_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="no Plan"):
        wire.decode(Plan, data)


@given(
    st.builds(Execution, st.text(), st.sampled_from(Stage), text=st.text(), recent=st.lists(st.integers()).map(tuple))
)
def test_any_execution(one: Execution) -> None:
    assert wire.decode(Execution, wire.encode(one)) == one
    assert wire.encode(one) != wire.encode(replace(one, tries=one.tries + 1))
