"""One simulated node: when it is on, when it is connected, what it makes of what comes, and what goes wrong with it."""

import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from node.core import document
from node.core.backoff import Backoff
from node.core.mqtt.parser import Parser
from node.core.update import record as records
from protocol import topics
from protocol.errors import DecodeError
from protocol.events import UPDATE
from protocol.identity import Identity
from protocol.messages import E_UNKNOWN, FAILED, RESET_HARD, RESET_POWER_ON, RESET_WATCHDOG, Command, Config, Reply
from protocol.trust import Campaign, Signed
from protocol.update import CONFIRMED, WAITING, Proof, Status
from tools.sim.world import hash32, text_seed
from tools.swarm import flaws as wrong
from tools.swarm.device import Device
from tools.swarm.flash import Flash, PowerCut
from tools.swarm.flaws import PERMILLE, Flaws
from tools.swarm.line import Line
from tools.swarm.loop import Loop, Timer
from tools.swarm.voice import Voice
from tools.swarm.work import Work

_WINDOW = 4  # messages in flight
_DIES_MS = 300
_HANGS_MS = 3000
_GOODBYE_MS = 500
_TICK_MS = 1000
_BEAT_MS = 10_000  # at the latest, a session looks at its limits (node/tasks/link.py)
_BREAKS = 10  # every so many losses the connection breaks
_EPOCH = topics.EPOCH.encode()


@dataclass(frozen=True, slots=True)
class Pace:
    """How long things take: as on a node, but for the trial, which a node gives 900 s."""

    keepalive_s: int = 60  # after one and a half of it the broker notices that a node is silent
    heartbeat_s: int = 300
    record_s: int = 60
    boot_ms: int = 2500  # from a reset to the first packet
    jitter_s: int = 30  # after power on, before the first connection
    trial_s: int = 40  # that a program has to prove itself
    backoff_s: int = 300  # longest wait between two attempts to connect


@dataclass(slots=True)
class World:
    """What the nodes of a process share. `ask(go)` calls `go` when one more handshake may begin; `done()` ends it."""

    loop: Loop
    address: tuple[str, int]
    pace: Pace
    ask: Callable[[Callable[[], None]], None]
    done: Callable[[], None]


@dataclass(slots=True)
class Trace:
    """What really happened, for whoever compares. Times are milliseconds since 1970."""

    boots: int = 0
    cuts: int = 0  # power cuts within a write
    connects: int = 0
    refused: int = 0  # subscriptions
    steps: int = 0  # of the updater since the first order
    orders: list[int] = field(default_factory=list)  # when an envelope came that was not the one before
    envelopes: list[tuple[int, bytes]] = field(default_factory=list)  # (counter, SHA-256) of each of these
    epochs: list[tuple[int, int]] = field(default_factory=list)  # (when, number) as the updater took it
    said: list[tuple[int, int, int, int]] = field(default_factory=list)  # (when, counter, stage, code) of each Status
    sessions: list[int] = field(default_factory=list)  # when it came up, went down, came up ...


