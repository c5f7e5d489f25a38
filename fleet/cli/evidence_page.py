"""An evidence packet as one page: a single HTML file that loads nothing and runs nothing. Everything is escaped."""

import base64
from collections.abc import Iterable, Mapping
from hashlib import sha256
from importlib import resources
from typing import Any

from fleet.cli import evidence_plot
from fleet.cli.evidence_terms import errors, progress, says
from fleet.cli.output import iso, moment
from fleet.hil.report.html import Safe, el

_TONES = {"promote": "t-passed", "halt": "t-failed", "hold": "t-infrastructure"}
_SAYS = {"worse": "t-failed", "as good": "t-passed", "suspect": "t-infrastructure"}
_OWN = """
.controls { fill: var(--soft); opacity: .22; }
.plot .switch { stroke: var(--ink); stroke-width: 1; stroke-dasharray: 3 3; opacity: .6; }
.plot .course { fill: none; stroke-width: 1.6; stroke-linejoin: round; }
.lead { grid-column: 1 / -1; font-size: 1.05rem; }
.who { display: grid; grid-template-columns: minmax(60px, max-content) 1fr max-content; gap: 2px 10px; }
.who { align-items: center; font-size: .85rem; }
.who .strip { overflow: hidden; max-width: 100%; }
"""


def page(packet: Mapping[str, Any]) -> str:
    """The whole page of a packet."""
    style = resources.files("fleet.hil.report").joinpath("style.css").read_text() + _OWN
    main = el("main", *(_kind(packet, kind) for kind in sorted(packet["tables"])), _rules(packet["rules"]))
    body = el("body", _header(packet), main)
    return f"<!doctype html>\n{el('html', _head(packet, style), body, lang='en')}\n"


def _head(packet: Mapping[str, Any], style: str) -> Safe:
    digest = base64.b64encode(sha256(style.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    return el(
        "head",
        el("meta", charset="utf-8"),
        el("meta", http_equiv="Content-Security-Policy", content=policy),
        el("meta", name="viewport", content="width=device-width, initial-scale=1"),
        el("meta", name="color-scheme", content="light dark"),
        el("title", f"{_title(packet)}: {packet['verdict']}"),
        el("style", Safe(style)),
    )


def _title(packet: Mapping[str, Any]) -> str:
    about = packet["about"]
    return f"Rollout {about.get('rollout', '')} {about.get('plan', '')}".strip()


def _header(packet: Mapping[str, Any]) -> Safe:
    about, verdict = packet["about"], str(packet["verdict"])
    judged = moment(int(about.get("at_s", 0)))
    nodes = sum(len(table["nodes"]) for table in packet["tables"].values())
    controls = sum(len(table["controls"]) for table in packet["tables"].values())
    facts = [
        f"wave {int(about.get('wave', 0)) + 1} {about.get('wave_name', '')}".strip(),
        f"{nodes} with the new program, {controls} to compare with",
        f"judged {iso(judged)}" if judged else "",
    ]
    return el(
        "header",
        el("h1", _title(packet)),
        el("span", verdict.upper(), class_=f"verdict {_TONES.get(verdict, '')}"),
        el("p", packet["why"], class_="lead"),
        el("p", " · ".join(fact for fact in facts if fact), class_="facts lead"),
    )


def _kind(packet: Mapping[str, Any], kind: str) -> Safe:
    """A card for each measure of one product, those that speak against the release first."""
    results = [result for result in packet["results"] if result["kind"] == kind]
    results.sort(key=lambda result: -progress(result["worse"], result["bound"]))
    table = packet["tables"][kind]
    count = f"{len(table['nodes'])} new, {len(table['controls'])} to compare with"
    cards = [_card(result, table) for result in results]
    return el("section", el("h2", kind, el("small", count)), el("div", *cards, class_="cards wide"))


def _card(result: Mapping[str, Any], table: Mapping[str, Any]) -> Safe:
    word = says(result)
    effect = f"what matters: {result['effect']} {result['unit']}".strip()
    return el(
        "div",
        el("h3", result["label"], el("span", word, class_=f"pill {_SAYS.get(word, 't-skipped')}")),
        el("p", f"{progress(result['worse'], result['bound'])} % of what halts; {effect}", class_="facts"),
        evidence_plot.plot(table, result["metric"], str(result["label"])),
        el("div", *_nodes(result), class_="who"),
        class_="card",
    )


def _nodes(result: Mapping[str, Any]) -> Iterable[Safe]:
    """A line for each node with the new program: its windows, and how far the evidence against it has come."""
    for number, (node, one) in enumerate(result["nodes"].items()):
        key = el("i", class_=f"b{number % evidence_plot.HUES}")
        yield el("span", el("span", key, node, class_="key"))
        if "marks" in one:
            yield evidence_plot.strip(one["marks"])
            yield el("span", f"{progress(one['worse'], result['bound'])} %", class_="n")
        else:
            yield el("span", f"not judged: {one['why_not']}", class_="message")
            yield el("span")


def _rules(rules: Mapping[str, int]) -> Safe:
    pairs = {
        "errors": errors(rules),
        "tests": f"{rules['tests']}, which share the first error",
        "window": f"{rules['window_s'] // 60} minutes of the nodes' own time",
        "grey": "from the least to the greatest value of nodes that do not have the new program",
        "upright line": "the first window of the new program that counts",
    }
    found = [part for key, text in pairs.items() for part in (el("dt", key), el("dd", text))]
    return el("section", el("h2", "How to read it"), el("dl", *found, class_="pairs"))
