"""`fleet rollout` and `fleet audit` as people and scripts use them, with the service a second at a time."""

import re
import sqlite3
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import click
import pytest

from fleet.cli import rollout_watch
from fleet.errors import FleetError, PartlyFailedError, TimedOutError
from fleet.rollout.model import Phase, Stage, Verb
from fleet.rollouts import standing, waiting
from fleet.tests.cli_rig import Result, run
from fleet.tests.rollout_rig import World

GATES = ("--soak", "3s", "--deadline", "60s", "--no-judging")
WAVES = ("--wave", "canary=1", "--wave", "rest")


class Desk:
    """A fleet of four nodes, its command line, and the service behind it."""

    def __init__(self, directory: Path, **more: tuple[str, ...]) -> None:
        self.world = World.make(directory, **more)  # type: ignore[arg-type]
        self.world.now_s = int(time.time())
        self.world.run(1)

    def run(self, *words: str, tty: bool = False) -> Result:
        return run(*words, "--fleet", self.world.config.directory, tty=tty)

    def rollout(self, *words: str, tty: bool = False) -> Result:
        return self.run("rollout", *words, tty=tty)

    def start(self, *words: str) -> Result:
        found = self.rollout("start", "--release", "air-1.1.0", *GATES, *WAVES, "--yes", *words)
        assert found.code == 0, found.err
        return found

    def demand(self, approvals: int) -> None:
        path = self.world.config.file
        path.write_text(path.read_text().replace("#approvals = 0", f"approvals = {approvals}"))

    def standing(self, number: int = 1) -> standing.Standing:
        return standing.standing(self.world.store, self.world.config, number, self.world.now_s)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    found = Desk(tmp_path / "fleet")
    yield found
    found.world.close()


@pytest.fixture
def bad(tmp_path: Path) -> Iterator[Desk]:
    """Every node reverts the new release."""
    found = Desk(tmp_path / "fleet", bad=tuple(f"air-{number:02}" for number in range(4)))
    yield found
    found.world.close()


def test_a_plan_says_who_and_who_not_and_what_it_costs(desk: Desk) -> None:
    found = desk.rollout("plan", "--release", "air-1.1.0", *WAVES, "--json")
    plan = found.json["plan"]
    assert [(wave["wave"], wave["count"], wave["kinds"]) for wave in plan["waves"]] == [
        ("canary", 1, {"air": 1}),
        ("rest", 3, {"air": 3}),
    ]
    assert sorted(node for wave in plan["waves"] for node in wave["nodes"]) == list(desk.world.nodes)
    assert (plan["nodes"], plan["skipped_nodes"], plan["bytes"] > 0) == (4, 0, True)
    assert len(plan["hash"]) == 64
    assert desk.world.store.rollouts.all() == []


def test_a_plan_fits_a_terminal_of_80_columns(desk: Desk) -> None:
    window = "0 1 * * * for 4h in Europe/Berlin"
    found = desk.rollout("plan", "--release", "air-1.1.0", "--switch", window, tty=True)
    lines = click.unstyle(found.out).splitlines()
    assert max(map(len, lines)) <= 80
    assert any("0 1 * * * for 4h in Europe/Berlin" in line for line in lines)
    assert all(len(line) <= 80 for line in found.err.splitlines())


def test_a_saved_plan_starts_as_long_as_nothing_has_changed(desk: Desk, tmp_path: Path) -> None:
    file = tmp_path / "spring.toml"
    saved = desk.rollout("plan", "--release", "air-1.1.0", *WAVES, "--soak", "7s", "--save", str(file), "--json")
    assert f'hash = "{saved.json["plan"]["hash"]}"' in file.read_text()
    again = desk.rollout("plan", str(file), "--json")
    assert again.json["plan"]["hash"] == saved.json["plan"]["hash"]
    node = desk.world.nodes["air-02"]
    node.runs = b"\7" * 32
    node.state()
    desk.world.run(1)
    found = desk.rollout("start", str(file), "--yes", "--json")
    assert (found.code, found.error["message"]) == (4, "the plan is not the one of that hash")
    assert desk.world.store.rollouts.all() == []


def test_a_hash_on_the_command_line_binds_as_well(desk: Desk) -> None:
    digest = desk.rollout("plan", "--release", "air-1.1.0", "-o", "name").out.strip()
    refused = desk.rollout("start", "--release", "air-1.1.0", "--soak", "1h", "--plan-hash", digest[:12], "--yes")
    assert refused.code == 4
    short = desk.rollout("start", "--release", "air-1.1.0", "--plan-hash", digest[:4], "--yes")
    assert short.code == 4
    assert desk.rollout("start", "--release", "air-1.1.0", "--plan-hash", digest[:12], "--yes").code == 0


