"""The demonstration itself: sets up, shows, ends."""

import asyncio
import sys
import time
from collections.abc import Callable
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console as Screen
from rich.live import Live

from fleet.store import Store
from tools.demo import table
from tools.demo.summary import summary
from tools.switchboard import WorldClock
from tools.testbed import Account, Testbed
from tools.testbed.bed import broker_log
from tools.testbed.console import Console
from tools.testbed.node import Seat

REFRESH_S = 0.5
PLAIN_S = 5.0  # between two lines off a terminal
MINUTE_S = 60


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
        """How long every node may take to report, with `once`: a light node needs 20 of its minutes."""
        return 60.0 + 30 * MINUTE_S / self.rate

    @property
    def head_start_s(self) -> float:
        """How far in the past the nodes begin, so that fast time does not run into the future."""
        return (self.rate - 1) * (2 * self.patience_s if self.once else MINUTE_S)


class Show:
    """One demonstration. `run` gives the summary; `problem` of it is empty when everything went well."""

    def __init__(self, options: Options, console: Screen) -> None:
        self._options = options
        self._console = console
        self._began = time.monotonic()
        self._first_s: float | None = None
        self._printed = 0.0

    async def run(self) -> dict[str, Any]:
        """Set up, show until the end, take everything down."""
        options = self._options
        say = self._console.print
        say(f"Setting up broker and service, flashing {len(options.seats)} virtual boards in {options.directory} ...")
        world = WorldClock(time.time() - options.head_start_s, options.rate)
        async with AsyncExitStack() as stack:
            bed = await stack.enter_async_context(Testbed(options.directory, options.seats, world))
            store = stack.enter_context(Store.open(bed.config.store_url))
            await bed.power_on()
            await stack.enter_async_context(Console(bed))
            for line in where(bed, options):
                say(line, highlight=False, soft_wrap=True)
            account = await self._watch(bed, store)
            return summary(bed, store, account, self._first_s, time.monotonic() - self._began)

    async def _watch(self, bed: Testbed, store: Store) -> Account:
        with ExitStack() as screen:
            live = None
            if self._console.is_terminal:
                live = screen.enter_context(Live(console=self._console, auto_refresh=False))
            show = self._on_screen(live) if live else self._as_lines

            def look() -> Account:
                account = bed.account()
                if self._first_s is None and account.records:
                    self._first_s = time.monotonic() - self._began
                show(table.lines(store, account.records), account, bed)
                return account

            return await (self._once(bed, look) if self._options.once else self._for_ever(bed, look))

    async def _for_ever(self, bed: Testbed, look: Callable[[], Account]) -> Account:
        """Until somebody cancels it. The nodes began in the past; once they are here they live in real time."""
        while True:
            look()
            if self._options.rate > 1 and bed.world.rate > 1 and bed.world.utc_s() >= time.time():
                await bed.set_rate(1)
            await asyncio.sleep(REFRESH_S)

    async def _once(self, bed: Testbed, look: Callable[[], Account]) -> Account:
        """Until every node has reported and what they made by then is stored."""
        end = time.monotonic() + self._options.patience_s
        while len(look().records) < len(bed.seats) and time.monotonic() < end:
            await asyncio.sleep(REFRESH_S)
        made = bed.made()
        end = time.monotonic() + self._options.patience_s
        while bed.account(made).lost and time.monotonic() < end:
            look()
            await asyncio.sleep(REFRESH_S)
        look()
        return bed.account(made)

    def _on_screen(self, live: Live) -> Callable[[list[table.Line], Account, Testbed], None]:
        def show(rows: list[table.Line], account: Account, bed: Testbed) -> None:
            live.update(table.render(rows, headline(account, bed)), refresh=True)

        return show

    def _as_lines(self, rows: list[table.Line], account: Account, bed: Testbed) -> None:
        if time.monotonic() - self._printed >= PLAIN_S:
            self._printed = time.monotonic()
            self._console.print(f"{headline(account, bed)}; {table.plain(rows)}", highlight=False, soft_wrap=True)


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
        words = ("node list", "node command ping air-1", "node config set air-1 batch=1", "data show")
        rows += [f"  fleet {word}" for word in words]
        rows.append(f"  python -m tools.switchboard {options.directory} kill broker")
        end = "Ctrl-C ends everything." if options.kept else "Ctrl-C ends everything and removes that directory."
        rows.append(end)
    return rows
