"""The parts of hil_tests that decide: which test runs on which board, and what on a console is a crash."""

from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from fleet.hil import inventory
from fleet.hil.inventory import Quarantine
from hil_tests.harness import crashes
from hil_tests.harness.assign import Needs, Seat, seats

BENCH = inventory.parse(
    {
        "board": [
            {"id": "air-1", "port": "a", "fixtures": ["faults"], "power": {"driver": "virtual"}},
            {"id": "air-2", "port": "b", "chip": "esp32s3", "tags": ["bench-left"]},
            {"id": "light-1", "port": "c", "kind": "light", "power": {"driver": "rts"}},
        ]
    },
    Path("bench.toml"),
)

SEATS = {
    "tests without needs are spread over all boards": ([Needs()] * 4, ["air-1", "air-2", "light-1", "air-1"]),
    "a kind has its boards in turn": ([Needs(kinds=("air",))] * 3, ["air-1", "air-2", "air-1"]),
    "what only one has, that one does": ([Needs(fixtures=("faults",))] * 2, ["air-1", "air-1"]),
    "a chip": ([Needs(chips=("esp32s3",))], ["air-2"]),
    "a tag": ([Needs(tags=("bench-left",))], ["air-2"]),
    "a switch takes power away, RTS does not": ([Needs(switch=True)] * 2, ["air-1", "air-1"]),
    "the load of others counts": ([Needs(fixtures=("faults",)), Needs(kinds=("air",))], ["air-1", "air-2"]),
}
NONE = {
    "a fixture that nobody has": (Needs(fixtures=("relay",)), "no fixture relay on this bench"),
    "a kind with a fixture of another": (
        Needs(kinds=("light",), fixtures=("faults",)),
        "no board that is light, faults",
    ),
    "a chip that nobody has": (Needs(chips=("esp32c3",)), "no board that is esp32c3"),
}


@pytest.mark.parametrize(("needs", "boards"), SEATS.values(), ids=SEATS.keys())
def test_each_test_gets_a_board(needs: list[Needs], boards: list[str]) -> None:
    assert [seat.boards[0].id for seat in seats(BENCH.boards, needs)] == boards


@pytest.mark.parametrize(("need", "why"), NONE.values(), ids=NONE.keys())
def test_what_the_bench_lacks_is_named(need: Needs, why: str) -> None:
    (seat,) = seats(BENCH.boards, [need])
    assert (seat.boards, seat.why) == ((), why)


def test_boards_in_quarantine_are_used_only_when_they_are_asked_for() -> None:
    aside = replace(BENCH.boards[0], quarantine=Quarantine("relay sticks", date(2026, 11, 22)))
    need = Needs(fixtures=("faults",))
    assert seats([aside], [need]) == [Seat((), "in quarantine: air-1", True)]
    assert seats([aside], [need], quarantined=True) == [Seat((aside,))]


def test_a_bench_without_switches_says_so() -> None:
    (seat,) = seats(BENCH.boards[1:], [Needs(switch=True)])
    assert seat.why == "no board of this bench has a switch for its power"


CRASHES = {
    "a quiet console": (["1.000 I app: air-1 0.1.0 boot 3 slot a", ">>> "], []),
    "a traceback": (
        ["Traceback (most recent call last):", '  File "main.py", line 3, in main', "ValueError: no", "next"],
        ["ValueError: no"],
    ),
    "a traceback in a line of our log": (
        ['9.120 E sampling: Traceback (most recent call last): |   File "x.py", line 3 | OSError: 19 | '],
        ["sampling: OSError: 19"],
    ),
    "a traceback in our log whose head is cut off": (
        ['9.120 E metering:  recent call last): |   File "a.py", line 1, in run |   File "b.py" | ValueError: x | '],
        ["metering: ValueError: x"],
    ),
    "a warning of our log that only speaks of one": (["9.120 W app: no Traceback here"], []),
    "a panic": (["Guru Meditation Error: Core  0 panic'ed (LoadProhibited)."], None),
    "a watchdog": (["rst:0x8 (TG1WDT_SYS_RESET),boot:0x13 (SPI_FAST_FLASH_BOOT)"], None),
    "a brown-out": (["Brownout detector was triggered"], None),
    "power on": (["rst:0x1 (POWERON_RESET),boot:0x13 (SPI_FAST_FLASH_BOOT)"], []),
    "two in a row": (
        ["Traceback (most recent call last):", "ValueError: a", "Traceback (most recent call last):", "KeyError: b"],
        ["ValueError: a", "KeyError: b"],
    ),
}


@pytest.mark.parametrize(("lines", "found"), CRASHES.values(), ids=CRASHES.keys())
def test_a_crash_is_found_on_the_console(lines: list[str], found: list[str] | None) -> None:
    assert crashes.find(lines) == (lines if found is None else found)
