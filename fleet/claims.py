"""Use cases of the field path: tickets for boards, what a board that asks for its identity gets, and accepting it.

A board proves with its ticket that this fleet made the ticket for that very chip (SPEC 13); an operator decides whether
it becomes a node. The proof needs no list: a ticket's secret is derived from the fleet's claim key.
"""

import hmac
import logging
import re
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from enum import Enum, auto

from cryptography.hazmat.primitives.serialization import Encoding

from fleet import nodes, pki
from fleet.config import Config
from fleet.errors import ConfigError, NotAllowedError, NotFoundError, UsageError
from fleet.model import Claimed, Kind, Node, Standing
from fleet.provision import Provisioner, Request
from fleet.store import Store
from fleet.store.nodes import NodeView
from protocol import cbor, claim
from protocol.claim import Answer, Claim, Ticket
from protocol.topics import is_node_id

MAX_ISSUES = 10  # identities for one claim: answers that are lost more often are not lost by chance
NONCE_S = 900  # three times the longest wait of a board
FORGED_S = 60  # forged requests are told at most so often
_KEPT = 4096  # boards of which a nonce and the last refusal are remembered
_NONCE_BYTES = 16
_KEY_BYTES = 32
_CONTEXT = b"lumenair claim secret 1\x00"
_REFUSED_RETRY_S = claim.MAX_RETRY_S
_BATCH = re.compile(r"[A-Za-z0-9._-]{1,32}")
_BOARD = re.compile(r"[a-z0-9_]{1,32}")
_VERSION = re.compile(r"[0-9A-Za-z.+-]{0,32}")
_MAC = re.compile(r"[0-9a-f]{12}")


def claim_key(config: Config) -> bytes:
    """The fleet's claim key; NotFoundError when `fleet init` has not made it yet."""
    path = config.claim_key_file
    try:
        key = bytes.fromhex(path.read_text().strip())
    except OSError as error:
        raise NotFoundError(
            f"cannot read {path}", hint="`fleet init` makes what is missing", cause=str(error)
        ) from error
    except ValueError:
        key = b""
    if len(key) != _KEY_BYTES:
        raise ConfigError(f"{path} is damaged", hint="restore it from a backup; tickets are worth nothing without it")
    return key


def secret_of(key: bytes, batch: str, mac: bytes, until_s: int) -> bytes:
    """The secret of one ticket (SPEC 13.1)."""
    return hmac.digest(key, _CONTEXT + cbor.encode([batch, mac, until_s]), "sha256")


def mac_of(text: str) -> bytes:
    """The serial number of a chip as people write it, with or without colons; UsageError."""
    digits = text.lower().replace(":", "").replace("-", "")
    if not _MAC.fullmatch(digits):
        raise UsageError(f"{text} is not a MAC address", hint="for example 24:0a:c4:00:00:01, as esptool prints it")
    return bytes.fromhex(digits)


# ---- Tickets


@dataclass(frozen=True)
class TicketRequest:
    """A ticket to be. What is None or empty comes from fleet.toml, or is chosen when the board claims."""

    mac: bytes
    batch: str
    kind: Kind
    board: str
    node: str = ""
    days: int = 0
    wifi_ssid: str = ""
    wifi_psk: str = ""
    ntp: tuple[str, ...] | None = None


def ticket(config: Config, wanted: TicketRequest, now_s: int) -> Ticket:
    """What goes into that board's flash as /claim.cbor; UsageError when a value makes no sense."""
    if not _BATCH.fullmatch(wanted.batch):
        raise UsageError(f"{wanted.batch!r} is not the name of a batch", hint="up to 32 letters, digits, ., _ and -")
    if not _BOARD.fullmatch(wanted.board):
        raise UsageError(f"{wanted.board!r} is not the name of a board", hint="a file in firmware/boards")
    if wanted.node and not is_node_id(wanted.node):
        raise UsageError(f"{wanted.node!r} is not a node id", hint="3 to 32 of a-z, 0-9 and -")
    until_s = now_s + (wanted.days or config.claim.days) * 86400
    return Ticket(
        urls=list(config.claim_urls),
        ca=pki.load_cert(config.ca_dir / "ca.pem").public_bytes(Encoding.DER),
        batch=wanted.batch,
        until=until_s,
        secret=secret_of(claim_key(config), wanted.batch, wanted.mac, until_s),
        kind=wanted.kind.value,
        board=wanted.board,
        node=wanted.node,
        ntp=list(config.nodes.ntp if wanted.ntp is None else wanted.ntp),
        wifi_ssid=wanted.wifi_ssid,
        wifi_psk=wanted.wifi_psk,
        made=now_s,
    )


