"""The virtual clock: what time may do, and what it never does."""

from tools.sim.clock import CREDIT_MS, PERIOD, VirtualClock, ticks_diff


class Machine:
    """A real clock by hand: computing and polling take the time they are told to."""

    def __init__(self, start: int = 0) -> None:
        self.now = start
        self.polled: list[int] = []
        self.oversleeps = 0
        self.wakes_after: "int | None" = None

    def ms(self) -> int:
        return self.now

    def poll(self, dt: int) -> None:
        self.polled.append(dt)
        if self.wakes_after is not None:
            dt = min(dt, self.wakes_after)
        self.now += dt + (self.oversleeps if dt else 0)


def test_at_rate_60_a_minute_passes_in_a_second() -> None:
    machine = Machine()
    clock = VirtualClock(machine.ms, 60000)
    clock.wait(60000, machine.poll)
    assert machine.now == 1000
    assert clock.elapsed_ms == 60000


def test_computing_passes_at_the_real_rate_and_earns_credit_for_the_next_sleep() -> None:
    machine = Machine()
    clock = VirtualClock(machine.ms, 60000)
    machine.now += 100
    before = clock.elapsed_ms
    clock.ticks()
    assert clock.elapsed_ms == before + 100
    clock.wait(5900, machine.poll)
    assert machine.polled == [0]
    assert clock.elapsed_ms == 6000
    clock.wait(60, machine.poll)
    assert machine.polled == [0, 1]


def test_a_late_wake_up_never_passes_the_next_timer() -> None:
    machine = Machine()
    machine.oversleeps = 500
    clock = VirtualClock(machine.ms, 60000)
    for _ in range(100):
        before = clock.elapsed_ms
        clock.wait(1000, machine.poll)
        assert clock.elapsed_ms == before + 1000


def test_a_machine_that_stalled_is_late_by_at_most_the_credit() -> None:
    machine = Machine()
    clock = VirtualClock(machine.ms, 60000)
    machine.now += 3600 * 1000
    stalled = clock.ticks()
    clock.wait(10 * CREDIT_MS, machine.poll)
    assert clock.ticks() == stalled + 10 * CREDIT_MS
    assert machine.polled == [9 * CREDIT_MS // 60]


def test_a_socket_that_wakes_early_lets_only_the_time_pass_that_passed() -> None:
    machine = Machine()
    machine.wakes_after = 7
    clock = VirtualClock(machine.ms, 60000)
    clock.wait(60000, machine.poll)
    assert clock.elapsed_ms == 420


def test_while_a_peer_has_to_answer_time_is_gentle_and_catches_up_afterwards() -> None:
    machine = Machine()
    clock = VirtualClock(machine.ms, 60000)
    clock.waits_for_peer = lambda: True
    clock.wait(15000, machine.poll)
    assert machine.now == 1500
    assert clock.elapsed_ms == 15000
    clock.waits_for_peer = lambda: False
    clock.wait(75000, machine.poll)
    assert machine.now == 1500
    assert clock.elapsed_ms == 90000


def test_a_leap_lands_exactly_and_takes_no_real_time() -> None:
    machine = Machine()
    landed: list[int] = []
    clock = VirtualClock(machine.ms, 1000)
    clock.leap(86400000, lambda: landed.append(clock.elapsed_ms))
    while not landed:
        clock.wait(60001, machine.poll)
    assert landed == [86400000]
    assert machine.now == 0
    clock.wait(50, machine.poll)
    assert machine.now == 50


def test_a_board_sees_its_ticks_wrap_and_asyncio_does_not() -> None:
    machine = Machine()
    clock = VirtualClock(machine.ms, 1000, PERIOD - 5)
    before = clock.ticks_ms()
    asyncio_before = clock.ticks()
    clock.wait(20, machine.poll)
    assert clock.ticks_ms() == 15
    assert clock.ticks() - asyncio_before == 20
    assert ticks_diff(clock.ticks_ms(), before) == 20
    assert ticks_diff(before, clock.ticks_ms()) == -20


def test_without_a_timer_the_poll_may_last_for_ever_and_counts_at_the_rate() -> None:
    machine = Machine()
    clock = VirtualClock(machine.ms, 3000)
    clock.wait(-1, lambda dt: machine.poll(50))
    machine.polled.clear()
    clock.wait(100, machine.poll)
    assert machine.polled == [0]
    assert clock.elapsed_ms == 150
