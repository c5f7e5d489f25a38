"""Why a node of a rollout is where it is: one row for every reason that there is."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from fleet.model import Kind
from fleet.rollout import explain
from fleet.rollout.advice import CODES, CONFIG_CODES, HOLDS, STAGES
from fleet.rollout.model import ENDED, Execution, Hold, Phase, Rollout, Seen, Stage, State, Verdict
from fleet.rollout.plan import Goal, Limits, Member, Places, Plan, Wave, Window
from protocol import messages, refusals
from protocol.refusal_texts import NAMES

NOW = 1_763_812_800  # Sat 2025-11-22 12:00 UTC
START = NOW - 3600
BERLIN = (52_520_000, 13_405_000)
SPENT = {"tries": 1, "counter": 7, "ordered_s": NOW - 60, "deadline_s": NOW + 3540, "online": True}


@dataclass(frozen=True)
class Case:
    """A node `a` of wave `rest`, beside `canary` of the wave before, which is through unless said otherwise."""

    codes: tuple[str, ...]  # expected, in order
    node: Mapping[str, Any] = field(default_factory=dict)  # fields of its execution
    head: Mapping[str, Any] = field(default_factory=dict)
    plan: Mapping[str, Any] = field(default_factory=dict)
    member: Mapping[str, Any] = field(default_factory=dict)
    canary: Mapping[str, Any] = field(default_factory=dict)
    seen: Seen = field(default_factory=Seen)
    expected_s: int | None = None

    def reasons(self) -> list[explain.Reason]:
        plan = replace(Plan("r", waves=(Wave("canary", 1), Wave("rest", judged=False))), **self.plan)
        head = replace(Rollout(1, Phase.RUNNING, 1, START, started_s=START, tokens=10_000, tokens_s=NOW), **self.head)
        canary = replace(Execution("canary", Stage.PROVED, START, 0, 1, online=True), **self.canary)
        node = replace(Execution("a", wave=1, since_s=START, online=True), **self.node)
        members = {"a": replace(Member("a", Kind.AIR, 1), **self.member), "canary": Member("canary", Kind.AIR, 0)}
        state = State(head, {"a": node, "canary": canary})
        return explain.explain(plan, members, state, "a", self.seen, NOW)


def hold(hold: Hold, *more: str, **given: Any) -> Case:
    return Case((explain.hold_code(hold), *more), **given)


NIGHT = Window("0 1 * * *", "UTC", 7200)
LAMP = {"kind": Kind.LIGHT, "lat_udeg": BERLIN[0], "lon_udeg": BERLIN[1]}
HELD = {
    "the rollout has not started": hold(Hold.DRAFT, head={"phase": Phase.DRAFT}),
    "it is paused": hold(Hold.PAUSED, head={"phase": Phase.PAUSED}),
    "it is halted": hold(Hold.HALTED, head={"phase": Phase.HALTED}),
    "it is over": hold(Hold.ENDED, head={"phase": Phase.ABORTED}),
    "its wave has not begun, for the one before soaks": hold(
        Hold.WAVE, "hold.soak", "hold.verdict", head={"wave": 0, "soak_s": NOW - 60}
    ),
    "the wave before soaks, and telemetry has spoken": Case(
        ("hold.wave", "hold.soak"),
        head={"wave": 0, "soak_s": NOW - 60, "verdict": Verdict.PROMOTE},
    ),
    "telemetry has not spoken of the wave before": Case(
        ("hold.wave", "hold.verdict"), head={"wave": 0, "soak_s": NOW - 3000}
    ),
    "the wave before has too few nodes that were executed": Case(
        ("hold.wave", "hold.threshold", "hold.verdict"),
        head={"wave": 0},
        canary={"stage": Stage.QUEUED, "tries": 0},
    ),
    "it is in quarantine": hold(Hold.QUARANTINE, seen=Seen(quarantined={"a": NOW + 600}), expected_s=NOW + 600),
    "it waits for its next attempt": Case(
        ("attempt.failed", "update.u_power", "hold.backoff"),
        node={"tries": 1, "failed": True, "code": refusals.U_POWER, "not_before_s": NOW + 300},
        expected_s=NOW + 300,
    ),
    "another rollout has it": hold(Hold.OTHER_ROLLOUT, seen=Seen(taken=frozenset({"a"}))),
    "an order of somebody else is under way": hold(Hold.OTHER_ROLLOUT, seen=Seen(busy=frozenset({"a"}))),
    "it is offline": hold(Hold.OFFLINE, node={"online": False}, expected_s=0),
    "the download window is closed": hold(
        Hold.DOWNLOAD_WINDOW, plan={"download": NIGHT}, expected_s=NOW + 13 * 3600
    ),
    "no switch window opens in time": hold(
        Hold.SWITCH_WINDOW, plan={"switch": Window("0 0 1 1 *", "UTC", 60), "expires_s": 7200}
    ),
    "it is dark whenever the switch window is open": hold(Hold.DAYLIGHT, plan={"switch": NIGHT}, member=LAMP),
    "a lamp beside it is under way": Case(
        ("hold.neighbour",),
        member={**LAMP, "neighbours": ("canary",)},
        canary={"stage": Stage.ACTIVE, **SPENT},
    ),
    "too few stations of its district measure": hold(
        Hold.DISTRICT,
        plan={"places": Places(measuring=2)},
        member={"district": "nord"},
        seen=Seen(measuring={"nord": 2}),
    ),
    "its turn comes later": hold(Hold.JITTER, plan={"limits": Limits(jitter_s=1 << 30)}),
    "as many orders as may be were made this minute": hold(
        Hold.RATE, head={"tokens": 0}, plan={"limits": Limits(per_minute=1)}
    ),
    "as many as may be are under way": hold(
        Hold.IN_FLIGHT, plan={"limits": Limits(in_flight=1)}, canary={"stage": Stage.ACTIVE, **SPENT}
    ),
    "nothing holds it": Case(("stage.queued",), expected_s=NOW),
}  # fmt: skip


def way(stage: Stage, *more: str, **given: Any) -> Case:
    return Case((explain.stage_code(stage), *more, "stage.deadline"), node={"stage": stage, **SPENT, **given})


UNDER_WAY = {
    "the order is on its way": way(Stage.ORDERED),
    "the node fetches": way(Stage.ACTIVE, said="downloading"),
    "the node does not know the time": way(Stage.ACTIVE, "update.u_time", said="checking", code=refusals.U_TIME),
    "the node waits for its window": way(Stage.ACTIVE, "update.u_window", said="waiting", code=refusals.U_WINDOW),
    "the node has no room yet": way(Stage.ACTIVE, "update.u_space", code=refusals.U_SPACE),
    "a station is about to restart": way(Stage.ACTIVE, "node.restarting", said="waiting"),
    "a lamp waits until nobody wants its light": replace(
        way(Stage.ACTIVE, "node.lamp-wanted", said="waiting"), member=LAMP
    ),
    "the new program is on trial": way(Stage.TRIAL),
    "the node says that it is done and does not prove it": way(Stage.TRIAL, "node.unproved", said="confirmed"),
    "it went offline with its order": way(Stage.ACTIVE, "node.offline", online=False),
    "it was told to stop": replace(way(Stage.ACTIVE, "rollout.stopping"), head={"phase": Phase.HALTED}),
}
OVER = {
    "it has proved the target": Case(("stage.proved",), node={"stage": Stage.PROVED, **SPENT}),
    "it failed": Case(
        ("stage.failed", "update.u_space"), node={"stage": Stage.FAILED, **SPENT, "code": refusals.U_SPACE}
    ),
    "it refused": Case(
        ("stage.rejected", "update.u_rollback"), node={"stage": Stage.REJECTED, **SPENT, "code": refusals.U_ROLLBACK}
    ),
    "it was reverted": Case(
        ("stage.reverted", "update.u_crashed"), node={"stage": Stage.REVERTED, **SPENT, "code": refusals.U_CRASHED}
    ),
    "it runs something else without a word": Case(
        ("stage.reverted", "node.said"), node={"stage": Stage.REVERTED, **SPENT, "text": "another program runs"}
    ),
    "it failed too often": Case(
        ("stage.failed", "update.u_payload", "hold.quarantine"),
        node={"stage": Stage.FAILED, **SPENT, "code": refusals.U_PAYLOAD},
        seen=Seen(quarantined={"a": NOW + 600}),
    ),
    "it speaks and was too slow": Case(("stage.timed-out",), node={"stage": Stage.TIMED_OUT, **SPENT}),
    "it was too slow, and did it afterwards": Case(
        ("stage.timed-out", "stage.late"), node={"stage": Stage.TIMED_OUT, **SPENT, "late": True}
    ),
    "it went dark": Case(("stage.dark",), node={"stage": Stage.DARK, **SPENT}),
    "it was never reached": Case(("stage.dark",), node={"stage": Stage.DARK}),
    "somebody else ordered it": Case(("stage.superseded",), node={"stage": Stage.SUPERSEDED, **SPENT}),
    "it was stopped": Case(("stage.stopped",), node={"stage": Stage.STOPPED, **SPENT}),
    "it was never touched": Case(("stage.stopped",), node={"stage": Stage.STOPPED}),
    "it was retired": Case(("stage.removed",), node={"stage": Stage.REMOVED}),
}
CASES = {**HELD, **UNDER_WAY, **OVER}


@pytest.mark.parametrize("name", CASES)
def test_every_reason_is_told_in_order(name: str) -> None:
    case = CASES[name]
    found = case.reasons()
    assert tuple(one.code for one in found) == case.codes
    assert all(one.text and "None" not in one.text for one in found)
    if case.expected_s is not None:
        assert explain.expected_s(found, NOW) == case.expected_s


def test_there_is_a_row_for_every_hold_and_every_stage() -> None:
    told = {code for case in CASES.values() for code in case.codes}
    apart = {Hold.APPROVAL}  # of a draft: test_explain_store has it, for only the store knows who has approved
    assert {explain.hold_code(one) for one in set(Hold) - apart} <= told
    stages = {one.codes[0] for one in CASES.values()}
    assert {explain.stage_code(one) for one in Stage} <= stages


@pytest.mark.parametrize("code", sorted(NAMES))
def test_every_code_of_a_node_has_words_and_a_way_out(code: int) -> None:
    for stage in (Stage.ACTIVE, Stage.FAILED, Stage.REJECTED, Stage.REVERTED):
        if code == refusals.U_NONE:
            continue
        found = Case((), node={"stage": stage, **SPENT, "code": code, "text": "as it says"}).reasons()
        one = next(reason for reason in found if reason.code == f"update.{NAMES[code].lower()}")
        assert one.text.endswith("as it says")
        assert one.advice


@pytest.mark.parametrize("code", [value for name, value in vars(messages).items() if name.startswith("E_") and value])
def test_every_code_of_a_configuration_has_words_and_a_way_out(code: int) -> None:
    found = Case((), plan={"goal": Goal.CONFIG}, node={"stage": Stage.REJECTED, **SPENT, "code": code}).reasons()
    assert (found[1].code, bool(found[1].advice)) == (f"config.e_{code}", True)


def test_a_newer_node_may_say_what_is_not_known_here() -> None:
    found = Case((), node={"stage": Stage.FAILED, **SPENT, "code": 199}).reasons()
    assert (found[1].code, found[1].text) == ("update.u_199", "code 199")


def test_the_tables_of_advice_are_complete() -> None:
    assert HOLDS.keys() == set(Hold)
    assert STAGES.keys() == set(Stage)
    assert CODES.keys() == NAMES.keys()
    assert {value for name, value in vars(messages).items() if name.startswith("E_")} == CONFIG_CODES.keys()
    assert all(STAGES[stage] for stage in ENDED - {Stage.PROVED})


def test_a_deadline_is_when_it_is_over_at_the_latest() -> None:
    found = way(Stage.ACTIVE, said="downloading").reasons()
    assert explain.expected_s(found, NOW) == SPENT["deadline_s"]


def test_nobody_can_say_when_one_reason_has_no_date() -> None:
    reasons = [explain.Reason("a", "a", NOW + 5), explain.Reason("b", "b", 0)]
    assert explain.expected_s(reasons, NOW) == 0
    assert explain.expected_s(reasons[:1], NOW) == NOW + 5
    assert explain.expected_s([], NOW) == 0