# ---- Accepting


def pending(store: Store, names: Iterable[str], where: str, now_s: int) -> list[tuple[Claimed, NodeView]]:
    """The claims that wait and are named by node id or MAC address, or fit; NotFoundError, NotAllowedError."""
    named = [store.claims.find(name) for name in names]
    if where:
        wanted = {found.node for found in named}
        views = nodes.select(store, wanted, where, now_s, {Standing.PENDING})
        named = [store.claims.find(view.node.id) for view in views]
    found = [(one, store.nodes.view(one.node)) for one in {one.mac: one for one in named}.values()]
    for one, view in found:
        if view.node.standing is not Standing.PENDING:
            raise NotAllowedError(f"{one.node} is {view.node.standing} already", hint="`fleet node list` shows all")
    return found


def accept(store: Store, one: Claimed, name: str, actor: str, now_s: int) -> None:
    """Let a board that waits become the node `name`; it gets its identity when it asks the next time.

    UsageError for what is no id, NotAllowedError when the id was ever used or somebody was faster."""
    if not is_node_id(name):
        raise UsageError(f"{name!r} is not a node id", hint="3 to 32 of a-z, 0-9 and -, such as air-17")
    store.claims.accept(one, name, now_s, actor)


# ---- Answering


class Step(Enum):
    """What a proved claim leads to."""

    ENTER = auto()  # a new pending node
    WAIT = auto()
    ISSUE = auto()
    REFUSE = auto()


def decide(asked: Claim, known: Claimed | None, view: NodeView | None, full: bool, now_s: int) -> tuple[Step, str]:
    """What to do with a proved claim, and for a refusal why. `full`: no more boards of that batch may wait."""
    if not _makes_sense(asked):
        return Step.REFUSE, "the claim makes no sense"
    if asked.until < now_s:
        return Step.REFUSE, "the ticket has expired"
    newer = known is None or asked.until > known.until_s
    if known is None or view is None or (newer and view.node.standing is Standing.RETIRED):
        return (Step.REFUSE, "too many boards of this batch wait") if full else (Step.ENTER, "")
    if not newer and (known.batch, known.until_s) != (asked.batch, asked.until):
        return Step.REFUSE, "there is a newer ticket for this board"
    return _known(known, view)


def _known(known: Claimed, view: NodeView) -> tuple[Step, str]:
    """What a board gets that has claimed before."""
    if view.node.standing is Standing.RETIRED:
        return Step.REFUSE, "this board is not wanted"
    if view.node.standing is Standing.PENDING:
        return Step.WAIT, ""
    if view.last_seen_ms is not None:
        return Step.REFUSE, f"this board is in service as {view.node.id}"
    if known.issues >= MAX_ISSUES:
        return Step.REFUSE, "too many identities were issued for this board"
    return Step.ISSUE, ""


def _makes_sense(asked: Claim) -> bool:
    """What a board says about itself, and people will read."""
    return (
        asked.kind in set(Kind)
        and _BOARD.fullmatch(asked.board) is not None
        and _VERSION.fullmatch(asked.firmware) is not None
        and (not asked.node or is_node_id(asked.node))
    )


class Recent:
    """A bounded memory of texts or bytes by board: the board that was not heard of for longest is forgotten first."""

    def __init__(self, most: int = _KEPT) -> None:
        self._most = most
        self._rows: OrderedDict[bytes, tuple[bytes, float]] = OrderedDict()

    def put(self, mac: bytes, value: bytes, at: float = 0.0) -> None:
        """Remember `value`, with a time."""
        self._rows.pop(mac, None)
        self._rows[mac] = value, at
        if len(self._rows) > self._most:
            self._rows.popitem(last=False)

    def take(self, mac: bytes) -> tuple[bytes, float]:
        """What was put last, and forget it."""
        return self._rows.pop(mac, (b"", 0.0))


