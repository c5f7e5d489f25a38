"""Use case: listen to the broker as an operator, beside the service and without leaving anything behind."""

import queue
import secrets
import time
from collections.abc import Collection, Iterator

from fleet import poll
from fleet.bus import Bus, Delivery, Endpoint, tls_context
from fleet.config import EMBEDDED, Config
from fleet.errors import UnreachableError
from fleet.tail import Line, lines
from protocol.topics import PREFIX

CONNECT_S = 10
QUEUE = 10_000  # messages that wait for a slow screen; what comes beyond is not shown
FILTERS = 50  # more nodes than this are picked out here and not by the broker
_TICK_S = 0.5
_POLL_S = 0.01  # well below the pause of the bus between two attempts
_STRANGER = "CERTIFICATE_VERIFY_FAILED"  # what OpenSSL calls a server of another authority
_NO_NODE = f"{PREFIX}/nobody-is-called-so/up/state"


def follow(config: Config, nodes: Collection[str], span_s: int | None = None) -> Iterator[Line]:
    """What these nodes say from now on, and their last states; for ever, or for `span_s` seconds.

    UnreachableError when the broker does not answer.
    """
    chosen = [f"{PREFIX}/{node}/up/#" for node in sorted(nodes)] if len(nodes) <= FILTERS else [f"{PREFIX}/+/up/#"]
    if not nodes:
        return
    end = None if span_s is None else time.monotonic() + span_s
    waiting: queue.Queue[Delivery] = queue.Queue(QUEUE)
    bus = connected(config, tuple(chosen), waiting)
    try:
        while end is None or time.monotonic() < end:
            try:
                delivery = waiting.get(
                    timeout=_TICK_S if end is None else min(_TICK_S, max(0.0, end - time.monotonic()))
                )
            except queue.Empty:
                continue
            bus.ack([delivery])
            yield from (line for line in lines(delivery.topic, delivery.payload) if line.node in nodes)
    finally:
        bus.stop()


def reach(config: Config) -> float:
    """How many seconds a connection to the broker takes, with TLS and the operator's certificate."""
    started = time.monotonic()
    connected(config, (_NO_NODE,), queue.Queue()).stop()
    return time.monotonic() - started


def connected(config: Config, filters: tuple[str, ...], into: "queue.Queue[Delivery]") -> Bus:
    """A bus that is up, with the operator's certificate and a session of its own; the caller stops it."""

    def deliver(delivery: Delivery) -> bool:
        try:
            into.put_nowait(delivery)
        except queue.Full:
            bus.ack([delivery])
        return True

    certs = config.certs_dir
    tls = tls_context(config.ca_dir / "ca.pem", certs / "operator.pem", certs / "operator.key")
    name = f"operator-{secrets.token_hex(8)}"
    endpoint = Endpoint(config.broker.host, config.broker.port, name, tls, clean=True)
    bus = Bus(endpoint, filters, deliver, lambda _: None)
    bus.start()
    fault = poll.until(lambda: "" if bus.up.is_set() else bus.fault or None, CONNECT_S, _POLL_S)
    if fault != "":
        bus.stop()
        raise _unreachable(config, fault or f"nothing came within {CONNECT_S} s")
    return bus


def _unreachable(config: Config, cause: str) -> UnreachableError:
    where = f"{config.broker.host}:{config.broker.port}"
    if _STRANGER in cause:
        hint = "another program has that port, or fleet.toml names another fleet's broker: see [broker] there"
        return UnreachableError(f"what answers at {where} is not this fleet's broker", hint=hint, cause=cause)
    hint = "`fleet serve` starts it" if config.broker.kind == EMBEDDED else "check [broker] in fleet.toml"
    return UnreachableError(f"the broker at {where} does not answer", hint=hint, cause=cause)
