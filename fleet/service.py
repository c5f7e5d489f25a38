"""`fleet serve`: the broker, the storing of what nodes send, the delivery of what they shall get, and housekeeping.

    main thread     figures every 2 s, start and end of everything below
    broker          the owner of the child process          fleet.broker.process
    bus             the MQTT session                        fleet.bus
    ingest          decodes, commits, acknowledges          fleet.ingest
    blocks          what nodes fetch while they update      fleet.blocks
    deliver         configurations, campaigns, commands     fleet.deliver
    rollouts        what is decided                         fleet.rollouts.driver
    halts           the epoch, which waits for nothing      fleet.rollouts.epoch
    upkeep          roll-ups and retention                  fleet.store.upkeep

It ends in this order: deliver nothing more, receive nothing more, store what was received, acknowledge it, disconnect,
stop the broker. A crash anywhere loses nothing, since nothing is acknowledged before it is stored.
"""

import fcntl
import logging
import logging.handlers
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any

import fleet
from fleet import proofs, provision, signing
from fleet.blocks import BlockServer
from fleet.blocks.shelf import FRESH_S, Shelf, Snapshot
from fleet.broker import binary
from fleet.broker.embedded import EmbeddedBroker
from fleet.bus import Bus, Delivery, Endpoint, tls_context
from fleet.config import EMBEDDED, Config
from fleet.deliver import Deliver
from fleet.errors import FleetError, NotAllowedError, UnreachableError
from fleet.ingest import Ingest
from fleet.ingest.inbox import Inbox
from fleet.ingest.sorter import Holds, Sorter
from fleet.model import Standing
from fleet.releases.archive import Archive
from fleet.rollouts.driver import Driver
from fleet.rollouts.epoch import EpochDelivery
from fleet.store import Store
from fleet.store.upkeep import Limits
from protocol.topics import PREFIX

FILTER = f"{PREFIX}/+/up/#"
FIGURES_S = 2.0
DELIVER_S = 1.0
ROLLOUTS_S = 0.25
HALTS_S = 0.1
UPKEEP_S = 60.0
HOUR_S = 3600
DAY_S = 86400
LATE_S = 300  # an hour is summed up so long after its end: most of its records have come
CONNECT_S = 30.0  # from a broker that is ready to a session
_BLOCK = "/up/block"
DRAIN_S = 10.0  # to store what was received, at the end
LOG_BYTES = 4 << 20
LOG_FILES = 4
_FORMAT = "%(asctime)s %(levelname)s %(threadName)s %(message)s"


Beside = Callable[[Config, Store, logging.Logger], AbstractContextManager[str]]


def run(config: Config, stop: threading.Event, nats_server: str | None = None, beside: Sequence[Beside] = ()) -> None:
    """Serve until `stop` is set. Prints one line `ready broker=HOST:PORT pid=PID` when nodes can connect.

    What runs `beside` adds a word to that line, or none. `nats_server` is a program to use instead of the packaged one.
    NotAllowedError when another service runs on this directory, UnreachableError when the broker does not start or does
    not let us in.
    """
    with ExitStack() as stack:
        stack.enter_context(_locked(config.directory / "service.lock"))
        log = stack.enter_context(_logger(config.log_dir))
        store = stack.enter_context(Store.open(config.store_url))
        store.migrate()
        provision.sync(config, store.nodes)
        broker = stack.enter_context(_broker(config, nats_server, log)) if config.broker.kind == EMBEDDED else None
        service = _Service(config, store, broker, log)
        words = [stack.enter_context(other(config, store, log)) for other in beside]
        try:
            service.serve(stop, [word for word in words if word])
        finally:
            service.end()
            log.info("ended")


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold a file's lock; the kernel frees it however the process ends."""
    with path.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise NotAllowedError(
                "another service runs on this fleet directory",
                cause=f"process {file.read().strip() or '?'} holds {path}",
                hint="end it first, or name another directory with --fleet",
            ) from None
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield


@contextmanager
def _logger(directory: Path) -> Iterator[logging.Logger]:
    """One line per event, to stderr and to a file that is turned over."""
    directory.mkdir(exist_ok=True)
    made = logging.Logger("fleet", logging.INFO)  # not from the registry: nothing else can change it
    path = directory / "service.log"
    file = logging.handlers.RotatingFileHandler(path, maxBytes=LOG_BYTES, backupCount=LOG_FILES, encoding="utf-8")
    formatter = logging.Formatter(_FORMAT)
    formatter.converter = time.gmtime
    formatter.default_time_format, formatter.default_msec_format = "%Y-%m-%dT%H:%M:%S", "%s.%03dZ"
    for handler in (file, logging.StreamHandler(sys.stderr)):
        handler.setFormatter(formatter)
        made.addHandler(handler)
    try:
        yield made
    finally:
        file.close()