class Desk:
    """Answers claims. One per process; it may be asked from any thread."""

    def __init__(
        self,
        config: Config,
        store: Store,
        log: logging.Logger,
        now_s: Callable[[], int] = lambda: int(time.time()),
        ticks_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._config = config
        self._store = store
        self._log = log
        self._now_s = now_s
        self._ticks_s = ticks_s
        self._key = claim_key(config)
        self._lock = threading.Lock()
        self._nonces = Recent()
        self._refusals = Recent()
        self._forged = 0
        self._forged_at = -float(FORGED_S)

    def answer(self, body: bytes) -> Answer:
        """The answer to the body of a request; DecodeError when it is none, FleetError when it has to wait."""
        request = claim.Request.decode(body)
        asked = Claim.decode(request.claim)
        secret = secret_of(self._key, asked.batch, asked.mac, asked.until)
        if not hmac.compare_digest(claim.prove(secret, request.claim), request.proof):
            self._note_forged(asked)
            return Answer(status=claim.REFUSED, retry_s=_REFUSED_RETRY_S, reason="not proved")
        with self._lock:
            if not self._is_fresh(asked):
                return Answer(status=claim.CHALLENGE, nonce=self._nonce(asked.mac))
            return self._proved(asked)

    def _note_forged(self, asked: Claim) -> None:
        with self._lock:
            self._forged += 1
            now = self._ticks_s()
            if now - self._forged_at < FORGED_S:
                return
            text = "claim: %s without proof so far, the last for %s of batch %r"
            self._log.warning(text, self._forged, asked.mac.hex(), asked.batch)
            self._forged_at = now

    def _is_fresh(self, asked: Claim) -> bool:
        nonce, at = self._nonces.take(asked.mac)
        known = bool(nonce) and self._ticks_s() - at <= NONCE_S
        return known and hmac.compare_digest(nonce, asked.nonce)

    def _nonce(self, mac: bytes) -> bytes:
        nonce = secrets.token_bytes(_NONCE_BYTES)
        self._nonces.put(mac, nonce, self._ticks_s())
        return nonce

    def _proved(self, asked: Claim) -> Answer:
        now_s, claims = self._now_s(), self._store.claims
        known = claims.of(asked.mac.hex())
        view = None if known is None else self._store.nodes.view(known.node)
        full = claims.waiting(asked.batch) >= self._config.claim.pending
        step, reason = decide(asked, known, view, full, now_s)
        if step is Step.REFUSE:
            self._note_refusal(asked, reason)
            return Answer(
                status=claim.REFUSED, nonce=self._nonce(asked.mac), retry_s=_REFUSED_RETRY_S, reason=reason[:96]
            )
        if step is Step.ENTER:
            self._enter(asked, now_s)
        else:
            claims.change(asked.mac.hex(), lambda old: _heard(old, asked, now_s))
        if step is Step.ISSUE and view is not None:
            return self._issue(asked, view.node, now_s)
        return Answer(status=claim.PENDING, nonce=self._nonce(asked.mac), retry_s=self._config.claim.retry_s)

    def _note_refusal(self, asked: Claim, reason: str) -> None:
        said, _ = self._refusals.take(asked.mac)
        if said != reason.encode():
            self._log.warning("claim: %s of batch %s is refused: %s", asked.mac.hex(), asked.batch, reason)
        self._refusals.put(asked.mac, reason.encode())

    def _enter(self, asked: Claim, now_s: int) -> None:
        mac = asked.mac.hex()
        name = asked.node or f"{asked.kind}-{mac}"
        tags = {"batch": asked.batch, "mac": mac}
        node = Node(name, Kind(asked.kind), asked.board, Standing.PENDING, added_s=now_s, tags=tags)
        entry = Claimed(mac, name, asked.batch, asked.until, asked.firmware, now_s, now_s)
        kept = self._store.claims.enter(entry, node)
        self._log.info("claim: %s of batch %s waits to be accepted as %s", mac, asked.batch, kept.id)

    def _issue(self, asked: Claim, node: Node, now_s: int) -> Answer:
        """A key and a certificate; the key is nowhere else than in the answer."""
        provisioner = Provisioner(self._config, self._store.nodes, now_s=self._now_s)
        identity = provisioner.renew(Request(node.id, Kind(asked.kind), asked.board))
        mac = asked.mac.hex()
        self._store.claims.change(mac, lambda old: replace(old, issued_s=now_s, issues=old.issues + 1))
        again = "again, the certificate before is revoked" if node.cert_serial else "for the first time"
        again += "" if provisioner.takes_updates else "; it takes no updates, since the fleet has no root of trust"
        self._log.info("claim: %s gets the identity of %s %s", mac, node.id, again)
        return Answer(status=claim.ISSUED, identity=identity.encode())


def _heard(old: Claimed, asked: Claim, now_s: int) -> Claimed:
    return replace(old, batch=asked.batch, until_s=asked.until, firmware=asked.firmware, last_s=now_s)
