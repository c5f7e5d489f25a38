"""The twin of a fleet: when nodes were there, and what simulated nodes do with orders."""

from random import Random

import pytest

from fleet.model import Kind
from fleet.rollout.model import Halt, Order
from fleet.rollout.plan import Member
from fleet.rollout.rehearse.nodes import Field, Traits
from fleet.rollout.rehearse.twin import DAY_S, Presence, Record, Twin, record
from protocol import update
from protocol.refusals import U_UNREACHED

BEGIN = 1_763_769_600  # a midnight
HOUR = 3600


def beats(*spans: tuple[int, int], every: int = 300) -> list[int]:
    return [BEGIN + at for begin, end in spans for at in range(begin, end, every)]


ALWAYS = beats((0, 2 * DAY_S))
SPANS = {
    "a node that always spoke was always there": (ALWAYS, ((0, 2 * DAY_S),)),
    "a node without a heartbeat was never there": ([], ()),
    "two heartbeats that are missing are a loss, not an absence": (
        beats((0, HOUR), (HOUR + 600, 2 * DAY_S)),
        ((0, 2 * DAY_S),),
    ),
    "an hour of silence is an absence, which begins when the next heartbeat was due": (
        beats((0, 5 * HOUR), (6 * HOUR, 2 * DAY_S)),
        ((0, 5 * HOUR), (6 * HOUR, 2 * DAY_S)),
    ),
    "who sleeps at night has a span each day": (
        beats((6 * HOUR, 20 * HOUR), (DAY_S + 6 * HOUR, DAY_S + 20 * HOUR)),
        ((6 * HOUR, 20 * HOUR), (DAY_S + 6 * HOUR, DAY_S + 20 * HOUR)),
    ),
    "a node with a slow heartbeat is as present as one with a fast": (
        beats((0, 2 * DAY_S), every=3600),
        ((0, 2 * DAY_S),),
    ),
}


@pytest.mark.parametrize("name", SPANS)
def test_presence_is_read_from_heartbeats(name: str) -> None:
    times, spans = SPANS[name]
    found = record({"a": times, "steady": ALWAYS}, BEGIN, BEGIN + 2 * DAY_S, {})
    assert found.twins["a"].spans == spans


def test_a_service_that_did_not_run_says_nothing_about_nodes() -> None:
    heard = beats((0, 5 * HOUR), (9 * HOUR, DAY_S))
    found = record({"a": heard, "b": [time + 7 for time in heard]}, BEGIN, BEGIN + DAY_S, {})
    assert found.twins["a"].spans == ((0, DAY_S),)
    assert found.twins["a"].loss == 0


def test_loss_is_the_share_of_heartbeats_that_are_missing_while_a_node_is_there() -> None:
    every = beats((0, DAY_S))
    lossy = [time for number, time in enumerate(every) if number % 10]
    found = record({"a": lossy, "steady": every}, BEGIN, BEGIN + DAY_S, {"a": 450})
    assert found.twins["a"].loss in range(95, 105)
    assert found.twins["a"].answer_ms == 450


def test_a_record_has_whole_days_and_runs_begin_at_the_same_time_of_day() -> None:
    found = record({"a": ALWAYS}, BEGIN + 5 * HOUR, BEGIN + 2 * DAY_S, {})
    assert (found.length_s, found.days) == (DAY_S, 1)
    long = Record(BEGIN, 3 * DAY_S, {})
    start = BEGIN + 40 * DAY_S + 9 * HOUR
    assert {long.offset(start, day) % DAY_S for day in range(long.days)} == {9 * HOUR}
    assert len({long.offset(start, day) for day in range(long.days)}) == 3


COMINGS = {
    "at the begin of a span": (0, (True, 100)),
    "within a span": (50, (True, 100)),
    "at its end it is gone": (100, (False, 500)),
    "between two spans": (300, (False, 500)),
    "the last span goes on in the first one, for the record begins again": (950, (True, 1100)),
    "a second round is as the first": (1300, (False, 1500)),
}


@pytest.mark.parametrize("name", COMINGS)
def test_presence_goes_on_behind_the_end_of_the_record(name: str) -> None:
    at, expected = COMINGS[name]
    presence = Presence(Twin("a", ((0, 100), (500, 600), (900, 1000))), 1000, 0, 0)
    assert presence.at(at) == expected


