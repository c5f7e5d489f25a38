"""From what nodes send to a verdict: gathering samples, their limits in time and number, and how evidence is shown."""

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from fleet.cli import evidence_page
from fleet.cli.output import Output
from fleet.cli.rollout_evidence import EVIDENCE, MEASURES, _card, measures
from fleet.config import load
from fleet.model import Kind, Node
from fleet.rollout.canary import Track, judge, rejudge
from fleet.rollout.model import Execution, Rollout, Stage, State, Verdict
from fleet.rollout.plan import Goal, Judging, Member, Plan, Target
from fleet.rollouts.evidence import Watch, judge_wave
from fleet.store import Store
from fleet.tests import canary_rig as rig
from fleet.tests.canary_rig import Street
from fleet.tests.cli_rig import make_fleet, run
from fleet.tests.store_rig import Feed, batch, delivery
from protocol import channels as c
from protocol import events
from protocol.messages import Boot, Heartbeat
from protocol.messages import State as Said
from protocol.records import TQ_NTP_HOUR, Event, Record, Sample

BOOT_OLD, BOOT_NEW = 29_000_000, 29_000_009
NEW, OLD = b"n" * 32, b"o" * 32
AHEAD_S = 40_000  # the nodes live in the past of the service, and faster: only their own time counts
PLAN = Plan(name="air-1.5.0", targets=(Target(Kind.AIR, "air-1.5.0", b"d" * 32, NEW, 7),))
NODES = tuple(f"air-{number}" for number in range(1, 6))
SWITCH_S = rig.BEGIN_S + rig.PAST_S


@pytest.fixture
def feed(tmp_path: Path) -> Iterator[Feed]:
    with Store.open(tmp_path / "fleet.db") as store:
        store.migrate()
        for node in NODES:
            store.nodes.add(Node(node, Kind.AIR, "esp32_air"))
        made = Feed(store)
        yield made
        made.intake.close()


def arrival(ts: int) -> int:
    """When the service hears it: the world of the nodes runs at sixty times its speed."""
    return SWITCH_S + AHEAD_S + (ts - SWITCH_S) // 60


def tell(feed: Feed, fault: rig.Fault | None = None, windows: int = 16) -> None:
    """A street of five: the first gets the new program."""
    faults = {0: fault} if fault else {}
    for subject in Street(3).samples(1, 4, windows, faults).subjects:
        track, seqs = subject.track, itertools.count(1)
        for boot, group in itertools.groupby(track.intervals, key=lambda one: one.boot):
            number = BOOT_OLD if boot == rig.OLD else BOOT_NEW
            rows = list(group)
            if boot == rig.NEW:
                feed.take(delivery(track.node, "event", batch(booted(NEW), boot=number), arrival(SWITCH_S)))
            for at in range(0, len(rows), 50):
                some = rows[at : at + 50]
                bodies = [
                    Record(next(seqs), one.t_s, TQ_NTP_HOUR, {k: Sample(*v) for k, v in one.values.items()}).encode()
                    for one in some
                ]
                feed.tele(track.node, *bodies, boot=number, at_s=arrival(some[-1].end_s))
        for beat in track.beats:
            health = Heartbeat(
                up_s=beat.t_s - rig.BEGIN_S, heap_free=beat.heap_free, mqtt_connects=beat.connects,
                ack_p95_ms=beat.ack_p95_ms, time_quality=TQ_NTP_HOUR,
            )  # fmt: skip
            number = BOOT_OLD if beat.boot == rig.OLD else BOOT_NEW
            said = Said(online=True, boot=number, t=beat.t_s, heartbeat=health).encode()
            feed.take(delivery(track.node, "state", said, arrival(beat.t_s)))


def booted(manifest: bytes) -> bytes:
    attrs = Boot(firmware="1.5.0", intended=True, reason="update", manifest=manifest).to_map()
    return Event(0, SWITCH_S, TQ_NTP_HOUR, events.BOOT, attrs=attrs).encode()


def state(stages: Mapping[str, Stage], wave: int = 0) -> tuple[dict[str, Member], State]:
    members = {node: Member(node, Kind.AIR, 0 if at == 0 else 1) for at, node in enumerate(NODES) if node in stages}
    ordered = arrival(SWITCH_S) - 10
    executions = {
        node: Execution(
            node, stage, ordered + 12, members[node].wave, tries=int(stage is not Stage.QUEUED), ordered_s=ordered
        )
        for node, stage in stages.items()
    }
    return members, State(Rollout(7, wave=wave), executions)