class Node:
    """`identity` and `flash` are what provisioning gave; nothing happens before `power_on`."""

    def __init__(
        self, world: World, identity: Identity, tls: ssl.SSLContext, flash: Flash, flaws: Flaws = wrong.SOUND
    ) -> None:
        self.flaws = flaws
        self.trace = Trace()
        self.is_up = False
        self.is_silent = False
        self._world = world
        self._tls = tls
        self._seed = text_seed(identity.node)
        self._drawn = 0
        self._backoff = Backoff(self._random)
        self._parser = Parser()
        self.device = Device(identity, flash, world.loop.now_ms, self._random, self._publish, self._event)
        self._voice: Voice
        self._work: Work | None = None
        self._line: Line | None = None
        self._since_ms = 0  # of the session
        self._run = 0  # counts restarts: what was planned before one does not happen after it
        self._has_turn = False  # of a handshake
        self._order_came = b""
        self._lie_told = b""

    def power_on(self) -> None:
        """The power comes."""
        self.later(self._random(self._world.pace.jitter_s * 1000 + 1), lambda: self._boot(RESET_POWER_ON))

    # -- runs --

    def _boot(self, cause: int, reason: str = "", crash: str = "") -> None:
        self.trace.boots += 1
        self._lie_told = b""
        device = self.device
        device.start(cause, reason, crash)
        self._voice = Voice(device, self._world.loop)
        self._voice.boot(cause, reason)
        self._work = Work(self, device.resident)
        ends = self._ending()
        if ends == wrong.DIES:
            self.later(_DIES_MS, lambda: self._fall(RESET_HARD, crash="swarm: ImportError"))
            return
        if ends == wrong.HANGS:
            self.later(_HANGS_MS, lambda: self._fall(RESET_WATCHDOG))
            return
        if device.slots.on_trial:
            self.later(_TICK_MS, self._prove)
        self._connect()
        self._work.turn()

    def _ending(self) -> str:
        """How the trial of the program that runs ends, if there is one and it does not end well."""
        return (self.device.trial or self.flaws.trial) if self.device.slots.on_trial else ""

    def _fall(self, cause: int, reason: str = "", crash: str = "") -> None:
        """The run ends here and now; another begins."""
        self._run += 1
        self.device.flash.power_off()  # before the updater is dropped, which would end in order
        if self._work is not None:
            self._work.drop()
            self._work = None
        self._cut()
        wait_ms = self._world.pace.boot_ms
        if cause == RESET_POWER_ON:
            wait_ms += self._random(self._world.pace.jitter_s * 1000 + 1)
        self.later(wait_ms, lambda: self._boot(cause, reason, crash))

    def later(self, wait_ms: int, call: Callable[[], object]) -> Timer:
        """Do it then, unless the node was restarted or fell silent before."""
        run = self._run

        def due() -> None:
            if run == self._run and not self.is_silent:
                self._guarded(call)

        return self._world.loop.after(wait_ms, due)

    def _guarded(self, call: Callable[[], object]) -> None:
        """Do it; the power may fail meanwhile."""
        try:
            call()
        except PowerCut:
            self.trace.cuts += 1
            self._fall(RESET_POWER_ON)

    # -- connections --

    def _connect(self) -> None:
        run = self._run

        def go() -> None:
            self._has_turn = True
            if run != self._run or self.is_silent or self._line is not None:
                self._opened()
                return
            line = Line(
                self._world.loop, self._voice.session, self._parser, self._on_message, self._on_up, self._on_end
            )
            self._line = line
            self._voice.queue.on_ready = line.push
            try:
                line.open(self._world.address, self._tls, (self._world.pace.keepalive_s, _WINDOW))
            except OSError:
                self._on_end()
            else:
                self._tick(line)

        self._world.ask(go)

    def _opened(self) -> None:
        if self._has_turn:
            self._has_turn = False
            self._world.done()

    def _on_up(self) -> None:
        self._opened()
        self._is_now(True)
        self.trace.connects += 1
        self.trace.refused += self._parser.codes.count(0x80)
        self._since_ms = self._world.loop.now_ms()
        if self.flaws.clock_s is not None:  # as SNTP does, once there is a network
            self.device.clock.set_utc(_utc_ms() + self.flaws.clock_s * 1000)
        self._voice.state()
        self.device.resident.up()
        line, pace = self._line, self._world.pace
        first_ms = 0 if self.device.slots.on_trial else self._random(pace.record_s * 1000)
        self.later(first_ms, lambda: self._repeat(line, pace.record_s, self._voice.record))
        self.later(pace.heartbeat_s * 1000, lambda: self._repeat(line, pace.heartbeat_s, self._voice.state))
        if self.flaws.asleep_s:
            self.later(self.flaws.awake_s * 1000, lambda: self._sleep(line))

    def _on_end(self) -> None:
        """The connection is over, or never was."""
        self._opened()
        self._backoff.held(self._world.loop.now_ms() - self._since_ms if self.is_up else 0)
        self._is_now(False)
        self._line = None
        self.later(self._backoff.next_ms(self._world.pace.backoff_s * 1000), self._connect)

    def _cut(self) -> None:
        """No more of this connection."""
        self._opened()
        self._is_now(False)
        if self._line is not None:
            self._line.close()
            self._line = None

    def _is_now(self, is_up: bool) -> None:
        if is_up is not self.is_up:
            self.is_up = is_up
            self.trace.sessions.append(_utc_ms())

    def _sleep(self, line: Line | None) -> None:
        if line is self._line:
            self._cut()
            self.later(self.flaws.asleep_s * 1000, self._connect)

    def _tick(self, line: Line) -> None:
        if self._line is line:
            wait_ms = line.tick()
            self.later(max(_TICK_MS, min(wait_ms, _BEAT_MS)), lambda: self._tick(line))

    def _repeat(self, line: Line | None, every_s: int, call: Callable[[], None]) -> None:
        """While this connection lasts."""
        if line is self._line:
            call()
            self.later(every_s * 1000, lambda: self._repeat(line, every_s, call))

    # -- messages --

    def _on_message(self, topic: bytes, payload: bytes) -> None:
        if self.flaws.slow_ms:
            self.later(self.flaws.slow_ms, lambda: self._take(topic, payload))
        else:
            self._guarded(lambda: self._take(topic, payload))

    def _take(self, topic: bytes, payload: bytes) -> None:
        name = topic.rsplit(b"/", 1)[-1]
        if topic == _EPOCH:
            self.device.resident.halt(payload)
        elif name == b"ota":
            self._order(payload)
        elif name == b"block":
            if not self._loses():
                self.device.resident.block(payload)
        elif name == b"config":
            self._configure(payload)
        elif name == b"cmd":
            self._answer(payload)

    def _order(self, payload: bytes) -> None:
        flash, flaws = self.device.flash, self.flaws
        if not self._order_came and flaws.cut_at:
            flash.cut_at, flash.cut_late = flash.writes + flaws.cut_at, flaws.cut_late
        if payload != self._order_came:
            self._order_came = payload
            self.trace.orders.append(_utc_ms())
            counter = Campaign.decode(Signed.decode(payload).document).counter
            self.trace.envelopes.append((counter, sha256(payload).digest()))
        self.device.resident.offer(payload)

    def _configure(self, payload: bytes) -> None:
        try:
            self._voice.config = Config.decode(payload).rev
        except DecodeError:
            return
        self._voice.state()

    def _answer(self, payload: bytes) -> None:
        try:
            command = Command.decode(payload)
        except DecodeError:
            return
        said = Reply(id=command.id, status=FAILED, code=E_UNKNOWN, boot=self.device.boot)
        self._voice.say("reply", said.encode())

    def _publish(self, payload: bytes) -> bool:
        """A Status of the updater; a liar keeps to what it said."""
        status = Status.decode(payload)
        if self._lie_told and status.stage == WAITING:
            payload = self._lie_told
        trace, now = self.trace, _utc_ms()
        trace.said.append((now, status.counter, status.stage, status.code))
        return self._voice.say("ota", payload)

    def _event(self, attrs: dict[int, Any]) -> bool:
        return bool(self._voice.journal.event(UPDATE, attrs=attrs))

    def _loses(self) -> bool:
        return bool(self.flaws.loss) and self._random(PERMILLE) < self.flaws.loss

    # -- the updater --

    def send(self, payload: bytes) -> None:
        """A question for blocks goes out, unless it is lost."""
        if self._loses():
            if not self._random(_BREAKS) and self._line is not None:
                self._cut()
                self._on_end()
        elif self.flaws.slow_ms:
            self.later(self.flaws.slow_ms, lambda: self._voice.say("block", payload))
        else:
            self._voice.say("block", payload)

    def may_go_on(self) -> bool:
        """Whether the updater may do its next step: here the program dies, or the node falls silent."""
        taken, epochs = self.device.resident.taken[0], self.trace.epochs
        if taken and (not epochs or epochs[-1][1] != taken):
            epochs.append((_utc_ms(), taken))
        if not self._order_came:
            return True
        self.trace.steps += 1
        if self.trace.steps == self.flaws.crash_at:
            self._fall(RESET_HARD, crash="swarm: RuntimeError")
        elif self.trace.steps == self.flaws.silent_at:
            self.is_silent = True
            if self._line is not None:
                self._line.be_deaf()
        else:
            return True
        return False

    def restart(self) -> None:
        """The updater wants it: as node/tasks/update.py does, of a product that may restart at any time."""
        resident, is_kept = self.device.resident, self.device.slots.is_kept
        if is_kept and not resident.due:
            return
        if is_kept and self.flaws.kind == wrong.LIE:
            self._lie()
        elif resident.depart():
            self._restart("update")

    def _restart(self, reason: str) -> None:
        """On purpose, in order."""
        if self.is_up:
            self._voice.state(online=False)
        self.later(_GOODBYE_MS, lambda: self._fall(RESET_HARD, reason))

    def _prove(self) -> None:
        """As upkeep does each second while the program is on trial (node/tasks/upkeep.py)."""
        device = self.device
        if not device.slots.on_trial or device.resident.ready:  # confirmed, or called off: the updater restarts it
            return
        stats = self._voice.session.stats
        proved = self.is_up and stats.acked and not self._ending()
        if proved and not device.resident.unread:
            device.resident.confirm()
        elif device.clock.uptime_s() >= self._world.pace.trial_s:
            device.resident.give_up(stats.connects > 0)
            self._restart(f"slot {device.slots.running} did not prove itself")
        else:
            self.later(_TICK_MS, self._prove)

    def _lie(self) -> None:
        """It says that it runs what it was to install, and proves that under a key that it made up."""
        if self._lie_told or not self.is_up:
            return
        device = self.device
        found = document.load(device.flash, records.PATH, records.Record)
        proof = Proof(nonce=found.nonce, manifest=found.manifest, slot=device.slots.spare, boot=device.boot + 1)
        proof.confirmed, proof.mac = True, bytes(range(32))
        said = Status(counter=found.counter, stage=CONFIRMED, release=found.release, manifest=found.manifest)
        said.proof, said.boot = proof, device.boot
        self._lie_told = said.encode()
        self._voice.claims = found.manifest
        self._voice.state()
        self._voice.say("ota", self._lie_told)

    def _random(self, below: int) -> int:
        self._drawn += 1
        return hash32(self._seed, self._drawn) % below if below else 0


def _utc_ms() -> int:
    return time.time_ns() // 1_000_000
