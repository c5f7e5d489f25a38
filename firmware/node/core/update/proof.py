"""What a node says of itself: the proof of what runs (SPEC 15.7), and how far an update got."""

from node.core import document
from node.core.slots import digest
from node.core.update.record import GUARD_PATH, Guard, Record, closed
from protocol.update import CONFIRMED, WAITING, Proof, Status, prove

TYPE_CHECKING = False
if TYPE_CHECKING:
    from node.core.update.parts import Node
    from node.core.update.record import Trusted


def now(node: "Node", nonce: bytes) -> Proof:
    """What runs now, for whoever asks with `nonce`."""
    return proof(node, document.load(node.files, GUARD_PATH, Guard), nonce)


def proof(node: "Node", guard: Guard, nonce: bytes) -> Proof:
    """What runs now, from the slot that it was started from."""
    base = b"" if node.base is None or node.base.label != guard.base_label else guard.base
    made = Proof(
        nonce=nonce,
        manifest=node.slots.manifest,
        slot=node.slots.running,
        boot=node.boot,
        base=base,
        confirmed=node.slots.is_kept,
    )
    made.mac = prove(node.identity.proof_key, node.identity.node, made)
    return made


def status(node: "Node", record: Record, guard: Guard, trusted: "Trusted | None") -> Status:
    """How far the campaign of `record` got, with a proof once it is confirmed."""
    confirmed = record.stage == CONFIRMED
    waits = closed(node.clock, record.switch) if record.stage == WAITING else None
    return Status(
        counter=record.counter,
        stage=record.stage,
        code=waits.code if waits else record.code,
        text=waits.text if waits else record.text,
        release=record.release,
        manifest=record.manifest,
        boot=node.boot,
        t=node.clock.utc_s() or 0,
        proof=proof(node, guard, record.nonce) if confirmed else None,
        root=trusted.root.version if trusted else 0,
        floor=guard.floor if trusted and guard.era == trusted.floor_era else 0,
        spare=digest(node.files, node.slots.spare),
        epoch=trusted.epoch(node.taken)[0] if trusted else 0,
    )
