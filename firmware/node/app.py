"""The node as a whole: builds every object once, wires them, runs them. `main.py` and the simulator only bring a board.

board, files -> identity, clock, boot number -> time, config -> outbox -> journal -> link -> product, commands -> tasks
"""

import asyncio
import sys

from node import VERSION
from node.core import boots, breadcrumb, provisioned
from node.core.clock import Clock
from node.core.commands import Commands
from node.core.config import Config
from node.core.context import Context
from node.core.health import Lag
from node.core.integers import clamp
from node.core.journal import Journal
from node.core.log import Lines, plain
from node.core.orders import Orders
from node.core.outbox import Outbox
from node.core.slots import Slots
from node.core.timekeeper import Timekeeper
from node.tasks import console, logs
from node.tasks.heartbeat import Reporter
from node.tasks.link import Link
from node.tasks.supervise import Supervise
from node.tasks.timesync import TimeSync
from node.tasks.update import Update
from node.tasks.upkeep import Upkeep
from protocol import events, report
from protocol.messages import LOG_ERROR, LOG_INFO, LOG_WARNING, RESET_POWER_ON, Boot

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable

    from node.board.door import BoardDoor
    from node.core.files import FilesDoor

WATCHDOG_MS = 60000
_BEAT_MS = 30000  # budget of a task that beats every few seconds
_LINK_MS = 90000  # the link may wait 30 s for the network and 15 s for a handshake
_OFFSET_MS = (1 << 31) - 1  # a clock that was off by years must not keep the node from reporting
_TAG = "app"


