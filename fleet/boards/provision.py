"""Makes a node of a board: identity and key onto the board and nowhere else, the public part into the register.

    look     who is at the port, and what does it run
    plan     what it is to become; all that can be refused is refused here, before anything is changed
    carry    note, register, write, restart, and believe nothing but the report of the node itself

A note (`fleet.boards.unfinished`) covers the time in which the register knows a node whose key has not arrived.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from fleet import nodes
from fleet.boards import probe as probing
from fleet.boards.probe import Facts
from fleet.boards.spec import NodeSpec
from fleet.boards.unfinished import Note, Unfinished
from fleet.config import Config
from fleet.errors import FleetError, NotAllowedError, NotFoundError, UnreachableError, UsageError, VerificationError
from fleet.flashing import firmware as sources
from fleet.flashing import pinmaps
from fleet.flashing.base import LEAST
from fleet.flashing.console import SAYS, Condition, Console, Report
from fleet.flashing.pinmaps import PinMap
from fleet.flashing.remote import Remote
from fleet.model import Node, Standing
from fleet.provision import Provisioner, Request
from fleet.store import Store
from protocol.identity import PATH, Identity

NEW = "new"  # what is done about a node
RENEWED = "renewed"
DONE = "done"  # it is that node already, and nothing is unfinished


@dataclass(frozen=True)
class Desk:
    """The fleet that nodes are made for, and the firmware they run."""

    config: Config
    store: Store
    provisioner: Provisioner
    catalogue: Mapping[str, PinMap]
    now_s: Callable[[], int] = lambda: int(time.time())

    @property
    def unfinished(self) -> Unfinished:
        """Nodes whose board has not proved yet that it got its key."""
        return Unfinished(self.config.directory)


@dataclass(frozen=True)
class Seen:
    """A board as `look` found it. `report` is there when its program runs."""

    url: str
    facts: Facts
    report: Report | None = None


@dataclass(frozen=True)
class Plan:
    """What is to be done with one board. `doubts` are what somebody has to agree to first, as questions."""

    seen: Seen
    spec: NodeSpec
    pin_map: PinMap
    action: str
    doubts: tuple[str, ...] = ()


@dataclass(frozen=True)
class Provisioned:
    """How it ended: the node as the register has it, and as it reported itself."""

    node: Node
    url: str
    action: str
    report: Report


def desk(config: Config, store: Store, firmware: Path | None = None) -> Desk:
    """What provisioning for that fleet needs; `firmware` is the directory of its sources unless it is ours."""
    catalogue = pinmaps.catalogue(firmware or sources.directory())
    return Desk(config, store, Provisioner(config, store.nodes), catalogue)


def look(url: str) -> Seen:
    """Who is at a port. A node that runs is not disturbed: what it reports is enough.

    NotAllowedError for a board that has to be flashed first, UnreachableError for one that does not answer.
    """
    with Console(url) as console:
        answer = console.identify()
    if answer.condition not in (Condition.REPORT, Condition.PROMPT):
        raise _not_ready(url, answer.condition)
    report = answer.report
    if report is not None and report.board:
        return Seen(url, Facts(mac=report.mac, fw=report.fw, identity=report.state, node=report.node), report)
    facts = probing.probe(Remote(url))
    if not facts.fw:
        raise NotAllowedError(f"{url} does not run our firmware", hint="add --flash, or first: fleet board flash")
    if not facts.has_micropython(LEAST):
        cause = f"it runs MicroPython {facts.micropython}, and the firmware needs {'.'.join(map(str, LEAST))}"
        raise NotAllowedError(f"{url} has an old base image", hint="add --flash", cause=cause)
    return Seen(url, facts)


def _not_ready(url: str, condition: Condition) -> FleetError:
    if condition in (Condition.BLANK, Condition.OTHER):
        return NotAllowedError(f"{url} cannot be provisioned as it is", cause=SAYS[condition], hint="add --flash")
    hint = f"find out why: fleet board doctor --port {url}"
    return UnreachableError(f"the board at {url} does not answer", cause=SAYS[condition], hint=hint)


def plan(desk: Desk, seen: Seen, spec: NodeSpec) -> Plan:
    """What is to be done; UsageError, NotAllowedError or VerificationError when it must not or cannot be."""
    facts = seen.facts
    if spec.mac and facts.mac and spec.mac != facts.mac:
        raise VerificationError(f"the board at {seen.url} is another one", cause=f"its MAC address is {facts.mac}")
    if facts.node not in ("", spec.node):
        hint = f"add --flash to erase it, or provision it as {facts.node} again"
        raise NotAllowedError(f"the board at {seen.url} is {facts.node}, with its data and settings", hint=hint)
    old = _registered(desk, spec.node)
    filled = _complete(spec, old)
    pin_map = pinmaps.choose(desk.catalogue, filled.board, filled.kind, chip_of(desk, seen))
    if facts.boards and pin_map.name not in facts.boards:
        raise NotAllowedError(f"the firmware on {seen.url} has no board {pin_map.name}", hint="add --flash")
    if old is None:
        return Plan(seen, filled, pin_map, NEW)
    return Plan(seen, filled, pin_map, RENEWED, _doubts(desk, old, facts))


def chip_of(desk: Desk, seen: Seen) -> str:
    """The chip of a board as it says itself, or as its pin map has it."""
    own = desk.catalogue.get(seen.report.board) if seen.report else None
    return own.chip if own else seen.facts.chip


def _registered(desk: Desk, node: str) -> Node | None:
    try:
        found = desk.store.nodes.get(node)
    except NotFoundError:
        return None
    if found.standing is Standing.PENDING:
        hint = f"accept it: fleet node accept {node}"
        raise NotAllowedError(f"{node} waits already, as a board that claims it", hint=hint)
    if found.standing is not Standing.ACCEPTED:
        hint = "choose another id: ids are never used again"
        raise NotAllowedError(f"{node} is {found.standing.value}", hint=hint)
    return found


def _complete(spec: NodeSpec, old: Node | None) -> NodeSpec:
    """What a node that exists keeps when nobody says otherwise."""
    if not spec.wifi_ssid:
        raise UsageError(
            f"{spec.node} has no network to report over", hint="name one with --wifi-ssid, or as wifi_ssid in the file"
        )
    if old is None:
        return spec
    kind = spec.kind or ("" if spec.board else old.kind.value)
    return replace(spec, kind=kind, board=spec.board or ("" if spec.kind else old.board))


def _doubts(desk: Desk, old: Node, facts: Facts) -> tuple[str, ...]:
    """Why somebody has to agree that a node gets a new certificate; nothing when the last attempt was not finished."""
    note = desk.unfinished.get(old.id)
    if note is not None and note.mac in ("", facts.mac):
        return ()
    where = "this board" if facts.node == old.id else "the board that has it now"
    return (f"{old.id} exists: {where} loses its certificate at once. Make it anew?",)


def carry_out(desk: Desk, planned: Plan, say: Callable[[str], object] = lambda text: None) -> Provisioned:
    """Do it; `say` is told each step. What fails after the registration says how to complete it."""
    seen, spec = planned.seen, planned.spec
    say("key and certificate")
    identity = register(desk, planned)
    try:
        say("writing")
        remote = Remote(seen.url)
        remote.write(PATH, identity.encode())
        say("starting")
        remote.restart()
        report = confirm(seen.url, spec.node)
    except FleetError as error:
        raise unfinished(spec.node, error) from error
    return finish(desk, planned, report)


def register(desk: Desk, planned: Plan) -> Identity:
    """Note the node as unfinished, make its key, and let the register and the broker know it."""
    spec, pin_map = planned.spec, planned.pin_map
    request = Request(
        node=spec.node,
        kind=pin_map.kind,
        board=pin_map.name,
        brokers=spec.brokers,
        ntp=spec.ntp,
        wifi_ssid=spec.wifi_ssid,
        wifi_psk=spec.wifi_psk,
        tz=spec.tz,
        tags=spec.tags,
    )
    desk.unfinished.begin(Note(spec.node, planned.seen.facts.mac, planned.seen.url, desk.now_s()))
    if planned.action == NEW:
        return desk.provisioner.provision(request)[0]
    identity = desk.provisioner.renew(request)
    if spec.tags:
        nodes.tag(desk.store, spec.node, dict(spec.tags))
    return identity


def confirm(url: str, node: str) -> Report:
    """The report of the node that a board has become; VerificationError when it says something else."""
    with Console(url) as console:
        report = console.wait_report()
    if (report.node, report.state) != (node, "node"):
        cause = f"it says that it is {report.node or 'no node'} ({report.state})"
        raise VerificationError(f"the board at {url} did not become {node}", cause=cause, hint="run it again")
    return report


def finish(desk: Desk, planned: Plan, report: Report) -> Provisioned:
    """The board has proved what it is: the node is no longer unfinished."""
    desk.unfinished.end(planned.spec.node)
    return Provisioned(desk.store.nodes.get(planned.spec.node), planned.seen.url, planned.action, report)


def unfinished(node: str, error: FleetError) -> FleetError:
    """`error`, with what it means for a node that is registered already."""
    error.hint = "; ".join(
        filter(
            None,
            (
                error.hint,
                f"{node} is registered and its board may lack the key: run the same again to complete it, "
                f"or give it up with `fleet node retire {node}`",
            ),
        )
    )
    return error


def is_done(desk: Desk, seen: Seen, spec: NodeSpec) -> bool:
    """Whether a board is that node already, with nothing unfinished: how a batch goes on where it stopped."""
    if seen.facts.node != spec.node or desk.unfinished.get(spec.node) is not None:
        return False
    found = _registered(desk, spec.node)
    return found is not None and spec.mac in ("", seen.facts.mac)
