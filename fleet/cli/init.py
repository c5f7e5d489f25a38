"""`fleet init`."""

import tomllib
from pathlib import Path
from typing import Any

import click

from fleet.cli.base import Command
from fleet.cli.options import dry_run_option, fleet_option, output_option
from fleet.cli.output import Column, Output, View
from fleet.errors import UsageError

STEPS = View("made", (Column("what", "MADE"), Column("path", "PATH", wrap=True)), id="path")


@click.command(
    "init",
    cls=Command,
    examples=(
        "fleet init",
        "fleet init /srv/berlin --host mqtt.example.org --port 8883",
        "fleet init --set store.raw_days=90 --set nodes.ntp='[\"ntp.example.org\"]'",
    ),
)
@click.argument("where", metavar="[DIR]", required=False, type=click.Path(file_okay=False, path_type=Path))
@click.option("--host", metavar="NAME", help="Where nodes reach the broker; default: this machine only.")
@click.option("--port", metavar="PORT", type=int, help="Its port of MQTT over TLS; default 8883.")
@click.option("--set", "pairs", metavar="KEY=VALUE", multiple=True, help="Any key of fleet.toml, as section.key=value.")
@dry_run_option
@output_option
@fleet_option
def command(
    where: Path | None,
    host: str | None,
    port: int | None,
    pairs: tuple[str, ...],
    dry_run: bool,
    out: Output,
    directory: Path,
) -> None:
    """Create a fleet: configuration, keys and database.

    Nothing that exists is changed, and a fleet that is half made is completed. Keys are readable by you alone.
    """
    from fleet import setup

    values = settings(pairs)
    if host is not None:
        values.setdefault("broker", {})["host"] = host
    if port is not None:
        values.setdefault("broker", {})["port"] = port
    plan = setup.plan(where or directory, values)
    if not dry_run:
        plan.carry_out()
    rows = [{"what": step.text, "path": str(step.path)} for step in plan.steps]
    out.rows(STEPS, rows, empty=f"{plan.config.directory} is complete already.")
    if dry_run:
        out.note("Nothing was made: this was a dry run.")
    elif rows:
        chosen = "" if plan.config.directory == Path(".fleet").absolute() else f" --fleet {where or directory}"
        out.note(f"Next: fleet serve{chosen}")
        out.note(f"Before the first node, so that it takes updates: fleet key init{chosen} --out DIR")


def settings(pairs: tuple[str, ...]) -> dict[str, dict[str, Any]]:
    """{section: {key: value}} of `section.key=value`; a value is TOML, and text where it is not."""
    values: dict[str, dict[str, Any]] = {}
    for pair in pairs:
        name, sign, text = pair.partition("=")
        section, dot, key = name.partition(".")
        if not (sign and dot):
            raise UsageError(f"{pair!r} is not section.key=value", hint="for example --set broker.port=18883")
        try:
            value = tomllib.loads(f"value = {text}")["value"]
        except tomllib.TOMLDecodeError:
            value = text
        values.setdefault(section, {})[key] = value
    return values
