"""The demonstration itself: sets up, shows, ends."""

import asyncio
import sys
import time
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console as Terminal

from fleet.store import Store
from tools.demo import plan, rollouts, table
from tools.demo.screen import Screen
from tools.demo.story import Story
from tools.demo.summary import summary
from tools.switchboard import WorldClock
from tools.testbed import Account, Testbed
from tools.testbed.bed import broker_log
from tools.testbed.console import Console
from tools.testbed.node import Seat
from tools.testbed.press import Press

_WORDS = ("node list", "node command ping air-1", "node config set air-1 batch=1", "data show")
REFRESH_S = 0.5
MINUTE_S = 60
WAITS = 6  # things that are waited for, each with patience


@dataclass(frozen=True)
class Options:
    """What the demonstration was asked for."""

    seats: tuple[Seat, ...]
    rate: float
    once: bool
    directory: Path
    kept: bool  # the directory stays

    @property
    def patience_s(self) -> float:
        """How long one thing may take: a light node needs 20 of its minutes to report, a canary some more."""
        return 60.0 + 60 * MINUTE_S / self.rate

    @property
    def head_start_s(self) -> float:
        """How far in the past the nodes begin at least, so that fast time does not run into the future."""
        return (self.rate - 1) * WAITS * self.patience_s


class Show:
    """One demonstration. `run` gives the summary; `problem` of it is empty when everything went well."""

    def __init__(self, options: Options, terminal: Terminal) -> None:
        self._options = options
        self._screen = Screen(terminal)
        self._began = time.monotonic()
        self._first_s: float | None = None

    async def run(self) -> dict[str, Any]:
        """Set up, show until the end, take everything down."""
        options, say = self._options, self._screen.say
        say(f"Setting up broker and service, flashing {len(options.seats)} virtual boards in {options.directory} ...")
        world = WorldClock(plan.begin_s(time.time(), options.head_start_s), options.rate)
        press = options.directory / "press"
        async with AsyncExitStack() as stack:
            testbed = Testbed(options.directory, options.seats, world, found=Press(press).found)
            bed = await stack.enter_async_context(testbed)
            store = stack.enter_context(Store.open(bed.config.store_url))
            await bed.power_on()
            await stack.enter_async_context(Console(bed))
            for line in where(bed, options):
                say(line)
            stack.enter_context(self._screen)
            story = Story(bed, store, say, options.patience_s)
            drawing = asyncio.create_task(self._draw(bed, store))
            try:
                account = await self._tell(story, press, bed)
            finally:
                drawing.cancel()
                with suppress(asyncio.CancelledError):
                    await drawing
            self._look(bed, store)
            return summary(bed, store, account, story.told, self._first_s, time.monotonic() - self._began)

    async def _tell(self, story: Story, press: Path, bed: Testbed) -> Account:
        """The whole story; then, unless that was all, until somebody cancels it: what began in the past goes on in real
        time once it is here."""
        await story.tell(press)
        if story.told.problem and not self._options.once:
            self._screen.say(f"Error: {story.told.problem}")
        while not self._options.once:
            if bed.world.rate > 1 and bed.world.utc_s() >= time.time():
                await bed.set_rate(1)
            await asyncio.sleep(REFRESH_S)
        return await story.settled()

    async def _draw(self, bed: Testbed, store: Store) -> None:
        while True:
            self._look(bed, store)
            await asyncio.sleep(REFRESH_S)

    def _look(self, bed: Testbed, store: Store) -> None:
        account = bed.account()
        if self._first_s is None and account.records:
            self._first_s = time.monotonic() - self._began
        now = rollouts.look(store)
        rows = table.lines(store, account.records, now.words)
        self._screen.draw(rows, [line for line in (headline(account, bed), now.headline) if line])


def headline(account: Account, bed: Testbed) -> str:
    """One line about the whole fleet."""
    clock = time.strftime("%H:%M:%S", time.gmtime(bed.world.utc_s()))
    speed = f"time x {bed.world.rate:g}" if bed.world.rate != 1 else "real time"
    return f"{clock} UTC, {speed}: {sum(account.records.values())} records stored, {len(account.lost)} on their way"


def where(bed: Testbed, options: Options) -> list[str]:
    """Where everything is, and what to try."""
    rows = [
        f"  fleet     {bed.fleet_dir}",
        f"  database  {bed.database}",
        f"  logs      {bed.directory / 'service.log'}, {broker_log(bed.config)}",
        f"  nodes     {bed.directory / 'nodes'}/*/serial.log",
        f"  broker    mqtts://{bed.config.broker.host}:{bed.config.broker.port}",
    ]
    if not options.once:
        rows.append("Try in another terminal, in this directory:")
        rows.append(f"  export PATH={Path(sys.executable).parent}:$PATH FLEET_DIR={bed.fleet_dir}")
        words = ("rollout list", "rollout watch 1", "rollout evidence 2", "node explain air-2", *_WORDS)
        rows += [f"  fleet {word}" for word in words]
        rows.append(f"  python -m tools.switchboard {options.directory} kill broker")
        end = "Ctrl-C ends everything." if options.kept else "Ctrl-C ends everything and removes that directory."
        rows.append(end)
    return rows
