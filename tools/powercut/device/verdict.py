"""What holds after every power cut, whatever the node was doing: it boots, has lost nothing, and tells the truth."""

from node import VERSION
from node.core.config import Config
from node.core.slots import TRIES
from protocol import channels, events
from protocol.console import parse
from protocol.identity import PATH
from protocol.messages import Boot, State
from protocol.records import Event, Sample
from protocol.report import NODE
from tools.powercut.device.facts import BadError, expect

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tools.powercut.device.facts import Key
    from tools.powercut.device.run import Run

HOUR_S = 3600
REVERTED = "reverted slot "  # how a boot says that the slot on trial was given up


def state_of(config: Config) -> "tuple[int, int, int, bool, int]":
    """(applied, desired, error, on probation, the setting that is used): what a node knows of its configuration."""
    return config.applied, config.desired, config.error, config.on_probation, config.get("batch")


def boots(run: "Run") -> None:
    """Before the program runs: who it is, how it is configured."""
    run.facts.check("identity", run.files.read(PATH))
    run.facts.check("config", state_of(run.app.config))
    run.facts.check("slot", (run.slot, run.app.slots.on_trial))
    expect(run.facts.trials <= TRIES, "the slot on trial has run {} times", run.facts.trials)


def survives(run: "Run") -> None:
    """After the program has run: it reports what is true, and everything that it ever kept comes out."""
    _state(run)
    evicted = run.app.outbox.evicted
    found = _drained(run)
    run.facts.check_entries(found)
    _line(run, len([key for key in found if key[0] != run.app.boots.boot]) + evicted)
    _boot_event(run, found)
    outbox = run.app.outbox
    expect(outbox.damaged == 0, "{} damaged segments", outbox.damaged)
    expect(outbox.used == 0, "{} bytes of the outbox are in use when it is empty", outbox.used)


def goes_on(run: "Run") -> None:
    """The node keeps a new record, and it comes out."""
    expect(run.app.journal.record({channels.T_AMB: Sample(2000)}, *run.app.clock.stamp()), "a new record is refused")
    expect(_drained(run), "a new record does not come out")


def _drained(run: "Run") -> "dict[Key, bytes]":
    """Everything that the outbox gives to the broker, once records have waited long enough."""
    run.passes(HOUR_S)
    found: "dict[Key, bytes]" = {}
    batch = run.acknowledge()
    while batch:
        for key, entry in batch.items():
            expect(key not in found, "entry {} comes twice in one run", key)
            found[key] = entry
        batch = run.acknowledge()
    return found


def _state(run: "Run") -> None:
    """The state message says what the node uses."""
    app = run.app
    state = State.decode(app.reporter.state().encode())
    told = state.boot, state.slot, state.config_applied, state.config_desired, state.config_error
    true = app.boots.boot, run.slot, app.config.applied, app.config.desired, app.config.error
    expect(told == true, "the state says {} and {} is true", told, true)


def said(run: "Run") -> "dict[str, Any]":
    """The first report line on the serial console of this run; BadError without one."""
    for line in run.lines:
        found = parse(line)
        if found is not None:
            return found
    raise BadError("no report line on the console")


def _line(run: "Run", waiting: int) -> None:
    """The report line on the console says who this is; `waiting` entries of earlier boots were there."""
    app, line = run.app, said(run)
    true = {"node": app.identity.node, "slot": run.slot, "boot": app.boots.boot, "state": NODE, "waiting": waiting}
    for name, value in true.items():
        expect(line[name] == value, "the report line says {} {!r} and {!r} is true", name, line[name], value)


def _boot_event(run: "Run", found: "dict[Key, bytes]") -> None:
    """This run has announced itself, with what is true."""
    app = run.app
    entry = found.get((app.boots.boot, 0))
    expect(entry, "this boot was not announced")
    event = Event.decode(entry or b"")
    expect(event.code == events.BOOT, "the first event is {}", event.code)
    boot = Boot.from_map(event.attrs)
    told = boot.firmware, boot.slot, boot.config_rev, boot.cause, boot.crashes, boot.safe_mode
    true = VERSION, run.slot, app.config.applied, run.board.reset_cause(), app.boots.crashes, app.boots.safe_mode
    expect(told == true, "the boot event says {} and {} is true", told, true)
    run.facts.check("reverted", boot.reason if boot.reason.startswith(REVERTED) else "")
