"""What a node says beside its updates: its state, a record now and then, events. True to the contract, and dull."""

from typing import Any

from node.core.journal import Journal
from node.core.mqtt.queue import Queue
from node.core.mqtt.session import Session
from node.core.outbox import RECORD
from protocol import channels, topics
from protocol.events import BOOT
from protocol.messages import Batch, Boot, Heartbeat, State
from protocol.records import TQ_UPTIME, Sample
from tools.swarm.device import FACTS, Device
from tools.swarm.loop import Loop

FIRMWARE = "swarm"  # version that a node says while it does not know one
_HEAP = 120_000
_AIR = {channels.PM1: 40, channels.PM25: 82, channels.T_IN: 2150, channels.RH_IN: 4800, channels.CO2: 421}
_LIGHT = {channels.LEVEL_TARGET: 0, channels.V: 2301, channels.STATUS: 0}


class Mouth:
    """Where the journal of a run puts its entries: in memory, so what no broker has when the run ends is lost."""

    def __init__(self, queue: Queue, boot: int, loop: Loop) -> None:
        self._queue = queue
        self._boot = boot
        self._loop = loop
        self._began_ms = loop.now_ms()

    def append(self, kind: int, entry: bytes) -> bool:
        """Queue one entry as a batch of its own; False when there is no room."""
        up_s = (self._loop.now_ms() - self._began_ms) // 1000
        batch = Batch(boot=self._boot, entries=[entry], up_s=up_s).encode()
        return bool(self._queue.put("tele" if kind == RECORD else "event", batch, False))


class Voice:
    """One run of one node: the session, what waits to be sent, and the journal."""

    def __init__(self, device: Device, loop: Loop) -> None:
        node = device.identity.node
        self.queue = Queue()
        self.journal = Journal(Mouth(self.queue, device.boot, loop), device.clock)
        self.config = 0  # revision that came last
        self.claims = b""  # manifest that it says runs, though it does not
        self._device = device
        will = topics.up(node, "state"), State(online=False, boot=device.boot).encode()
        table = {name: (topics.up(node, name).encode(), topics.qos(name)) for name in topics.UP}
        self.session = Session(node, will, topics.filters(node), (self.queue,), table)

    def boot(self, cause: int, reason: str) -> None:
        """The event of a start."""
        device = self._device
        attrs = Boot(
            firmware=FIRMWARE,
            cause=cause,
            intended=bool(reason),
            reason=reason[:48],
            slot=device.slots.running,
            board=device.identity.board,
            kind=device.identity.kind,
            manifest=device.slots.manifest,
            micropython=FACTS[2],
        ).to_map()
        self.journal.event(BOOT, attrs=attrs)

    def state(self, online: bool = True) -> None:
        """What it is, retained."""
        device = self._device
        state = State(
            online=online,
            boot=device.boot,
            firmware=FIRMWARE,
            kind=device.identity.kind,
            board=device.identity.board,
            slot=device.slots.running,
            manifest=self.claims or device.slots.manifest,
            config_desired=self.config,
            config_applied=self.config,
            t=device.clock.utc_s() or 0,
            heartbeat=self._heartbeat() if online else None,
        )
        self.queue.put("state", state.encode(), True)

    def record(self) -> None:
        """The values of a minute."""
        clock = self._device.clock
        t, tq = clock.stamp()
        values = _LIGHT if self._device.identity.kind == "light" else _AIR
        started = max(0, t - 60) if tq == TQ_UPTIME else t - 60
        self.journal.record({channel: Sample(value) for channel, value in values.items()}, started, tq)

    def say(self, name: str, payload: bytes) -> bool:
        """Any other message."""
        return bool(self.queue.put(name, payload, False))

    def _heartbeat(self) -> Heartbeat:
        stats, clock = self.session.stats, self._device.clock
        known: dict[str, Any] = {"ack_p50_ms": stats.ack_p50_ms, "ack_p95_ms": stats.ack_p95_ms}
        return Heartbeat(
            up_s=clock.uptime_s(),
            heap_free=_HEAP,
            heap_min=_HEAP,
            outbox_seq=self.journal.seq,
            rssi_dbm=-61,
            mqtt_connects=stats.connects,
            mqtt_last_reason=stats.last_reason,
            time_quality=clock.quality(),
            **known,
        )
