"""`fleet node explain`: every reason why a node is not on the target, and when it is expected to move."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fleet.cli.base import Command
from fleet.cli.options import fleet_option, output_option
from fleet.cli.output import Column, Output, View, moment
from fleet.cli.session import opened

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from fleet.rollouts.explain import Explanation
    from fleet.store import Store


def _date(then: "datetime | None") -> str:
    return f"{then:%Y-%m-%d %H:%M} UTC" if then else "-"


EXPLANATION = View(
    "explanation",
    (
        Column("node", "Node"),
        Column("runs", "Runs"),
        Column("wanted", "Target"),
        Column("on_target", "On target"),
        Column("expected", "Moves", _date),
    ),
    id="node",
)
REASONS = View(
    "reasons",
    (
        Column("about", "ABOUT"),
        Column("text", "REASON", wrap=True),
        Column("expected", "UNTIL", _date),
        Column("code"),
        Column("advice", "WHAT TO DO", wrap=True),
    ),
    id="code",
)


@click.command("explain", cls=Command, examples=("fleet node explain air-7", "fleet node explain air-7 -o json"))
@click.argument("node", metavar="NODE")
@output_option
@fleet_option
def command(node: str, out: Output, directory: Path) -> None:
    """Say why a node is not on the target, and when it moves.

    Every reason is listed, in the order in which it counts: the node itself, what it runs, each rollout that has it or
    leaves it out, orders outside rollouts, its configuration. JSON has a code for each that does not change.
    """
    from fleet.rollouts import explain

    with opened(directory) as session:
        found = explain.explanation(session.store, node, out.now_s, session.config.rollouts.approvals)
        names = _names(session.store)
    if out.form == "table":
        _print(found, names, out)
        return
    out.record(EXPLANATION, _card(found, names, out.now_s), [("Reasons", REASONS, _rows(found))])


def _names(store: "Store") -> dict[bytes, str]:
    return {row.manifest: row.id for row in store.releases.all()}


def _card(found: "Explanation", names: dict[bytes, str], now_s: int) -> dict[str, Any]:
    return {
        "node": found.node,
        "runs": names.get(found.runs, found.runs.hex()[:12] or None),
        "wanted": names.get(found.wanted, found.wanted.hex()[:12] or None),
        "on_target": found.on_target,
        "expected": moment(found.expected_s(now_s)),
    }


def _rows(found: "Explanation") -> "Iterable[dict[str, Any]]":
    for part in found.parts:
        for one in part.reasons:
            yield {
                "about": part.about,
                "code": one.code,
                "text": one.text,
                "expected": moment(one.expected_s),
                "advice": one.advice,
            }


def _print(found: "Explanation", names: dict[bytes, str], out: Output) -> None:
    """For a person: a card, then the reasons below what they are about, each line cut to the terminal."""
    import textwrap

    from fleet.cli.visible import visible

    out.record(EXPLANATION, _card(found, names, out.now_s))
    width = min(out.width, 100)
    for part in found.parts:
        out.lines(["", out.style(visible(part.about), bold=True)])
        for number, one in enumerate(part.reasons, 1):
            until = f" (until {_date(moment(one.expected_s))})" if one.expected_s else ""
            out.lines(
                textwrap.wrap(
                    f"{number}. {visible(one.text)}{until}", width, initial_indent="  ", subsequent_indent="     "
                )
            )
            if one.advice:
                out.lines(textwrap.wrap(one.advice, width, initial_indent="     → ", subsequent_indent="       "))