@contextmanager
def _broker(config: Config, program: str | None, log: logging.Logger) -> Iterator[EmbeddedBroker]:
    """The embedded broker, ready."""
    made = EmbeddedBroker(
        binary.find(program).path,
        config,
        on_alarm=lambda kind, line: log.warning("broker %s: %s", kind, line),
        on_ready=lambda: log.info("broker ready"),
    )
    made.start()
    try:
        made.wait_ready()
        yield made
    finally:
        made.stop()


class _Repeat:
    """A thread that calls `job` every so often, or as often as it can. An error is logged when it is new, and the next
    call tries again."""

    def __init__(self, name: str, every_s: float, job: Callable[[], None], log: logging.Logger) -> None:
        self._every_s = every_s
        self._job = job
        self._log = log
        self._fault = ""
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        wait_s = self._every_s
        while not self._stop.wait(wait_s):
            began = time.monotonic()
            self.once()
            wait_s = max(self._every_s - (time.monotonic() - began), self._every_s / 10)

    def once(self) -> None:
        """Do the job now."""
        try:
            self._job()
        except FleetError as error:
            if str(error) != self._fault:
                self._log.warning("%s", error)
            self._fault = str(error)
        except Exception:  # a fault of ours must not end what else this thread does
            self._log.exception("unexpected")
        else:
            self._fault = ""

    def end(self) -> None:
        """Finish what it does, and end."""
        self._stop.set()
        self._thread.join()