def test_a_script_without_yes_starts_nothing(desk: Desk) -> None:
    found = desk.rollout("start", "--release", "air-1.1.0")
    assert found.code == 2
    assert "Start a rollout over 4 nodes in 2 waves?" in found.err
    assert desk.world.store.rollouts.all() == []


def test_a_dry_run_of_a_start_is_a_plan(desk: Desk) -> None:
    found = desk.rollout("start", "--release", "air-1.1.0", "--dry-run", "--json")
    assert found.json["plan"]["nodes"] == 4
    assert desk.world.store.rollouts.all() == []


def test_from_start_to_finish(desk: Desk) -> None:
    desk.start("--why", "spring")
    assert desk.rollout("status", "1", "--json").json["rollout"]["phase"] == "running"
    desk.world.run_to(Phase.FINISHED)
    row = desk.rollout("status", "air-1.1.0", "--json").json["rollout"]
    assert (row["phase"], row["proved"], row["nodes"], row["attention"]) == ("finished", 4, 4, [])
    assert [(wave["wave"], wave["state"], wave["proved"]) for wave in row["waves"]] == [
        ("canary", "done", 1),
        ("rest", "done", 3),
    ]
    [listed] = desk.rollout("list", "--json").json["rollouts"]
    assert (listed["id"], listed["phase"], listed["proved"], listed["nodes"]) == (1, "finished", 4, 4)
    assert desk.rollout("watch", "1").code == 0
    waiting.require_done(desk.world.store, desk.standing())


def test_a_wave_that_goes_bad_halts_and_is_shown_first(bad: Desk) -> None:
    bad.start("--on-failure", "pause")
    bad.world.run_to(Phase.HALTED)
    found = bad.rollout("status", "1", tty=True)
    text = click.unstyle(found.out)
    assert text.index("Needs attention") < text.index("Waves")
    assert "reverted" in text
    assert "operator" in text
    assert all(len(line) <= 80 for line in text.splitlines())
    row = bad.rollout("status", "1", "--json").json["rollout"]
    assert [one["stage"] for one in row["attention"]] == ["reverted"]
    assert row["untouched"] == 3
    assert row["waves"][0]["reverted"] == 1
    with pytest.raises(FleetError, match="rollout 1 was halted"):
        waiting.require_done(bad.world.store, bad.standing())


def test_an_abort_lists_who_had_confirmed_before(desk: Desk) -> None:
    desk.start("--soak", "10min")
    desk.world.run(30, lambda: "proved" in desk.world.stages().values())
    found = desk.rollout("abort", "1", "--why", "wrong release", "--yes", "--json")
    assert (found.code, found.json["rollout"]["phase"]) == (0, "aborted")
    row = desk.rollout("status", "1", "--json").json["rollout"]
    assert (row["confirmed_count"], len(row["confirmed"]), row["untouched"]) == (1, 1, 3)
    assert "run the new program" in desk.rollout("status", "1").err
    entries = desk.run("audit", "list", "rollout 1", "--people", "--json").json["entries"]
    assert ("abort", "wrong release") in [(one["action"], one["why"]) for one in entries]


def test_a_word_that_cannot_be_given_says_why(desk: Desk) -> None:
    desk.start()
    found = desk.rollout("resume", "1", "--yes", "--json")
    assert (found.code, found.error["message"]) == (
        4,
        "rollout 1, resume: a rollout that is running cannot be told to resume",
    )
    assert desk.rollout("promote", "1", "--yes").code == 2, "without --why"
    assert desk.rollout("status", "9").code == 3


@pytest.mark.parametrize(("word", "phase"), [("pause", "paused"), ("halt", "halted"), ("abort", "aborted")])
def test_a_dry_run_of_a_word_changes_nothing(desk: Desk, word: str, phase: str) -> None:
    desk.start()
    before = desk.world.store.rollouts.get(1)
    found = desk.rollout(word, "1", "--dry-run", "--json")
    assert (found.code, found.json["rollout"]["phase"]) == (0, phase)
    assert desk.world.store.rollouts.get(1) == before


