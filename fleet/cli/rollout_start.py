"""`fleet rollout start` and `approve`: from a plan to a rollout that runs."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fleet.cli import board_progress
from fleet.cli.base import Command
from fleet.cli.options import confirm, dry_run_option, fleet_option, output_option, yes_option
from fleet.cli.output import Output
from fleet.cli.rollout_operate import say_preview, say_step
from fleet.cli.rollout_options import describes, draft_of, plan_options
from fleet.cli.rollout_plan import show
from fleet.cli.rollout_watch import WAIT_S, waited
from fleet.cli.session import Session, actor, opened
from fleet.cli.types import Span
from fleet.errors import UsageError

if TYPE_CHECKING:
    from fleet.rollouts.planning import Planned
    from fleet.store.rollouts import RolloutView


@click.command(
    "start",
    cls=Command,
    examples=(
        "fleet rollout start --release air-1.5.0 --where 'site=mitte' --yes --wait",
        "fleet rollout start mitte.toml --why 'fixes CVE-2026-1234'",
        "fleet rollout start --release air-1.5.0 --plan-hash 4bb61f34c310 --yes",
        "fleet rollout start 7 --yes",
    ),
)
@plan_options
@click.option("--plan-hash", metavar="HASH", default="", help="Only if the plan still has it: at least 8 digits.")
@click.option("--why", metavar="TEXT", default="", help="For the audit log.")
@click.option("--wait", is_flag=True, help="Return when it ended, or an operator has to decide.")
@click.option("--timeout", type=Span(), default=WAIT_S, help="With --wait: how long; default 24h.")
@yes_option
@dry_run_option
@output_option
@fleet_option
def start(words: tuple[str, ...], where: str, out: Output, directory: Path, **options: Any) -> None:
    """Start a rollout: a plan, or one that was approved.

    The plan comes as for `fleet rollout plan`. A saved plan starts only if neither it nor its nodes have changed
    since. Where the fleet demands approvals, the rollout is kept and waits for them (exit code 4); once it has them,
    its number starts it.

    With --wait the exit code is 0 when every node has proved it, 1 when it was halted or aborted, 6 when it finished
    without some, 8 when time was up first.
    """
    with opened(directory) as session:
        if describes(words, where, options):
            found, planned = _planned(session, words, where, out, options)
        else:
            found, planned = _named(session, words, options["plan_hash"]), None
        if found is None:
            return
        if planned is None and not options["dry_run"]:
            confirm(f"Start rollout {found.id}, {found.name}?", options["yes"])
        if options["dry_run"]:
            _preview(session, found, out)
            return
        _start(session, found, planned, out, options)


def _planned(
    session: Session, words: tuple[str, ...], where: str, out: Output, options: dict[str, Any]
) -> "tuple[RolloutView | None, Planned]":
    from fleet.rollouts import planning, starting

    draft = draft_of(words, where, options)
    with board_progress.awaited("Planning", out):
        planned = planning.plan(session.store, session.config, draft, out.now_s)
    for wanted in filter(None, (draft.hash, options["plan_hash"])):
        starting.require_hash(planned.hash, wanted)
    planning.require_free(planned)
    if options["dry_run"]:
        show(planned, session.config.rollouts.approvals, out)
        out.note("Nothing was started: this was a dry run.")
        return None, planned
    count, waves = len(planned.members), len(planned.plan.waves)
    confirm(f"Start a rollout over {_many(count, 'node')} in {_many(waves, 'wave')}?", options["yes"])
    return starting.keep(session.store, planned, actor(), out.now_s), planned


def _many(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def _named(session: Session, words: tuple[str, ...], digest: str) -> "RolloutView":
    from fleet.rollouts import starting

    if len(words) != 1:
        raise UsageError("say what to start", hint="--release ID, a plan file, or the number of a rollout")
    found = session.store.rollouts.get(words[0])
    if digest:
        starting.require_hash(found.hash, digest)
    return found


def _preview(session: Session, found: "RolloutView", out: Output) -> None:
    from fleet.rollout.model import Command as Word
    from fleet.rollout.model import Verb
    from fleet.rollouts import starting

    starting.require_startable(session.store, session.config, found, out.now_s)
    say_preview(session.store, found, Word(Verb.START, actor()), out)
    out.note("Nothing was started: this was a dry run.")


def _start(
    session: Session, found: "RolloutView", planned: "Planned | None", out: Output, options: dict[str, Any]
) -> None:
    from fleet import status
    from fleet.rollouts import starting

    made = starting.start(session.store, session.config, found, actor(), options["why"], out.now_s, planned)
    if not status.service_runs(session.store, out.now_s):
        out.note("The service does not run: nothing is sent until `fleet serve` does.")
    if options["wait"]:
        waited(session, found.id, options["timeout"], out)
        return
    say_step(session.store.rollouts.get(found.id), made, "start", out)
    out.note(f"`fleet rollout watch {found.id}` shows how it goes.")


@click.command(
    "approve",
    cls=Command,
    examples=("fleet rollout approve 7 --plan-hash 4bb61f34c310 --why 'reviewed, ticket 815'",),
)
@click.argument("rollout", metavar="ID|NAME")
@click.option("--plan-hash", metavar="HASH", required=True, help="Of the plan that you mean: at least 8 digits.")
@click.option("--why", metavar="TEXT", default="", help="For the audit log.")
@yes_option
@dry_run_option
@output_option
@fleet_option
def approve(rollout: str, plan_hash: str, why: str, yes: bool, dry_run: bool, out: Output, directory: Path) -> None:
    """Approve the plan of a rollout that has not started.

    An approval is for one plan hash: another plan, or a node that came, went or changed, needs new ones. Who made
    the plan cannot approve it. `fleet rollout status` shows the hash and who has approved.
    """
    from fleet.rollout.model import Command as Word
    from fleet.rollout.model import Verb
    from fleet.rollouts import starting

    with opened(directory) as session:
        found = session.store.rollouts.get(rollout)
        starting.require_hash(found.hash, plan_hash)
        word = Word(Verb.APPROVE, actor(), why)
        if dry_run:
            starting.require_approvable(session.store, session.config, found, word.actor, out.now_s)
            say_preview(session.store, found, word, out)
            out.note("Nothing was approved: this was a dry run.")
            return
        confirm(f"Approve rollout {found.id}, {found.name}?", yes)
        made = starting.approve(session.store, session.config, found, word, out.now_s)
        found = session.store.rollouts.get(found.id)
        missing = found.missing_approvals(session.config.rollouts.approvals)
    say_step(found, made, "approve", out)
    out.note(f"It waits for {_many(missing, 'more approval')}." if missing else f"`fleet rollout start {found.id}`")