class _Service:
    """Everything between the broker and the database."""

    def __init__(self, config: Config, store: Store, broker: EmbeddedBroker | None, log: logging.Logger) -> None:
        self._config = config
        self._store = store
        self._broker = broker
        self._log = log
        self._started_ms = _now_ms()
        self._trimmed_s = 0
        self._swept_s = _now_ms() // 1000
        limits = config.ingest
        self._inbox = Inbox(limits.queue, limits.batch, limits.batch_ms / 1000)
        self._bus = Bus(_endpoint(config), (FILTER,), self._receive, log.info)
        self._blocks = _block_server(config, store, self._bus, log)
        self._intake = store.intake()
        sorter = Sorter(store.nodes.keys, _judge(config, store, log))
        self._ingest = Ingest(self._inbox, sorter, self._intake, self._bus.ack, self._bus.resume, log.warning)
        self._deliver = Deliver(store, self._bus.publish_all)
        self._driver = Driver(store, config)
        self._epoch = EpochDelivery(store, self._bus.publish, lambda: self._bus.session)
        self._repeats: list[_Repeat] = []

    def serve(self, stop: threading.Event, words: Sequence[str]) -> None:
        """Start everything, say so, and write figures until `stop`."""
        self._ingest.start()
        self._blocks.start()
        self._bus.start()
        self._wait_up(stop)
        self._repeats = [
            _Repeat("halts", HALTS_S, self._halts_step, self._log),
            _Repeat("rollouts", ROLLOUTS_S, self._rollouts_step, self._log),
            _Repeat("deliver", DELIVER_S, self._deliver_step, self._log),
            _Repeat("upkeep", UPKEEP_S, self._upkeep, self._log),
            _Repeat("figures", FIGURES_S, self._write_figures, self._log),
        ]
        self._repeats[-1].once()
        broker = self._config.broker
        print(" ".join((f"ready broker={broker.host}:{broker.port} pid={os.getpid()}", *words)), flush=True)
        self._log.info("ready, fleet %s", fleet.__version__)
        stop.wait()

    def _wait_up(self, stop: threading.Event) -> None:
        end = time.monotonic() + CONNECT_S
        while not self._bus.up.wait(0.1) and not stop.is_set():
            if time.monotonic() > end:
                raise UnreachableError(
                    f"no session with the broker at {self._config.broker.host}:{self._config.broker.port}",
                    cause=self._bus.fault,
                    hint="`fleet doctor` looks at certificates and broker",
                )

    def end(self) -> None:
        """The orderly end; safe to call whatever was started."""
        for repeat in self._repeats:
            repeat.end()
        self._bus.hold()
        if not self._ingest.finish(DRAIN_S):
            self._log.warning("the database did not take everything: the broker keeps it and sends it again")
        self._blocks.finish()
        self._bus.stop()
        self._intake.close()
        if self._repeats:
            self._repeats[-1].once()

    def _receive(self, delivery: Delivery) -> bool:
        """What the bus brings: questions for blocks to those who answer them, everything else to be stored."""
        if not delivery.topic.endswith(_BLOCK):
            return self._inbox.offer(delivery)
        if delivery.mid:  # against the contract, QoS 1: the broker shall not keep it
            self._bus.ack([delivery])
        if not delivery.retained:
            self._blocks.offer(delivery.topic, delivery.payload)
        return True

    def _deliver_step(self) -> None:
        if self._bus.up.is_set():
            self._deliver.step()

    def _rollouts_step(self) -> None:
        self._driver.tick(_now_ms() // 1000)

    def _halts_step(self) -> None:
        """Apart from decisions and orders: what is halted is told while others are signed, sent, or fail."""
        if self._bus.up.is_set():
            self._epoch.step()

    def _upkeep(self) -> None:
        """Some roll-ups and retention, in short transactions, then what is due every hour and every day."""
        upkeep, now_s = self._store.upkeep, _now_ms() // 1000
        kept = self._config.store
        limits = Limits(kept.raw_days, kept.rollup_days, kept.event_days, kept.log_days)
        while upkeep.roll_up(now_s - LATE_S):
            pass
        while upkeep.prune(now_s, limits):
            pass
        if given_up := upkeep.bound_letters():
            self._log.warning("gave up the oldest %s refused messages: there are too many", given_up)
        if now_s - self._trimmed_s >= HOUR_S:
            upkeep.trim(now_s, limits)
            upkeep.bound_logs()
            self._trimmed_s = now_s
        if now_s - self._swept_s >= DAY_S:
            upkeep.trim_hourly(now_s, limits)
            upkeep.optimize()
            self._swept_s = now_s

    def _write_figures(self) -> None:
        self._store.journal.add_figures(_now_ms(), self.figures())

    def figures(self) -> dict[str, Any]:
        """What the service knows about itself; counts are since its start."""
        ingest, bus, total, broker = self._ingest, self._bus, self._ingest.total, self._broker
        return {
            "pid": os.getpid(),
            "version": fleet.__version__,
            "started_ms": self._started_ms,
            "connected": bus.up.is_set(),
            "connections": bus.session,
            "connection_fault": bus.fault,
            "received": bus.received,
            "repeated": bus.repeated,
            "waiting": len(self._inbox),
            "turned_away": self._inbox.turned_away,
            "dropped": self._inbox.dropped,
            "messages": ingest.messages,
            "batches": ingest.batches,
            "stored": total.stored,
            "duplicates": total.duplicates,
            "dated": total.dated,
            "conflicts": total.conflicts,
            "refused": total.refused,
            "database_failures": ingest.failures,
            "database_fault": ingest.fault,
            "configs_sent": self._deliver.configs,
            "campaigns_sent": self._deliver.campaigns,
            "rollout_steps": self._driver.steps,
            "epoch": self._epoch.number,
            "commands_sent": self._deliver.commands,
            "commands_expired": self._deliver.expired,
            "block_server": self._blocks.figures()._asdict(),
            "broker_restarts": broker.restarts if broker else 0,
            "broker_alarms": dict(broker.alarms) if broker else {},
        }


def _endpoint(config: Config) -> Endpoint:
    certs = config.certs_dir
    tls = tls_context(config.ca_dir / "ca.pem", certs / "service.pem", certs / "service.key")
    return Endpoint(config.broker.host, config.broker.port, config.service_id, tls)


def _judge(config: Config, store: Store, log: logging.Logger) -> Holds:
    """Who says whether a proof holds; without the fleet's secret none does."""
    try:
        secret = proofs.secret_of(config)
    except FleetError as error:
        log.warning("no update can be proved: %s", error)
        return lambda _node, _proof: False
    return proofs.Judge(secret, store.nodes.boot0).holds


def _block_server(config: Config, store: Store, bus: Bus, log: logging.Logger) -> BlockServer:
    roots = Snapshot(lambda: signing.roots(config), FRESH_S, time.monotonic)
    payloads = config.releases_dir / "payloads"
    shelf = Shelf(Archive(config.releases_dir), payloads, store.releases.all, lambda at: roots.get().envelope(at))

    def products() -> dict[str, str]:
        return {node.id: node.kind.value for node in store.nodes.all() if node.standing is Standing.ACCEPTED}

    return BlockServer(shelf, products, bus.post, log.warning)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