def test_who_never_goes_and_who_never_comes_have_no_next_change() -> None:
    assert Presence(Twin("a", ((0, 1000),)), 1000, 700, 5).at(123_456) == (True, 0)
    assert Presence(Twin("a", ()), 1000, 700, 5).at(123_456) == (False, 0)


def field_of(spans: tuple[tuple[int, int], ...], size: int = 40_000, **traits: int) -> Field:
    past = Record(0, DAY_S, {"a": Twin("a", spans)})
    made = Field(past, Traits({"a": size}, **{"flaky": 0, **traits}), Random(1), DAY_S, 0)
    made.add([Member("a", Kind.AIR, 0)])
    return made


def stages(field: Field, until_s: int) -> list[tuple[int, int]]:
    """What the manager hears: (stage, code), each once."""
    found: list[tuple[int, int]] = []
    for now in range(DAY_S, until_s, 5):
        for report in field.until(now):
            if report.online and (report.stage, report.code) not in found[-1:]:
                found.append((report.stage, report.code))
    return found


GOOD = [update.CHECKING, update.DOWNLOADING, update.WAITING, update.TRIAL, update.CONFIRMED]


def test_a_node_that_is_there_goes_through_every_stage_to_a_proof() -> None:
    field = field_of(((0, DAY_S),))
    field.take([Order("a", 2 * DAY_S)], {"a": 1}, DAY_S)
    assert [stage for stage, _ in stages(field, DAY_S + HOUR)] == GOOD
    report = field.nodes["a"].report
    assert (report.proved, report.runs, report.counter) == (True, True, 1)
    assert (field.exposed, field.bytes) == ({"a"}, 40_000)


def test_a_broken_release_is_reverted_after_it_ran() -> None:
    field = field_of(((0, DAY_S),), broken=1000)
    field.take([Order("a", 2 * DAY_S)], {"a": 1}, DAY_S)
    assert [stage for stage, _ in stages(field, DAY_S + HOUR)][-2:] == [update.TRIAL, update.REVERTED]
    assert field.exposed == {"a"}
    assert not field.nodes["a"].report.runs


def test_a_download_that_is_cut_goes_on_when_the_node_comes_back() -> None:
    field = field_of(((0, 40), (2 * HOUR, DAY_S)), size=2_000_000)
    field.take([Order("a", 2 * DAY_S)], {"a": 1}, DAY_S)
    field.until(DAY_S + 60)
    assert not field.nodes["a"].report.online
    assert [stage for stage, _ in stages(field, DAY_S + 3 * HOUR)][-1] == update.CONFIRMED


def test_a_new_program_that_never_reaches_the_broker_is_given_up() -> None:
    field = field_of(((0, 20), (2 * HOUR, DAY_S)))
    field.take([Order("a", 2 * DAY_S)], {"a": 1}, DAY_S)
    assert stages(field, DAY_S + 3 * HOUR)[-1] == (update.REVERTED, U_UNREACHED)


def test_a_node_restarts_within_its_spans_only() -> None:
    field = field_of(((0, DAY_S),))
    opens = DAY_S + 5 * HOUR
    field.take([Order("a", 2 * DAY_S, (), (opens, opens + HOUR))], {"a": 1}, DAY_S)
    field.until(opens - 1)
    assert field.nodes["a"].report.stage == update.WAITING
    field.until(opens + HOUR)
    assert field.nodes["a"].report.stage == update.CONFIRMED


def test_a_halt_stops_what_is_not_done() -> None:
    field = field_of(((0, DAY_S),))
    field.take([Order("a", 2 * DAY_S)], {"a": 1}, DAY_S)
    field.until(DAY_S + 10)
    field.take([Halt(1)], {}, DAY_S + 10)
    field.until(DAY_S + HOUR)
    assert field.nodes["a"].report.stage == update.STOPPED
    assert field.exposed == set()


def test_the_same_seed_gives_the_same_run() -> None:
    runs = []
    for _ in range(2):
        field = field_of(((0, DAY_S),), flaky=500)
        field.take([Order("a", 2 * DAY_S)], {"a": 1}, DAY_S)
        runs.append(stages(field, DAY_S + HOUR))
    assert runs[0] == runs[1]
