"""Publishes the state of the node: on every connection, on a change of configuration, and every `heartbeat_s`."""

import asyncio

from node import VERSION
from protocol.messages import Heartbeat, State

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Protocol

    from node.board.door import BoardDoor, NetworkDoor
    from node.core.boots import Boots
    from node.core.clock import Clock
    from node.core.config import Config
    from node.core.health import Lag
    from node.core.journal import Journal
    from node.core.log import Lines
    from node.core.outbox import Outbox
    from node.core.slots import Slots
    from node.tasks.link import Link
    from node.tasks.supervise import Supervise
    from protocol.identity import Identity

    class Parts(Protocol):
        """What a report tells about; `node.app.App` has it all."""

        board: BoardDoor
        net: NetworkDoor
        identity: Identity
        clock: Clock
        boots: Boots
        slots: Slots
        config: Config
        outbox: Outbox
        journal: Journal
        log: Lines
        lag: Lag
        link: Link
        supervise: Supervise

        def ntp_offset_ms(self) -> "int | None":
            """Step of the last synchronisation."""

        def sensor_errors(self) -> int:
            """Failed sensor readings since boot."""


_PERIOD_MS = 1000
_MEASURE_S = 10


class Reporter:
    """Assembles Heartbeat and State from the parts of the node."""

    def __init__(self, app: "Parts") -> None:
        self._app = app
        self._heap_min: "int | None" = None
        self._due = True
        self._sent_s = 0

    def now(self) -> None:
        """Something changed: report within a second."""
        self._due = True

    async def run(self, beat: "Callable[[], None]") -> None:
        """Report for ever."""
        app = self._app
        while True:
            beat()
            up_s = app.clock.uptime_s()
            if up_s % _MEASURE_S == 0:
                self.measure()
            if app.link.up and (self._due or up_s - self._sent_s >= app.config.get("heartbeat_s")):
                self._due = not app.link.publish("state", self.state().encode(), retain=True)
                self._sent_s = up_s
            await asyncio.sleep_ms(_PERIOD_MS)

    def measure(self) -> None:
        """Take the lowest free heap."""
        free = self._app.board.heap()[0]
        if self._heap_min is None or free < self._heap_min:
            self._heap_min = free

    def state(self) -> State:
        """The node as it is now."""
        app = self._app
        return State(
            online=True,
            boot=app.boots.boot,
            firmware=VERSION,
            kind=app.identity.kind,
            board=app.identity.board,
            slot=app.slots.running,
            manifest=app.slots.manifest,
            config_desired=app.config.desired,
            config_applied=app.config.applied,
            config_error=app.config.error,
            config_path=app.config.path,
            t=app.clock.utc_s() or 0,
            heartbeat=self.heartbeat(),
            safe_mode=app.boots.safe_mode,
        )

    def heartbeat(self) -> Heartbeat:
        """The health of the node now."""
        self.measure()
        app = self._app
        stats = app.link.stats
        clock, outbox = app.clock, app.outbox
        free, largest = app.board.heap()
        reason, ssid_hash, channel = app.net.facts()
        return Heartbeat(
            up_s=clock.uptime_s(),
            heap_free=free,
            heap_min=self._heap_min,
            heap_largest=largest,
            outbox_used=outbox.used,
            outbox_size=outbox.size,
            outbox_oldest_s=outbox.oldest_s(),
            outbox_evicted=outbox.evicted,
            outbox_seq=app.journal.seq,
            loop_lag_p95_ms=app.lag.p95_ms(),
            task_restarts=app.supervise.decider.restarts,
            rssi_dbm=app.net.rssi(),
            wifi_connects=app.net.connects,
            mqtt_connects=stats.connects,
            mqtt_last_reason=stats.last_reason,
            ack_p50_ms=stats.ack_p50_ms,
            ack_p95_ms=stats.ack_p95_ms,
            mqtt_resends=stats.resends,
            ntp_offset_ms=app.ntp_offset_ms(),
            ntp_age_s=clock.age_s(),
            time_quality=clock.quality(),
            mcu_cdeg=app.board.mcu_cdeg(),
            supply_mv=app.board.supply_mv(),
            wdt_margin_ms=app.supervise.margin_ms,
            log_dropped=app.log.dropped,
            sensor_errors=app.sensor_errors(),
            wifi_last_reason=reason,
            wifi_ssid_hash=ssid_hash,
            wifi_channel=channel,
            ip_family=4,
        )