def test_pause_and_resume(desk: Desk) -> None:
    desk.start()
    assert desk.rollout("pause", "1", "--why", "storm", "--yes", "--json").json["rollout"]["phase"] == "paused"
    assert desk.rollout("resume", "1", "--yes", "--json").json["rollout"]["phase"] == "running"
    desk.world.run_to(Phase.FINISHED)


def test_an_undo_is_a_rollout_of_its_own(desk: Desk) -> None:
    desk.start()
    desk.world.run_to(Phase.FINISHED)
    found = desk.rollout("undo", "1", "--why", "drifts", "--yes", "--json")
    assert (found.code, found.json["rollout"]["undone"]) == (0, 4)
    desk.world.run_to(Phase.FINISHED, 2)
    assert {node.runs for node in desk.world.nodes.values()} == {desk.world.old.manifest}
    assert desk.rollout("status", "2", "--json").json["rollout"]["parent"] == 1
    assert desk.rollout("status", "1", "--json").json["rollout"]["undone_by"] == 2
    shown = desk.rollout("status", "1", tty=True)
    assert re.search(r"Undone by +rollout 2\n", click.unstyle(shown.out))
    assert "run the new program" not in shown.err


def test_a_retry_of_one_node(bad: Desk) -> None:
    bad.start("--on-failure", "pause")
    bad.world.run_to(Phase.HALTED)
    found = bad.rollout("retry", "1", "air-99", "--yes", "--json")
    assert (found.code, found.error["message"]) == (4, "rollout 1, retry: air-99 is not in it")