ONE = {NODES[0]: Stage.PROVED, **dict.fromkeys(NODES[1:], Stage.QUEUED)}


@pytest.mark.parametrize(
    ("fault", "verdict"),
    [(None, Verdict.PROMOTE), (rig.mean(c.PM25, lambda _: 100), Verdict.HALT), (rig.flagged(9), Verdict.HALT)],
    ids=["as before", "PM2.5 is a constant", "all is missing"],
)
def test_what_nodes_send_becomes_a_verdict(feed: Feed, fault: rig.Fault | None, verdict: Verdict) -> None:
    tell(feed, fault)
    found = judge_wave(feed.store, PLAN, *state(ONE), now_s=arrival(SWITCH_S) + 60)
    assert found.verdict is verdict, found.why
    assert found.packet["about"] == {
        "rollout": 7, "plan": "air-1.5.0", "wave": 0, "wave_name": "canary", "at_s": arrival(SWITCH_S) + 60,
    }  # fmt: skip
    table = found.packet["tables"]["air"]
    assert list(table["nodes"]) == ["air-1"]
    assert table["controls"] == list(NODES[1:])
    assert abs(table["nodes"]["air-1"]["switch_s"] - SWITCH_S) <= 300


def test_samples_come_out_of_the_store_as_they_went_in(feed: Feed) -> None:
    """The verdict of the store's samples is that of the street's own, metric by metric."""
    tell(feed, rig.mean(c.PM25, lambda _: 100))
    found = judge_wave(feed.store, PLAN, *state(ONE), now_s=0)
    direct = judge(Street(3).samples(1, 4, 16, {0: rig.mean(c.PM25, lambda _: 100)}, looks=1), Judging())
    kept, made = ({one["metric"]: one["halts"] for one in each.packet["results"]} for each in (found, direct))
    assert kept == made


def test_silence_after_the_proof_halts(feed: Feed) -> None:
    tell(feed, rig.silent)
    feed.take(delivery(NODES[0], "event", batch(booted(NEW), boot=BOOT_NEW), arrival(SWITCH_S)))
    found = judge_wave(feed.store, PLAN, *state(ONE), now_s=0)
    assert found.verdict is Verdict.HALT
    assert "time without records" in found.why


def test_a_node_on_trial_counts_once_its_new_program_has_started(feed: Feed) -> None:
    tell(feed, rig.silent)
    trial = {**ONE, NODES[0]: Stage.TRIAL}
    assert judge_wave(feed.store, PLAN, *state(trial), now_s=0).packet["tables"] == {}
    feed.take(delivery(NODES[0], "event", batch(booted(OLD), boot=BOOT_NEW), arrival(SWITCH_S)))
    assert judge_wave(feed.store, PLAN, *state(trial), now_s=0).packet["tables"] == {}
    feed.take(delivery(NODES[0], "event", batch(booted(NEW), boot=BOOT_NEW + 1), arrival(SWITCH_S)))
    assert judge_wave(feed.store, PLAN, *state(trial), now_s=0).verdict is Verdict.HALT


def test_nodes_outside_the_rollout_are_compared_with_if_none_waits(feed: Feed) -> None:
    tell(feed)
    found = judge_wave(feed.store, PLAN, *state({NODES[0]: Stage.PROVED}), now_s=0)
    assert found.packet["tables"]["air"]["controls"] == list(NODES[1:])
    few = replace(PLAN, judging=Judging(controls=2))
    assert len(judge_wave(feed.store, few, *state(ONE), now_s=0).packet["tables"]["air"]["controls"]) == 2


def test_settings_count_from_the_proof_by_what_had_arrived(feed: Feed) -> None:
    """Nothing restarts: up to where the node had told when it took them is its past."""
    tell(feed)
    members, before = state(ONE)
    found = judge_wave(feed.store, replace(PLAN, goal=Goal.CONFIG, targets=()), members, before, now_s=0)
    switch_s = found.packet["tables"]["air"]["nodes"]["air-1"]["switch_s"]
    assert SWITCH_S - 50 * 60 <= switch_s <= SWITCH_S + 15 * 60


