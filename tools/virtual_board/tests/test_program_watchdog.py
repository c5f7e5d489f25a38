"""The watchdog of what never waits: computing counts, the load of the machine does not."""

import os

from tools.virtual_board.watchdog import LEAST_S, PERIOD_S, Watchdog, usage

TIMEOUT_MS = 5000


def test_a_program_that_computes_for_longer_than_the_time_out_is_dead():
    dog = Watchdog(1.0)
    cpu_s = 0.0
    while not dog.bites(1, TIMEOUT_MS, False, cpu_s, False):
        cpu_s += PERIOD_S
    assert 5.0 < cpu_s < 5.6


def test_one_that_gets_no_processor_is_not():
    dog = Watchdog(1.0)
    assert not any(dog.bites(1, TIMEOUT_MS, False, 0.1, False) for _ in range(1000))


def test_one_that_is_blocked_is():
    dog = Watchdog(1.0)
    looks = 0
    while not dog.bites(1, TIMEOUT_MS, False, 0.1, True):
        looks += 1
    assert 5.0 <= looks * PERIOD_S < 5.6


def test_feeding_and_waiting_where_it_is_watched_start_it_again():
    dog = Watchdog(1.0)
    for turn in range(100):
        assert not dog.bites(turn // 2, TIMEOUT_MS, False, turn * 2.0, False)
    for turn in range(100):
        assert not dog.bites(50, TIMEOUT_MS, True, 200 + turn * 2.0, True)


def test_without_a_time_out_there_is_none():
    dog = Watchdog(1.0)
    assert not any(dog.bites(0, 0, False, 100.0 * turn, True) for turn in range(100))


def test_where_time_is_fast_a_program_still_may_compute_for_a_while():
    dog = Watchdog(1000.0)
    assert not dog.bites(1, 60000, False, 0.0, False)
    assert not dog.bites(1, 60000, False, LEAST_S - 0.1, False)
    assert dog.bites(1, 60000, False, LEAST_S + 0.1, False)


def test_the_kernel_knows_how_long_we_computed():
    before, _ = usage(os.getpid())
    sum(index * index for index in range(3_000_000))
    after, sleeping = usage(os.getpid())
    assert after > before
    assert not sleeping
