"""Keeps the clock right: asks all SNTP servers, believes the median, sets the clock. Never blocks."""

import asyncio

from node.core import sntp
from node.core.dns import DnsError
from node.core.sntp import SntpError
from node.tasks.wire import ask
from protocol.messages import LOG_INFO, LOG_WARNING
from protocol.records import TQ_NTP_HOUR

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable

    from node.core.clock import Clock
    from node.tasks.resolver import Resolver

ANSWER_MS = sntp.MAX_ROUND_TRIP_MS  # patience with one server: a later answer would be refused
FIRST_MS = 2000  # wait after the first failure; doubles up to LAST_MS
LAST_MS = 600000
BEAT_MS = 10000  # longest silence of `beat` while waiting
_TAG = "time"


class TimeSync:
    """The SNTP client of a node. `servers` are "host" or "host:port"; `setting("ntp_s")` is the time between two
    rounds.

    `offset_ms` is how far the clock was off at the last round (None before the second), `rounds` and `failures` count
    since boot. `on_set` callbacks run after each successful round.
    """

    def __init__(
        self,
        clock: "Clock",
        servers: "list[str]",
        resolver: "Resolver",
        setting: "Callable[[str], int]",
        random: "Callable[[int], int]",
        log: "Callable[[int, str, str], None]",
    ) -> None:
        self.offset_ms: "int | None" = None
        self.round_trip_ms: "int | None" = None
        self.failing = True  # the latest round gave no time, or there was none
        self.rounds = 0
        self.failures = 0
        self.on_set: "list[Callable[[], None]]" = []
        self._clock = clock
        self._servers = servers
        self._resolver = resolver
        self._setting = setting
        self._random = random
        self._log = log
        self._hurry = asyncio.Event()

    async def run(self, beat: "Callable[[], None]") -> None:
        """Synchronise for ever; calls `beat` at least every 15 s."""
        patience_ms = FIRST_MS
        while True:
            if not self._resolver.is_up():  # the link brings the network up; until then nothing has failed
                await self._interrupted(FIRST_MS, beat)
                continue
            if await self.once(beat):
                patience_ms = FIRST_MS
                wait_ms = self._setting("ntp_s") * 1000
            else:
                wait_ms = patience_ms
                patience_ms = min(2 * patience_ms, LAST_MS)
            wait_ms += self._random(wait_ms // 8 + 1)  # a fleet must not ask in step
            if await self._interrupted(wait_ms, beat):
                patience_ms = FIRST_MS

    def soon(self) -> None:
        """The way to the servers may be open again: do not wait when the latest round failed."""
        if self.failing:
            self._hurry.set()

    async def _interrupted(self, wait_ms: int, beat: "Callable[[], None]") -> bool:
        """Wait; True when `soon` cut it short."""
        self._hurry.clear()
        while wait_ms > 0 and not self._hurry.is_set():
            beat()
            try:
                await asyncio.wait_for_ms(self._hurry.wait(), min(wait_ms, BEAT_MS))
            except asyncio.TimeoutError:
                wait_ms -= BEAT_MS
        return self._hurry.is_set()

    async def once(self, beat: "Callable[[], None]") -> bool:
        """Ask every server once and set the clock; False when nobody gave a time to believe."""
        answers = []
        for server in self._servers:
            beat()
            try:
                answers.append(await self._ask(server))
            except asyncio.TimeoutError:
                self._log(LOG_INFO, _TAG, "{}: no answer".format(server))
            except (SntpError, DnsError, OSError) as error:
                self._log(LOG_INFO, _TAG, "{}: {}".format(server, error))
        best = sntp.choose(answers)
        self.failing = best is None
        if best is None:
            self.failures += 1
            if answers:
                self._log(LOG_WARNING, _TAG, "two servers disagree: name a third")
            return False
        self._set(best)
        return True

    async def _ask(self, server: str) -> sntp.Answer:
        host, _, port = server.partition(":")
        ip = await self._resolver.resolve(host)
        cookie = bytes([self._random(256) for _ in range(8)])
        buffer = bytearray(sntp.SIZE)
        sent_ms = self._clock.uptime_ms()
        count = await ask(ip, int(port or sntp.PORT), sntp.request(cookie), buffer, ANSWER_MS)
        received_ms = self._clock.uptime_ms()
        return sntp.answer(memoryview(buffer)[:count], cookie, sent_ms, received_ms, self._clock.floor_s)

    def _set(self, best: sntp.Answer) -> None:
        now_ms = best.epoch_ms + self._clock.uptime_ms()
        before_ms = self._clock.utc_ms()
        self._clock.set_utc(now_ms, TQ_NTP_HOUR)
        self.rounds += 1
        self.round_trip_ms = best.round_trip_ms
        self.offset_ms = None if before_ms is None else now_ms - before_ms
        text = "set for the first time" if before_ms is None else "set, was off by {} ms".format(self.offset_ms)
        self._log(LOG_INFO, _TAG, text)
        for callback in self.on_set:
            callback()