def test_whoever_asks_every_second_has_it_read_only_when_somebody_told_of_another_window(
    feed: Feed, monkeypatch: pytest.MonkeyPatch
) -> None:
    tell(feed)
    read = []
    tracks = feed.store.telemetry.tracks

    def noted(nodes: Sequence[str], from_s: int, until_s: int) -> list[Track]:
        read.append(nodes)
        return tracks(nodes, from_s, until_s)

    monkeypatch.setattr(feed.store.telemetry, "tracks", noted)
    watch = Watch()
    members, before = state(ONE)
    first = watch(feed.store, PLAN, members, before, now_s=0)
    once = len(read)
    assert watch(feed.store, PLAN, members, before, now_s=1) is first
    assert len(read) == once
    body = Record(900, SWITCH_S + 40 * 300, TQ_NTP_HOUR, {c.PM25: Sample(90)}).encode()
    feed.tele(NODES[1], body, boot=BOOT_OLD, at_s=arrival(SWITCH_S + 40 * 300))
    watch(feed.store, PLAN, members, before, now_s=2)
    assert len(read) == 2 * once
    assert watch(feed.store, PLAN, members, before, now_s=90) is not first


def test_who_has_not_begun_holds(feed: Feed) -> None:
    found = judge_wave(feed.store, PLAN, *state(dict.fromkeys(NODES, Stage.QUEUED)), now_s=0)
    assert found.verdict is Verdict.HOLD


def test_a_page_needs_nothing_else_and_escapes_everything() -> None:
    street = Street(3).samples(1, 4, 16, {0: rig.flagged(9)})
    odd = "<script>alert(1)</script>"
    subjects = tuple(
        replace(one, track=replace(one.track, node=odd)) if one.switch_s else one for one in street.subjects
    )
    about: dict[str, str | int] = {"rollout": 7, "plan": odd, "wave": 0, "wave_name": odd, "at_s": 1_763_850_000}
    made = evidence_page.page(judge(replace(street, subjects=subjects, about=about), Judging()).packet)
    assert "<script" not in made
    assert not re.search(r"""(?:src|href)\s*=|url\(|@import|https?://(?!www\.w3\.org)""", made)
    assert "default-src &#x27;none&#x27;" in made
    assert made.count('<svg class="plot"') + made.count("No data.") == 13


def test_a_terminal_of_80_columns_shows_the_verdict_first(tmp_path: Path) -> None:
    street = replace(Street(3).samples(2, 4, 16, {0: rig.flagged(9)}), about={"rollout": 7, "at_s": 1_763_850_000})
    packet = judge(street, Judging()).packet
    with (tmp_path / "out").open("w") as stream:
        out = Output("table", stream)
        out.width = 80
        out.record(EVIDENCE, _card(packet), [("By measure", MEASURES, measures(packet))])
    lines: Sequence[str] = (tmp_path / "out").read_text().splitlines()
    assert lines[0].split() == ["Verdict", "halt"]
    assert max(map(len, lines)) <= 80
    first = next(at for at, line in enumerate(lines) if line.startswith("KIND")) + 1
    assert "channels that do not" in lines[first]
    assert "█" * 8 in lines[first]


def test_the_command_shows_what_was_kept_and_writes_the_page(tmp_path: Path) -> None:
    make_fleet(tmp_path / "fleet")
    config = load(tmp_path / "fleet")
    street = replace(Street(3).samples(1, 4, 16, {0: rig.flagged(9)}), about={"rollout": 1, "at_s": 1_763_850_000})
    with Store.open(config.store_url) as store:
        store.nodes.add(Node("air-1", Kind.AIR, "esp32_air"))
        number = store.rollouts.add(PLAN, [Member("air-1", Kind.AIR, 0)], [], "ops", 1_763_800_000)
        missing = run("rollout", "evidence", str(number), "--fleet", tmp_path / "fleet", "--json")
        store.rollouts.add_evidence(number, 0, judge(street, Judging()).packet, 1_763_850_000)
    assert (missing.code, missing.error["code"]) == (3, "not-found")
    page = tmp_path / "evidence.html"
    found = run("rollout", "evidence", str(number), "--out", page, "--fleet", tmp_path / "fleet", "--json")
    assert found.code == 0, found.err
    shown = found.json["evidence"]
    assert shown["verdict"] == "halt"
    assert shown["measures"][0]["metric"] == "lacking"
    assert rejudge(shown["packet"]).verdict is Verdict.HALT
    assert page.read_text().startswith("<!doctype html>")
    assert run("rollout", "evidence", str(number), "--wave", "2", "--fleet", tmp_path / "fleet").code == 3