def test_a_fleet_that_demands_approval(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.demand(1)
    found = desk.rollout("start", "--release", "air-1.1.0", *GATES, *WAVES, "--yes", "--json")
    assert (found.code, found.error["message"]) == (4, "rollout 1 waits for one approval")
    digest = desk.rollout("status", "1", "--json").json["rollout"]["hash"]
    own = desk.rollout("approve", "1", "--plan-hash", digest, "--yes", "--json")
    assert (own.code, own.error["cause"]) == (4, "an author does not approve")
    monkeypatch.setattr("fleet.cli.rollout_start.actor", lambda: "ann@desk")
    assert desk.rollout("approve", "1", "--plan-hash", "0" * 12, "--yes").code == 4
    assert desk.rollout("start", "1", "--dry-run").code == 4
    dry = desk.rollout("approve", "1", "--plan-hash", digest[:12], "--dry-run", "--json")
    assert (dry.code, dry.json["rollout"]["action"]) == (0, "approve")
    assert (dry.code, desk.world.store.rollouts.get(1).head.approvals) == (0, ())
    assert desk.rollout("approve", "1", "--plan-hash", digest[:12], "--yes").code == 0
    dry = desk.rollout("start", "1", "--dry-run", "--json")
    assert (dry.code, dry.json["rollout"]["phase"], desk.standing().head.phase) == (0, "running", "draft")
    assert desk.rollout("start", "1", "--yes").code == 0
    assert desk.rollout("status", "1", "--json").json["rollout"]["approvals"] == ["ann@desk"]


def test_settings_are_rolled_out_alike(desk: Desk) -> None:
    found = desk.rollout("start", "--set", "interval_s=30", *WAVES, *GATES, "--yes", "--json")
    assert (found.code, found.json["rollout"]["name"]) == (0, "config-interval_s")
    row = desk.rollout("status", "1", "--json").json["rollout"]
    assert row["goal"] == "set interval_s=30"


FAULTS = {
    "nothing to do": (("plan",), "releases is empty"),
    "nobody at a time": (("plan", "--release", "air-1.1.0", "--in-flight", "0"), "limits.in_flight must be"),
    "two things": (("plan", "--release", "air-1.1.0", "--set", "batch=2"), "a rollout does one thing"),
    "a wave that is none": (("plan", "--release", "air-1.1.0", "--wave", "=3"), "'=3' is no wave"),
    "a window that is none": (("plan", "--release", "air-1.1.0", "--switch", "at night"), "'at night' is no window"),
    "a share without its sign": (("plan", "--release", "air-1.1.0", "--success", "95"), "gate.success must be a share"),
    "a setting without a value": (("plan", "--set", "batch"), "batch sets nothing"),
    "a rollout and a node": (("start", "1", "air-01"), "say what to start"),
}


@pytest.mark.parametrize("case", FAULTS)
def test_a_command_line_that_makes_no_sense(desk: Desk, case: str) -> None:
    words, message = FAULTS[case]
    found = desk.rollout(*words, "--json")
    assert found.code == 2
    assert message in found.error["message"]


def test_a_plan_file_that_is_not_there(desk: Desk) -> None:
    assert desk.rollout("plan", "nowhere.toml").code == 3


def test_waiting_ends_with_an_exit_code_that_says_how(desk: Desk) -> None:
    desk.start()
    now = desk.standing()
    with pytest.raises(TimedOutError, match="rollout 1 goes on: 0 of 4 nodes proved it"):
        waiting.require_done(desk.world.store, now)
    desk.world.run(1)
    found = desk.rollout("abort", "1", "--yes", "--wait", "--timeout", "1s", "--json")
    assert found.code == 8
    assert found.json["rollout"]["phase"] == "aborted"
    ended = replace(now.head, phase=Phase.FINISHED)
    with pytest.raises(PartlyFailedError):
        waiting.require_done(desk.world.store, replace(now, view=replace(now.view, head=ended)))


def test_a_watch_off_a_terminal_is_a_line_for_each_change(desk: Desk) -> None:
    desk.start()
    desk.world.run(1)
    told: list[str] = []
    waiting.watch(
        desk.world.store, desk.world.config, 1, 0, lambda: desk.world.now_s,
        lambda now: told.append(rollout_watch.summary(now)), lambda now: now.is_over,
    )  # fmt: skip
    assert told == ["wave canary: 0 of 1 proved, 1 on the way; waits for 1 node under way"]
    assert desk.rollout("watch", "1", "--timeout", "1s", "--json").code == 8
    desk.world.run_to(Phase.FINISHED)
    found = desk.rollout("watch", "1", "--json")
    assert found.json["summary"] == "4 of 4 nodes are proved"


def test_the_live_page_is_at_most_80_columns_wide(bad: Desk) -> None:
    bad.start("--on-failure", "pause", "--name", "a-rollout-with-a-name-that-is-far-too-long-for-a-line-of-80")
    bad.world.run_to(Phase.HALTED)
    lines = [click.unstyle(line) for line in rollout_watch.page(bad.standing(), bad.world.now_s)]
    assert max(map(len, lines)) <= 80
    assert any("reverted" in line for line in lines)


def test_the_audit_log_tells_who_did_what_and_whether_it_was_touched(desk: Desk) -> None:
    desk.start("--why", "spring")
    desk.world.say(Verb.PAUSE, why="storm")
    entries = desk.run("audit", "list", "--json").json["entries"]
    assert [one["seq"] for one in entries] == list(range(entries[0]["seq"], entries[-1]["seq"] + 1))
    assert ("ops@desk", "pause", "rollout 1", "storm") in [
        (one["actor"], one["action"], one["object"], one["why"]) for one in entries
    ]
    assert len(desk.run("audit", "list", "--last", "1", "--json").json["entries"]) == 1
    held = desk.run("audit", "verify", "--json")
    assert (held.code, held.json["chain"]["entries"]) == (0, entries[-1]["seq"])
    assert desk.run("audit", "verify", "--hash", held.json["chain"]["hash"]).code == 0
    assert desk.run("audit", "verify", "--hash", "00").code == 7
    with sqlite3.connect(desk.world.config.store_url) as database:
        database.execute("UPDATE audit SET why = 'calm' WHERE why = 'storm'")
    broken = desk.run("audit", "verify", "--json")
    assert (broken.code, broken.error["code"]) == (7, "verification")


def test_the_audit_log_of_a_new_fleet_is_empty_and_holds(desk: Desk) -> None:
    with sqlite3.connect(desk.world.config.store_url) as database:
        database.execute("DELETE FROM audit")
    found = desk.run("audit", "verify")
    assert (found.code, "Hash" in found.out) == (0, True)
    assert desk.run("audit", "verify", "--json").json["chain"]["entries"] == 0


def test_where_approvals_are_demanded_nobody_orders_many_nodes_without(desk: Desk) -> None:
    desk.demand(1)
    update = ("node", "update", "--where", "kind=air", "--yes", "--json")
    found = desk.run(*update, "--release", "air-1.1.0")
    assert (found.code, found.error["code"]) == (4, "not-allowed")
    assert desk.world.store.campaigns.orders() == {}
    assert desk.run("node", "update", "air-01", "--release", "air-1.1.0", "--yes").code == 0
    assert desk.run(*update, "--stop").code == 0


def test_outcomes_of_every_kind_are_counted_apart(desk: Desk) -> None:
    desk.start()
    now = desk.standing()
    assert set(now.waves[0].counts) == set(Stage)
    assert standing.outcome(now) == (0, 4)
