"""PROMOTE, HOLD or HALT, and the packet that it follows from.

The error `alpha` is divided by the number of tests: judged waves, products of this one, metrics of each. A test is
over the nodes of one product: it is lost when the mean of their capital reaches the bound. That mean is fair however
the nodes depend on each other. Of many nodes one alone cannot reach it: its capital counts up to a share of the bound.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fleet.model import Kind
from fleet.rollout.canary import table
from fleet.rollout.canary.capital import CLEAR_MIN, STAKE, Capital, play
from fleet.rollout.canary.metrics import METRICS, Metric
from fleet.rollout.canary.samples import Samples
from fleet.rollout.canary.score import Course, course
from fleet.rollout.canary.windows import WINDOW_S
from fleet.rollout.model import Verdict
from fleet.rollout.plan import Judging

VERSION = 1
_SHARE = 20  # one of so many nodes at least has to be worse
_ONE = 3  # so many nodes, or fewer, can each speak alone

Packet = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict, why, and everything from which it follows, as JSON."""

    verdict: Verdict
    why: str
    packet: Packet = field(default_factory=dict)


def judge(samples: Samples, judging: Judging) -> Judgement:
    """What these samples say."""
    tables = table.build(samples)
    tests = samples.looks * sum(len(METRICS[kind]) for kind in {one.kind for one in samples.subjects})
    rules = {"alpha": judging.alpha, "beta": judging.beta, "tests": tests, "window_s": WINDOW_S}
    return rejudge({"version": VERSION, "about": dict(samples.about), "rules": rules, "tables": tables})


def rejudge(packet: Mapping[str, Any]) -> Judgement:
    """The same from the values that a packet holds; its results are made anew. KeyError: it is none of this version."""
    if packet["version"] != VERSION:
        raise KeyError(f"version {packet['version']} of an evidence packet")
    rules, tables = packet["rules"], packet["tables"]
    results = [_test(metric, kind, tables[kind], rules) for kind in sorted(tables) for metric in METRICS[Kind(kind)]]
    verdict, why = _verdict(results, tables)
    inputs = {key: packet[key] for key in ("version", "about", "rules", "tables")}
    said = {"verdict": verdict.value, "why": why, "results": results}
    return Judgement(verdict, why, {**inputs, **said})


def needed(nodes: int) -> int:
    """How many of so many nodes have to be worse: one of a few, two of more, one of twenty of many."""
    return 1 if nodes <= _ONE else max(2, -(-nodes // _SHARE))


def _test(metric: Metric, kind: str, one: table.Table, rules: Mapping[str, int]) -> dict[str, Any]:
    """One metric over the nodes of one product."""
    nodes, values = one["nodes"], one["metrics"][metric.name]
    courses = {node: course(metric, node, place, one["controls"], values) for node, place in nodes.items()}
    judged = [node for node, found in courses.items() if not found.why_not]
    need = needed(len(judged))
    bound = STAKE * 1000 * rules["tests"] // rules["alpha"]
    clear = STAKE * 1000 * need // rules["beta"]
    capitals = {node: play(metric, courses[node], clear) for node in judged}
    total = sum(min(capital.worse, bound * len(judged) // need) for capital in capitals.values())
    return {
        "kind": kind,
        "metric": metric.name,
        "label": metric.label,
        "unit": metric.unit,
        "effect": metric.effect,
        "halts": bool(judged) and total >= bound * len(judged),
        "worse": total // len(judged) if judged else 0,
        "bound": bound,
        "clear": clear,
        "unclear": sum(not _is_clear(metric, courses[node], capitals[node], clear) for node in judged),
        "need": need,
        "seen": max((courses[node].seen for node in judged), default=0),
        "nodes": {node: _node(found, capitals.get(node)) for node, found in courses.items()},
    }


def _is_clear(metric: Metric, found: Course, capital: Capital, clear: int) -> bool:
    """Whether nothing of it stands against a promotion."""
    if metric.every > 1 or not (found.seen or metric.vital):
        return capital.sound >= STAKE  # a slow metric need not have spoken; it must not point to a fault
    return found.seen >= CLEAR_MIN and capital.sound >= clear


def _node(found: Course, capital: Capital | None) -> dict[str, Any]:
    if capital is None:
        return {"why_not": found.why_not}
    return {
        "marks": found.marks,
        "away": list(found.away),
        "worse": capital.worse,
        "sound": capital.sound,
        "course": list(capital.course),
    }


def _verdict(results: Sequence[Mapping[str, Any]], tables: Mapping[str, Any]) -> tuple[Verdict, str]:
    if not results:
        return Verdict.HOLD, "no node with the new program has told anything yet"
    lost = [result for result in results if result["halts"]]
    if lost:
        worst = max(lost, key=lambda result: result["worse"])
        also = f"; and {len(lost) - 1} more" if len(lost) > 1 else ""
        return Verdict.HALT, f"{_said(worst)}{also}"
    for result in results:
        if reason := _held(result, tables[result["kind"]]):
            return Verdict.HOLD, f"{result['kind']}: {reason}"
    nodes = sum(len(one["nodes"]) for one in tables.values())
    spoke = sum(bool(result["seen"]) for result in results)
    return Verdict.PROMOTE, f"{spoke} measures of {nodes} node{'s' * (nodes != 1)} are not worse by what matters"


def _said(result: Mapping[str, Any]) -> str:
    """Who is worse, and in how many windows."""
    bad = {node: one["marks"].count("B") for node, one in result["nodes"].items() if "B" in one.get("marks", "")}
    names = sorted(bad, key=lambda node: (-bad[node], node))
    shown = ", ".join(f"{node} in {bad[node]} of {_seen(result, node)} windows" for node in names[:3])
    more = f" and {len(names) - 3} more nodes" if len(names) > 3 else ""
    return f"{result['kind']}: {result['label']}: {shown}{more}"


def _seen(result: Mapping[str, Any], node: str) -> int:
    marks: str = result["nodes"][node]["marks"]
    return len(marks) - marks.count("-")


def _held(result: Mapping[str, Any], one: table.Table) -> str:
    """Why this test does not let the release pass yet, or nothing."""
    judged = [node for node in result["nodes"].values() if "marks" in node]
    vital = next(metric.vital for metric in METRICS[Kind(result["kind"])] if metric.name == result["metric"])
    if not judged:
        reason = next((node["why_not"] for node in result["nodes"].values()), "")
        return f"{result['label']} cannot be judged: {reason}" if vital else ""
    if result["unclear"] < result["need"] and not (vital and result["seen"] < CLEAR_MIN):
        return ""
    suspects = sorted(node for node, found in result["nodes"].items() if found.get("worse", 0) > 2 * STAKE)
    if suspects:
        return f"{result['label']}: {suspects[0]} may be worse; more windows will tell"
    if one["controls"] and not any(any(m != "-" for m in node["marks"]) for node in judged):
        return f"{result['label']}: nothing to compare with yet, by {len(one['controls'])} controls"
    if result["seen"] < CLEAR_MIN:
        return f"{result['label']}: {result['seen']} windows are too few yet"
    return f"{result['label']}: worse now and then; more windows will tell"
