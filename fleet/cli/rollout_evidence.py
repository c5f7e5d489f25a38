"""`fleet rollout evidence`: what the telemetry says of a wave, and by which numbers."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from fleet.cli import human
from fleet.cli.base import Command
from fleet.cli.evidence_terms import errors, progress, says
from fleet.cli.options import fleet_option, output_option
from fleet.cli.output import Column, Output, View, moment
from fleet.cli.session import opened

_COLOURS = {
    "promote": "green",
    "halt": "red",
    "hold": "yellow",
    "as good": "green",
    "worse": "red",
    "suspect": "yellow",
}
_SHOWN = 16  # windows of a trend


def _colour(word: Any) -> str:
    return _COLOURS.get(word, "")


EVIDENCE = View(
    "evidence",
    (
        Column("verdict", "Verdict", colour=_colour),
        Column("why", "  because"),
        Column("rollout", "Rollout", str),
        Column("wave", "Wave", str),
        Column("judged", "Judged", lambda then: f"{then:%Y-%m-%d %H:%M:%S} UTC"),
        Column("errors", "Errors"),
        Column("packet"),
    ),
    id="rollout",
)
MEASURES = View(
    "measures",
    (
        Column("kind", "KIND"),
        Column("label", "MEASURE", wrap=True),
        Column("says", "SAYS", colour=_colour),
        Column("evidence", "HALT", lambda share: f"{share} %", right=True),
        Column("windows", "SEEN", right=True),
        Column("node", "WORST", wrap=True),
        Column("trend", "ITS COURSE", lambda shares: _course(shares)),
        Column("metric"),
        Column("why_not"),
    ),
    id="metric",
)


@click.command(
    "evidence",
    cls=Command,
    examples=(
        "fleet rollout evidence 7",
        "fleet rollout evidence air-1.5.0 --wave 1 --out evidence.html",
        "fleet rollout evidence 7 -o json",
    ),
)
@click.argument("rollout", metavar="ROLLOUT")
@click.option("--wave", type=click.IntRange(1), help="Of this wave, counted from 1; default: the present one.")
@click.option("--out", "to", metavar="FILE", type=click.Path(dir_okay=False, path_type=Path), help="Plots, as a page.")
@output_option
@fleet_option
def evidence(rollout: str, wave: int | None, to: Path | None, out: Output, directory: Path) -> None:
    """Show what the telemetry says of nodes with the new program.

    They are compared with others, and with their own past.

    HALT is how far the evidence against the release has come: at 100 % the wave is halted. The page needs nothing else
    and loads nothing from anywhere.
    """
    from fleet.rollouts import evidence as found

    with opened(directory) as session:
        packet = found.latest(session.store, rollout, None if wave is None else wave - 1, out.now_s)
    if to is not None:
        from fleet import files
        from fleet.cli import evidence_page

        files.replace(to, evidence_page.page(packet).encode(), files.PUBLIC)
    out.record(EVIDENCE, _card(packet), [("By measure", MEASURES, measures(packet))])
    if to is not None:
        out.note(f"The plots are in {to}.")


def _card(packet: Mapping[str, Any]) -> dict[str, Any]:
    about, rules = packet["about"], packet["rules"]
    return {
        "verdict": packet["verdict"],
        "why": packet["why"],
        "rollout": f"{about.get('rollout', '')} {about.get('plan', '')}".strip(),
        "wave": f"{int(about.get('wave', 0)) + 1} {about.get('wave_name', '')}".strip(),
        "judged": moment(int(about.get("at_s", 0))),
        "errors": errors(rules),
        "packet": packet,
    }


def measures(packet: Mapping[str, Any]) -> Iterable[dict[str, Any]]:
    """A row for each test, those that speak against the release first."""
    rows = [_measure(result) for result in packet["results"]]
    return sorted(rows, key=lambda row: (-row["evidence"], row["kind"]))


def _measure(result: Mapping[str, Any]) -> dict[str, Any]:
    judged = {node: one for node, one in result["nodes"].items() if "marks" in one}
    worst = max(sorted(judged), key=lambda node: judged[node]["worse"], default="")
    reasons = {one["why_not"] for one in result["nodes"].values() if "why_not" in one}
    return {
        "kind": result["kind"],
        "label": result["label"],
        "metric": result["metric"],
        "says": says(result),
        "evidence": progress(result["worse"], result["bound"]),
        "windows": result["seen"],
        "node": worst,
        "trend": [_share(away, result["effect"]) for away in judged[worst]["away"][-_SHOWN:]] if worst else [],
        "why_not": "; ".join(sorted(reasons)),
    }


def _share(away: int | None, effect: int) -> int | None:
    """How much worse a window was, in % of the least effect that matters."""
    return None if away is None else max(0, away * 100 // effect)


def _course(shares: Sequence[int | None]) -> str:
    """One character per window, full from the least effect that matters on; a gap where nothing is known."""
    return human.sparkline([0, *(None if share is None else min(share, 100) for share in shares), 100])[1:-1]
