"""Use case: order nodes to do something, and learn how it ended.

A command is a row of the database; the service sends it and writes the replies into the same row. Nothing gets lost
when the node, the service or this program is away in between.
"""

import secrets
from collections.abc import Mapping, Sequence
from typing import Any

from fleet import poll
from fleet.errors import FleetError, NotAllowedError, PartlyFailedError, TimedOutError, UsageError
from fleet.model import Standing
from fleet.store import Store
from fleet.store.commands import OPEN, CommandView
from protocol import messages
from protocol.errors import EncodeError

ID_BYTES = 8
LIFETIME_S = 3600
STATUS = {
    OPEN: "waiting",
    messages.ACCEPTED: "accepted",
    messages.RUNNING: "running",
    messages.DONE: "done",
    messages.FAILED: "failed",
    messages.EXPIRED: "expired",
}
FINISHED = (messages.DONE, messages.FAILED, messages.EXPIRED)
CODES = {
    messages.E_NONE: "",
    messages.E_UNKNOWN: "the node does not know it",
    messages.E_ARGUMENT: "an argument or value is wrong",
    messages.E_BUSY: "busy",
    messages.E_HARDWARE: "the hardware does not answer",
    messages.E_STATE: "not possible now",
    messages.E_INTERNAL: "an error inside the node",
    messages.E_PROBATION: "the node lost the broker with it and took it back",
    messages.E_STORAGE: "the node cannot store it",
}


def send(
    store: Store, nodes: Sequence[str], name: str, args: Mapping[str, Any], lifetime_s: int, actor: str, now_s: int
) -> list[CommandView]:
    """Give every node the command, to be run within `lifetime_s` (0 = whenever it comes back).

    UsageError when the contract has no room for it, NotAllowedError for a node that is not accepted; then none gets it.
    """
    expires_s = now_s + lifetime_s if lifetime_s else 0
    try:
        messages.Command(id=bytes(ID_BYTES), name=name, args=dict(args), expires=expires_s, actor=actor).encode()
    except EncodeError as error:
        raise UsageError(
            f"{name} cannot be sent like this", cause=str(error), hint="use a shorter name or value"
        ) from error
    for node in nodes:
        if (standing := store.nodes.get(node).standing) is not Standing.ACCEPTED:
            raise NotAllowedError(f"{node} is {standing}", hint="only an accepted node takes commands")
    return [
        store.commands.add(secrets.token_bytes(ID_BYTES), node, name, args, now_s, expires_s, actor) for node in nodes
    ]


def wait(store: Store, sent: Sequence[CommandView], timeout_s: float) -> list[CommandView]:
    """The commands as they are when all have ended, or after `timeout_s`."""

    def probe() -> list[CommandView] | None:
        found = [store.commands.get(command.id) for command in sent]
        return found if all(command.status in FINISHED for command in found) else None

    return poll.until(probe, timeout_s) or [store.commands.get(command.id) for command in sent]


def require_done(commands: Sequence[CommandView]) -> None:
    """Nothing when all are done; otherwise FleetError or TimedOutError, PartlyFailedError when some of several are."""
    failed = {command.node: reason(command) for command in commands if command.status != messages.DONE}
    if not failed:
        return
    if len(failed) < len(commands):
        raise PartlyFailedError(f"{len(failed)} of {len(commands)} nodes did not do it", failed)
    node, why = next(iter(failed.items()))
    which = node if len(failed) == 1 else f"none of {len(failed)} nodes did it; {node}"
    if any(command.status not in FINISHED for command in commands):
        raise TimedOutError(
            f"{which}: {why}", hint=f"`fleet node show {node}` tells how it ends; the command is still under way"
        )
    raise FleetError(f"{which}: {why}", hint=f"`fleet node logs {node}` may tell more")


def reason(command: CommandView) -> str:
    """How the command stands, in words."""
    if command.status == messages.EXPIRED:
        return command.text or "expired before the node ran it"
    if command.status != messages.FAILED:
        return "no answer yet" if command.status == OPEN else STATUS[command.status]
    text = CODES.get(command.code, f"code {command.code}")
    return f"{text}: {command.text}" if command.text else text