class App:
    """One run of a node on `board` with the flash `files`, started from `slot`.

    `write` prints a line on the serial console, `stdin` is what is typed there, as a stream of bytes."""

    def __init__(
        self,
        board: "BoardDoor",
        files: "FilesDoor",
        slot: str = "a",
        write: "Callable[[str], object]" = print,
        stdin: "Any" = None,
    ) -> None:
        self.board = board
        self._write = write
        self._stdin = stdin
        self.files = files
        self.identity = provisioned.load(files)
        self.net = board.network()
        self.slots = Slots(files, slot)
        self._reason: "str | None" = None
        self._end_ms = 0
        self._remember()
        self._connect()
        self._start()

    def _remember(self) -> None:
        """What lives on flash: boot number, time, configuration, entries."""
        board, files = self.board, self.files
        self.clock = Clock(board.ticks_ms, board.ticks_diff)
        self._last = breadcrumb.decode(board.rtc_read())
        self._cause = board.reset_cause()
        self._intended = self._last is not None and self._last.reason != ""
        self.boots = boots.begin(files, self.identity.boot0, self._cause, self._intended)
        self.trail = breadcrumb.Trail(board.rtc_write)
        self.config = Config(files, self.clock)
        self.log = Lines(self.clock, self.boots.boot, self._write, lambda: self.config.get("log_level"))
        self.time = Timekeeper(files, self.clock, self.boots.boot, self.identity.made)
        self.outbox = Outbox(files, self.clock, self.boots.boot, self.config.get, self.time.zero_s)
        self.journal = Journal(self.outbox, self.clock)
        if not boots.number(files, self.boots, self.outbox):
            self.log(LOG_ERROR, _TAG, "the flash takes no boot number: entries are refused")

    def _connect(self) -> None:
        """The way to the fleet manager."""
        board, config = self.board, self.config
        self.link = Link(
            self.clock,
            self.identity,
            self.net,
            self.outbox,
            config.get,
            board.random,
            self.log,
            boot=self.boots.boot,
            set_rtc=board.set_rtc,
            heap=board.heap,
            power_on=self._cause == RESET_POWER_ON,
        )
        servers = self.identity.ntp
        self.timesync = TimeSync(self.clock, servers, self.link.resolver, config.get, board.random, self.log)
        self.reporter = Reporter(self)
        orders = Orders(self.clock, config, self.log, self.restart, self.reporter.now)
        self.product = self._build_product()
        orders.table.update(self.product.commands)
        self.update = Update(self)
        orders.table["prove"] = self.update.prove
        self.commands = Commands(self.files, self.clock, self.boots.boot, orders.table, self._reply, self._audit)
        self.link.handlers["cmd"] = self.commands.handle
        self.link.handlers["config"] = config.handle
        self.link.on_up.append(self.reporter.now)
        self.link.on_up.append(self.timesync.soon)
        config.changed.append(self.reporter.now)

    def _build_product(self) -> "Any":
        """The product of this kind of node. In safe mode it does only what must never stop."""
        package = __import__("node.tasks." + self.identity.kind, None, None, ("build",))
        context = Context(self.board, self.files, self.identity, self.clock, self.journal, self.config.get, self.log)
        return package.build(context, self.boots.safe_mode)

    def _start(self) -> None:
        """The tasks, and what is done each second beside them."""
        self.lag = Lag()
        watchdog = self.board.watchdog(WATCHDOG_MS)
        self.supervise = Supervise(self.clock, self.journal, self.trail, self.lag, self.log, watchdog, WATCHDOG_MS)
        for row in self.product.tasks:
            self.supervise.add(row)
        self.supervise.add(("link", self.link.run, _LINK_MS, True))
        self.supervise.add(("time", self.timesync.run, _BEAT_MS, False))
        self.supervise.add(("report", self.reporter.run, _BEAT_MS, True))
        self.supervise.add(("update", self.update.run, _BEAT_MS, False))
        self.supervise.add(("logs", lambda beat: logs.run(self.log, self.link, beat), _BEAT_MS, False))
        self.supervise.housekeeping.extend(Upkeep(self).steps)

    async def run(self) -> None:
        """Run until the node has to restart; then end in order and reset the board."""
        asyncio.get_event_loop().set_exception_handler(self._stray)
        self.report()
        if self._stdin is not None:
            self._console = asyncio.create_task(console.run(self._stdin, self.report))
        self._announce()
        self.commands.resume(self._intended)
        await self.supervise.run(self._is_over)
        await self.link.close()
        await self.supervise.stop()
        self.product.close()
        self.time.tick(False)
        self.trail.ends(self._reason or "", self.clock.uptime_s())
        self.board.reset()

    def restart(self, reason: str, wait_ms: int = 0) -> None:
        """Restart the node on purpose after `wait_ms`; the next boot reports the reason."""
        if self._reason is None:
            self._reason = plain(reason, 48)
            self._end_ms = self.clock.uptime_ms() + wait_ms
            self.log(LOG_WARNING, _TAG, "restarting: " + reason)

    def healthy(self) -> bool:
        """True when the product can do its work, and all of it that could be done before an update."""
        return bool(self.product.healthy()) and self.update.is_fit()

    def ntp_offset_ms(self) -> "int | None":
        """How far the clock was off at the last synchronisation, within the bounds of Heartbeat."""
        offset_ms = self.timesync.offset_ms
        return None if offset_ms is None else clamp(offset_ms, -_OFFSET_MS, _OFFSET_MS)

    def sensor_errors(self) -> int:
        """Failed sensor readings since boot."""
        return getattr(self.product, "sensor_errors", 0)

    def _is_over(self) -> bool:
        return self._reason is not None and self.clock.uptime_ms() >= self._end_ms

    def report(self) -> None:
        """Say on the serial console who this is (SPEC 12)."""
        line = report.report(
            report.NODE,
            node=self.identity.node,
            fw=VERSION,
            manifest=self.slots.manifest.hex(),
            slot=self.slots.running,
            boot=self.boots.boot,
            kind=self.identity.kind,
            board=self.identity.board,
            mac=self.board.unique_id().hex(),
            cause=self._cause,
            waiting=self.outbox.waiting(),
        )
        self._write(line)

    def _reply(self, payload: bytes) -> None:
        if not self.link.publish("reply", payload):
            self.log(LOG_WARNING, _TAG, "no room for a reply")

    def _audit(self, name: str, status: int, code: int, actor: str) -> None:
        self.journal.event(events.COMMAND, attrs={1: name, 2: status, 3: code, 4: actor})

    def _announce(self) -> None:
        """Report what started and why the last run ended."""
        boot = self._boot_message()
        self.log(
            LOG_INFO, _TAG, "{} {} boot {} slot {}".format(self.identity.node, VERSION, self.boots.boot, boot.slot)
        )
        self.journal.event(events.BOOT, attrs=boot.to_map())
        if boot.safe_mode:
            self.log(LOG_ERROR, _TAG, "safe mode after {} crashes".format(boot.crashes))
            self.journal.event(events.SAFE_MODE, attrs={1: boot.crashes})
        self.update.begin(self._cause, self._last.reason if self._last else "")
        if self.slots.reverted is not None:
            try:
                self.slots.settle()
            except OSError as error:  # the flash refuses: the next boot reports it again
                self.log(LOG_ERROR, _TAG, "slot pointer: {}".format(error))

    def _boot_message(self) -> Boot:
        last = self._last or breadcrumb.Breadcrumb()
        reason = last.reason
        if self.slots.reverted is not None:
            reason = "reverted slot {}".format(self.slots.reverted)
        return Boot(
            firmware=VERSION,
            cause=self._cause,
            intended=self._intended,
            reason=reason,
            slot=self.slots.running,
            board=self.identity.board,
            kind=self.identity.kind,
            config_rev=self.config.applied,
            breadcrumb=last.text(),
            prev_up_s=last.up_s,
            manifest=self.slots.manifest,
            micropython=".".join([str(part) for part in sys.implementation.version]).rstrip("."),
            crashes=self.boots.crashes,
            safe_mode=self.boots.safe_mode,
        )

    def _stray(self, loop: "Any", context: "dict[str, Any]") -> None:
        """A task that nobody waits for has failed: say so, it was not one of the watched ones."""
        self.log(LOG_ERROR, _TAG, "stray task: {!r}".format(context.get("exception")))


def build(
    board: "BoardDoor",
    files: "FilesDoor",
    slot: str = "a",
    write: "Callable[[str], object]" = print,
    stdin: "Any" = None,
) -> App:
    """The node on that board; raises NotProvisionedError, and OSError when the flash cannot be written."""
    return App(board, files, slot, write, stdin)
