"""What has to be looked at every second and belongs to no task: probation, trial, time on flash, reports of loss."""

from node.core import boots
from node.core.recovery import Recovery
from protocol.events import CONFIG, LINK_LOST, OUTBOX_EVICTED, TIME_SYNC
from protocol.messages import LOG_ERROR, LOG_INFO, LOG_WARNING

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Protocol

    from node.board.door import NetworkDoor
    from node.core.boots import Boots
    from node.core.breadcrumb import Trail
    from node.core.clock import Clock
    from node.core.commands import Commands
    from node.core.config import Config
    from node.core.files import FilesDoor
    from node.core.journal import Journal
    from node.core.log import Lines
    from node.core.outbox import Outbox
    from node.core.slots import Slots
    from node.core.timekeeper import Timekeeper
    from node.tasks.link import Link
    from node.tasks.supervise import Supervise
    from node.tasks.timesync import TimeSync
    from node.tasks.update import Update

    class Parts(Protocol):
        """What is looked after; `node.app.App` has it all."""

        files: FilesDoor
        clock: Clock
        boots: Boots
        slots: Slots
        time: Timekeeper
        timesync: TimeSync
        config: Config
        outbox: Outbox
        journal: Journal
        commands: Commands
        trail: Trail
        log: Lines
        link: Link
        net: NetworkDoor
        supervise: Supervise
        update: Update

        def restart(self, reason: str, wait_ms: int = 0) -> None:
            """Restart the node on purpose."""

        def healthy(self) -> bool:
            """True when the product can do its work."""


CONFIRM_S = 900  # a slot on trial that has not proved itself by then is given up
_TRAIL_S = 10
_EVICTED_S = 3600  # between two reports of loss
_DISTRUST_S = 900  # without a session
_LOST_S = 3600  # without its own brokers, before the node looks whether there are others: the least of Root.recovery_s
_AWAY_S = 21600  # with another broker, before it looks for its own ones
_STEP_MS = 1000  # a correction of the clock that is worth an event
_NO_OTHERS: "list[str]" = []
_TAG = "upkeep"


class Upkeep:
    """`steps` are called one after the other each second; one that fails does not keep the others from running."""

    def __init__(self, parts: "Parts") -> None:
        self._parts = parts
        self._steady = False
        self._was_up = False
        self._recovery = Recovery(parts.files)
        self._look_s = 0
        self._since_s = 0
        self._trail_s = 0
        self._acked = 0
        self._evicted = 0
        self._evicted_s = -_EVICTED_S
        self.steps: "tuple[Callable[[], None], ...]" = (
            self._time,
            parts.commands.tick,
            parts.outbox.tick,
            self._probation,
            self._slot,
            self._run,
            self._loss,
            self._session,
            self._brokers,
            parts.update.tick,
        )
        parts.config.changed.append(self._config_changed)
        parts.timesync.on_set.append(self._time_set)

    def _time(self) -> None:
        self._parts.time.tick(self._parts.link.up)

    def _time_set(self) -> None:
        offset = self._parts.timesync.offset_ms
        if offset is None or abs(offset) >= _STEP_MS:
            attrs = {2: self._parts.clock.quality()}
            if offset is not None:
                attrs[1] = offset
            self._parts.journal.event(TIME_SYNC, attrs=attrs)

    def _config_changed(self) -> None:
        config = self._parts.config
        self._acked = self._parts.link.stats.acked
        self._parts.link.renew()
        self._parts.log(
            LOG_WARNING if config.error else LOG_INFO,
            "config",
            "desired {} applied {} error {} {}".format(config.desired, config.applied, config.error, config.path),
        )
        self._parts.journal.event(CONFIG, attrs={1: config.desired, 2: config.error, 3: config.path})

    def _probation(self) -> None:
        """What the broker acknowledges after the change, over a connection of the settings in force, proves that it can
        still be reached."""
        config, link = self._parts.config, self._parts.link
        if config.on_probation and link.stats.acked > self._acked and link.acked_here:
            config.confirm()
        config.tick()

    def _slot(self) -> None:
        parts = self._parts
        if parts.slots.on_trial:
            now = parts.clock.uptime_ms()
            proved = parts.link.up and parts.link.acked_records and parts.supervise.decider.all_beat(now)
            doubted = parts.update.resident.unread or parts.update.resident.ready
            if proved and parts.healthy() and not doubted:
                parts.update.confirm()
            elif now >= CONFIRM_S * 1000:
                parts.restart("slot {} did not prove itself".format(parts.slots.running))
                parts.update.give_up()

    def _run(self) -> None:
        """The run itself: is it steady, is a task beyond help, what would the next boot say of it."""
        parts = self._parts
        if not parts.outbox.numbered and boots.number(parts.files, parts.boots, parts.outbox):
            parts.log(LOG_WARNING, _TAG, "the boot number is on flash: entries are taken again")
        up_s = parts.clock.uptime_s()
        if up_s - self._trail_s >= _TRAIL_S:
            self._trail_s = up_s
            parts.trail.alive(up_s)
        if up_s >= boots.STEADY_S and not self._steady:
            self._steady = True
            boots.steady(parts.files, parts.boots)
        lost = parts.supervise.decider.lost()
        if lost is not None:
            boots.beyond_help(parts.files, parts.boots)
            parts.restart("task {} keeps failing".format(lost))

    def _loss(self) -> None:
        """Entries that the outbox gave up: an event now and then, not one per entry."""
        outbox, up_s = self._parts.outbox, self._parts.clock.uptime_s()
        if outbox.evicted > self._evicted and up_s - self._evicted_s >= _EVICTED_S:
            lost, self._evicted, self._evicted_s = outbox.evicted - self._evicted, outbox.evicted, up_s
            self._parts.log(LOG_ERROR, "outbox", "{} entries given up for lack of room".format(lost))
            self._parts.journal.event(OUTBOX_EVICTED, attrs={1: lost})

    def _session(self) -> None:
        """The end of a session is an event. A network that only claims to be up must start anew now and then."""
        link, up_s = self._parts.link, self._parts.clock.uptime_s()
        if link.up != self._was_up:
            if self._was_up:
                self._parts.journal.event(LINK_LOST, attrs={1: link.stats.last_reason, 2: up_s - self._since_s})
            self._was_up = link.up
            self._since_s = up_s
        elif not link.up and up_s - self._since_s >= _DISTRUST_S:
            self._since_s = up_s
            if self._parts.net.is_up():
                self._parts.net.distrust()

    def _brokers(self) -> None:
        """Without its own brokers for as long as the root says, the node tries those that the root names, too."""
        link, up_s = self._parts.link, self._parts.clock.uptime_s()
        lost_s = self._recovery.lost_s(link.at_home, up_s)
        if lost_s < _LOST_S:
            self._look_s = up_s + _LOST_S - lost_s
            link.others = _NO_OTHERS
        elif up_s >= self._look_s:
            self._look_s = up_s + _AWAY_S
            others, after_s = self._parts.update.resident.recovery()
            link.others = others if lost_s >= after_s else _NO_OTHERS
            if link.up:
                link.go_home()
