"""A virtual clock under MicroPython's asyncio: time runs at any rate, and no timer is ever skipped.

`install()` puts it between asyncio and the kernel: asyncio reads its ticks here, and where it would wait for sockets
it waits here. Time passes at the real rate while the program computes; what the real clock grants beyond that is
credit, and it is spent only while every task sleeps, never past the next timer. So a slow machine makes a simulated
node late, not wrong. While the program waits for an answer from the real world, which knows nothing of this clock, time
runs at GENTLE at most, so that its patience stays worth something; afterwards it catches up. A leap passes time as
fast as the program can sleep.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable

MILLI = 1000  # rates are in thousandths: 1000 is real time
GENTLE = 10 * MILLI  # 15 s of patience with a TLS handshake are 1.5 s
CREDIT_MS = 600000  # how far a node may be behind the world; beyond that it stays behind
POLL_MS = 500
LEAD_MS = 1 << 40  # asyncio's C code stamps what is ready at once with real ticks: they have to lie in the past
PERIOD = 1 << 30  # ms after which the ticks of a 32-bit board start again (12.4 days)


class VirtualClock:
    """Milliseconds at `rate` thousandths of real time, which `real_ms()` reads; `start`: the board's first ticks."""

    def __init__(self, real_ms: "Callable[[], int]", rate: int = MILLI, start: int = 0) -> None:
        self._real_ms = real_ms
        self._real = real_ms()
        self._start = start
        self._lead = self._real + LEAD_MS
        self.rate = rate
        self.elapsed_ms = 0  # since the clock was made
        self.waits_for_peer: "Callable[[], bool]" = _never
        self._credit = 0  # thousandths of a millisecond
        self._leap = 0  # milliseconds left to leap over
        self._unpolled = 0  # of them, milliseconds since sockets were looked at
        self._on_landed: "Callable[[], None] | None" = None

    def ticks(self) -> int:
        """The virtual milliseconds for asyncio. They do not wrap, as those of a 64-bit MicroPython do not."""
        self._settle()
        return self._lead + self.elapsed_ms

    def now_ms(self) -> int:
        """The virtual milliseconds since the clock was made."""
        self._settle()
        return self.elapsed_ms

    def ticks_ms(self) -> int:
        """The same as a board counts them from its start: they wrap."""
        self._settle()
        return (self._start + self.elapsed_ms) % PERIOD

    def ticks_us(self, real_us: int) -> int:
        """Microseconds from the board's start, which wrap; `real_us` is the real clock with the origin of `real_ms`."""
        self._settle()
        within = 0 if self._leap > 0 else real_us - self._real * 1000
        return ((self._start + self.elapsed_ms) * 1000 + within) % PERIOD

    def set_rate(self, rate: int) -> None:
        """Run at `rate` thousandths of real time from now on."""
        self._settle()
        self.rate = rate
        self._credit = 0

    def leap(self, milliseconds: int, on_landed: "Callable[[], None]") -> None:
        """Pass the next `milliseconds` as fast as the program sleeps, then call `on_landed` and go on at the rate."""
        self._settle()
        self._leap = milliseconds
        self._on_landed = on_landed

    def land(self) -> None:
        """End a leap here and now: what was left of it has passed."""
        if self._leap > 0:
            self._pass(self._leap)

    def wait(self, dt: int, poll: "Callable[[int], None]") -> None:
        """What asyncio does when its next timer is `dt` ms away (-1: no timer): wait for sockets, let time pass."""
        if self._leap > 0 and dt >= 0:
            self._leap_over(dt, poll)
            return
        if dt <= 0:
            poll(dt)
            return
        self._settle()
        gentle = self.rate > GENTLE and self.waits_for_peer()
        missing = dt * MILLI if gentle else dt * MILLI - self._credit
        poll(-(-missing // (GENTLE if gentle else self.rate)) if missing > 0 else 0)
        spent = self._spent()
        credit = self._credit + spent * self.rate
        step = min(dt, (spent * GENTLE if gentle else credit) // MILLI)
        self._credit = min(credit - step * MILLI, CREDIT_MS * MILLI)
        self._pass(step)

    def _leap_over(self, dt: int, poll: "Callable[[int], None]") -> None:
        """Sleep without waiting. Computing takes no time in a leap, so each is like the other; sockets are looked at
        every POLL_MS."""
        self._unpolled += dt
        if self._unpolled >= POLL_MS:
            self._unpolled = 0
            poll(0)
        self._pass(min(dt, self._leap))

    def _settle(self) -> None:
        """Account the real time since the last look: it was spent computing."""
        if self._leap > 0:
            return
        spent = self._spent()
        if spent > 0:
            self._credit = min(self._credit + spent * max(self.rate - MILLI, 0), CREDIT_MS * MILLI)
            self._pass(spent)

    def _spent(self) -> int:
        """Real milliseconds since the last call."""
        now = self._real_ms()
        spent = now - self._real
        self._real = now
        return spent

    def _pass(self, milliseconds: int) -> None:
        self.elapsed_ms += milliseconds
        if self._leap > 0:
            self._leap -= milliseconds
            if self._leap <= 0 and self._on_landed is not None:
                self._spent()
                self._on_landed()


def _never() -> bool:
    return False


def ticks_diff(end: int, start: int) -> int:
    """`end - start` of two readings of `ticks_ms()` that are less than half a period apart."""
    half = PERIOD // 2
    return (end - start + half) % PERIOD - half


def install(clock: VirtualClock) -> None:
    """Make asyncio run on `clock`; call it before the first task exists."""
    import asyncio

    core: "Any" = asyncio.core  # type: ignore[attr-defined]

    class Waiter(core.IOQueue):  # type: ignore[misc]
        """The socket poller, asked through the clock."""

        def wait_io_event(self, dt: int) -> None:
            clock.wait(dt, super().wait_io_event)

    core.ticks = clock.ticks
    core.IOQueue = Waiter
    core.new_event_loop()
