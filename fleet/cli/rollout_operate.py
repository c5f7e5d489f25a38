"""`fleet rollout pause`, `resume`, `halt`, `abort`, `retry`, `promote` and `undo`: an operator's word to a rollout."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from fleet.cli import human
from fleet.cli.base import Command
from fleet.cli.options import confirm, dry_run_option, fleet_option, output_option, yes_option
from fleet.cli.output import Column, Output, View
from fleet.cli.rollout_plan import without
from fleet.cli.rollout_status import colour, say_confirmed
from fleet.cli.rollout_watch import WAIT_S, waited, waited_end
from fleet.cli.session import actor, opened
from fleet.cli.types import Span

if TYPE_CHECKING:
    from fleet.rollout.model import Command as Word
    from fleet.rollout.model import Step
    from fleet.store import Store
    from fleet.store.rollouts import RolloutView


STEPS = View(
    "rollout",
    (
        Column("id", "Rollout", str),
        Column("name", "Name"),
        Column("action"),
        Column("phase", "State", colour=colour),
        Column("reason", "  because"),
        Column("orders", "Ordered now", human.number),
        Column("stops", "Told to stop", human.number),
        Column("requeued", "Tried again", human.number),
        Column("undone", "Undone", human.number),
        Column("hash", "Plan hash"),
    ),
    id="id",
)


def say_step(view: "RolloutView", made: "Step", action: str, out: Output) -> None:
    """What a word has led to."""
    from fleet.rollouts import preview

    _say_row(_row(view, preview.of(view.head, made), action), out)


def say_preview(store: "Store", view: "RolloutView", word: "Word", out: Output) -> None:
    """What a word would lead to: a dry run of it; NotAllowedError."""
    from fleet.rollouts import preview

    _say_row(_row(view, preview.preview(store, view.id, word, out.now_s), word.verb.value), out)


def _say_row(row: Mapping[str, Any], out: Output) -> None:
    out.record(without(STEPS, row, "reason", "orders", "stops", "requeued", "undone", "hash"), row)


def _row(view: "RolloutView", found: Any, action: str) -> dict[str, Any]:
    return {
        "id": view.id,
        "name": view.name,
        "action": action,
        "phase": found.after.phase.value,
        "reason": found.after.reason,
        "orders": found.orders,
        "stops": found.stops,
        "requeued": found.requeued,
        "undone": found.undone,
        "hash": view.hash,
    }


def _wait_options(function: Any) -> Any:
    function = click.option("--timeout", type=Span(), default=WAIT_S, help="With --wait: how long; default 24h.")(
        function
    )
    return click.option("--wait", is_flag=True, help="Return when it is done.")(function)


def _word_options(function: Any) -> Any:
    """What each of these commands has."""
    for decorator in (fleet_option, output_option, dry_run_option, yes_option):
        function = decorator(function)
    why = click.option("--why", metavar="TEXT", default="", help="For the audit log.")
    return click.argument("rollout", metavar="ID|NAME")(why(function))


@click.command("pause", cls=Command, examples=("fleet rollout pause 7 --why 'storm in Mitte'",))
@_word_options
def pause(**given: Any) -> None:
    """Order no more nodes; those on their way go on.

    `resume` goes on where it was, `halt` stops nodes on their way too.
    """
    _say("pause", "Pause rollout {}?", given)


@click.command("resume", cls=Command, examples=("fleet rollout resume 7 --why 'storm is over' --wait",))
@_wait_options
@_word_options
def resume(**given: Any) -> None:
    """Go on with a rollout that was paused or halted.

    Nodes that failed stay failed (`retry` tries them again), and as many failures do not halt it again. With --wait
    the exit codes are those of `start`.
    """
    _say("resume", "Go on with rollout {}?", given)


@click.command("halt", cls=Command, examples=("fleet rollout halt 7 --why 'lamps flicker' --yes",))
@_word_options
def halt(**given: Any) -> None:
    """Stop every node on its way, at once, and order no more.

    One message to all nodes stops those that are online before they switch or commit; an operator decides how it
    goes on: `resume`, `abort` or `undo`.
    """
    _say("halt", "Stop every node of rollout {} that is on its way?", given)


@click.command("abort", cls=Command, examples=("fleet rollout abort 7 --why 'wrong release' --yes --wait",))
@_wait_options
@_word_options
def abort(**given: Any) -> None:
    """End a rollout for good.

    Nodes on their way stop before they switch or commit. Those that have confirmed the new program keep it and are
    listed; `undo` boots the program before on them. With --wait it returns when no node is on its way any more.
    """
    _say("abort", "End rollout {} for good?", given)


@click.command(
    "retry", cls=Command, examples=("fleet rollout retry 7 --yes", "fleet rollout retry 7 air-3 --why 'new antenna'")
)
@_word_options
@click.argument("nodes", metavar="[NODE]...", nargs=-1)
def retry(**given: Any) -> None:
    """Try nodes again that failed: these, or all."""
    _say("retry", "Try failed nodes of rollout {} again?", given)


@click.command("promote", cls=Command, examples=("fleet rollout promote 7 --why 'sensor swap explains the gap'",))
@_word_options
def promote(**given: Any) -> None:
    """Let the present wave pass, whatever it still lacks.

    For a wave whose telemetry has not spoken, or of which too few nodes were executed. It needs --why."""
    if not given["why"]:
        raise click.UsageError("say --why: this goes on without what the plan demands")
    _say("promote", "Let the present wave of rollout {} pass?", given)


@click.command("undo", cls=Command, examples=("fleet rollout undo 7 --why 'PM2.5 drifts' --yes --wait",))
@_wait_options
@_word_options
def undo(**given: Any) -> None:
    """Boot the program before on the nodes that proved the new one.

    Nothing is downloaded: it is in their other slot. A rollout of its own does it, in the waves of this one. With
    --wait the exit codes are those of `start`, for that rollout.
    """
    _say("undo", "Boot the program before on every node that has what rollout {} brought?", given)


def _say(name: str, question: str, given: Mapping[str, Any]) -> None:
    from fleet.rollout.model import Command as Word
    from fleet.rollout.model import Verb
    from fleet.rollouts import operate, preview, standing

    out: Output = given["out"]
    word = Word(Verb(name), actor(), given["why"], tuple(given.get("nodes", ())))
    with opened(given["directory"]) as session:
        store = session.store
        view = store.rollouts.get(given["rollout"])
        would = preview.preview(store, view.id, word, out.now_s)
        if given["dry_run"]:
            _say_row(_row(view, would, name), out)
            out.note("Nothing was changed: this was a dry run.")
            return
        confirm(question.format(view.id), given["yes"])
        made = operate.operate(store, session.config, view.id, word, out.now_s)
        spawned = [one.id for one in store.rollouts.all() if name == "undo" and one.plan.parent == view.id][:1]
        if given.get("wait"):
            wait = waited_end if name == "abort" else waited
            wait(session, spawned[0] if spawned else view.id, given["timeout"], out)
            return
        say_step(store.rollouts.get(view.id), made, name, out)
        if name in ("abort", "halt"):
            say_confirmed(standing.standing(store, session.config, view.id, out.now_s), out)
    if spawned:
        out.note(f"Rollout {spawned[0]} does it: `fleet rollout watch {spawned[0]}`.")
