"""Finds out what is wrong with a board: from the computer's side of the cable to the program, one step after the other.

Each step says what it found, why that is so, and what to try, and the first that makes the next ones senseless is the
last. A program that answers is not disturbed; a board that does not answer is reset and asked through its loader.
"""

import grp
import os
import pwd
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from fleet.boards import doctor_flash, probe
from fleet.boards.finding import FAIL, OK, WARN, Finding
from fleet.boards.monitor import CAUSES
from fleet.errors import FleetError, NotAllowedError, NotFoundError
from fleet.flashing import usb
from fleet.flashing.base import LEAST
from fleet.flashing.console import SAYS, Answer, Condition, Console
from fleet.flashing.esptool import Esptool, Options
from fleet.flashing.ports import Port
from fleet.flashing.remote import Remote
from fleet.flashing.signs import ERROR, INFO, Sign
from fleet.model import Standing
from protocol import messages, report

_RESET_S = 4.0  # from reset to the report of a node, or to the text that says why there is none
_LOOK_S = 3.0
_ASKED = (Condition.REPORT, Condition.PROMPT)
Standings = Callable[[str], Standing | None]  # what the register says about a node


@dataclass
class Patient:
    """A board under examination. `reachable` turns true when it has said anything."""

    port: Port
    environ: Mapping[str, str]
    standing: Standings = lambda node: None
    reachable: bool = False


def no_port(sysfs: Path = usb.SYSFS) -> Iterator[Finding]:
    """What there is to say when no board is attached."""
    silent = [device for device in usb.bridges(sysfs) if not device.has_port]
    for device in silent:
        yield _without_driver(device)
    if not silent:
        yield Finding(
            FAIL,
            "port",
            "there is no serial port of a board",
            "the computer sees no bridge on its USB",
            "use a cable for data (many only charge) and plug it in again; in a container or a virtual machine, pass"
            " the device through",
        )


def _without_driver(device: usb.Device) -> Finding:
    brltty = "; on a desktop remove brltty, which takes it for a Braille display" if device.vid in _BRAILLE else ""
    return Finding(
        FAIL,
        "driver",
        f"a {device.bridge.name} at USB {device.where} has no serial port",
        "its driver is not loaded, or something else has taken it",
        f"sudo modprobe {device.bridge.driver}{brltty}",
    )


_BRAILLE = (0x1A86, 0x10C4)


def examine(patient: Patient) -> Iterator[Finding]:
    """Every finding, in order."""
    yield from _usb(patient.port)
    try:
        console = Console(patient.port.url)
    except FleetError as error:
        yield _closed(patient.port.url, error)
        return
    with console:
        yield Finding(OK, "port", f"{patient.port.url} can be opened")
        try:
            answer = console.identify(_LOOK_S)
            if answer.condition not in (*_ASKED, Condition.DOWNLOAD, Condition.BROWNOUT) and console.reset():
                answer = _later(answer, console.identify(_RESET_S))
        except FleetError as error:
            yield Finding(FAIL, "port", error.message, error.cause, error.hint)
            return
    patient.reachable = answer.condition not in (Condition.SILENCE, Condition.NOISE)
    yield from _DIALOGUES.get(answer.condition, _no_answer)(patient, answer)


def _later(first: Answer, second: Answer) -> Answer:
    """What was heard after the reset, unless that is nothing."""
    return first if second.condition is Condition.SILENCE else second


def _usb(port: Port) -> Iterator[Finding]:
    if port.vid is None or port.pid is None:
        return
    known = usb.BRIDGES.get((port.vid, port.pid))
    if known is not None:
        yield Finding(OK, "usb", f"{known.name} (driver {known.driver})")
        return
    yield Finding(
        WARN,
        "usb",
        f"{port.vid:04x}:{port.pid:04x} is no bridge that boards are known to have",
        port.description,
        "is it the right port? fleet board list shows the others",
    )


def _closed(url: str, error: FleetError) -> Finding:
    if isinstance(error, NotAllowedError):
        owner = _group(Path(url))
        hint = (
            f"sudo usermod -aG {owner} {_user()}, then log in again" if owner else "ask the administrator for the port"
        )
        return Finding(FAIL, "permission", error.message, f"it belongs to the group {owner}" if owner else "", hint)
    if isinstance(error, NotFoundError) or "no port" in error.message:
        return Finding(FAIL, "port", error.message, error.cause, error.hint)
    check = "busy" if "in use" in error.message else "port"
    return Finding(FAIL, check, error.message, error.cause, error.hint)


def _group(path: Path) -> str:
    try:
        return grp.getgrgid(path.stat().st_gid).gr_name
    except (OSError, KeyError):
        return ""


def _user() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return "$USER"


def _signs(patient: Patient, answer: Answer) -> Iterator[Finding]:
    """A board that says itself what is wrong, which no look into its flash would make clearer."""
    sign = _worst(answer)
    if sign is None:
        yield Finding(FAIL, answer.condition.value, SAYS[answer.condition])
    else:
        yield Finding(FAIL, sign.name, sign.says, "it says so itself", sign.hint)


def _worst(answer: Answer) -> Sign | None:
    """The sign that explains most: an error before a warning; what is no trouble explains nothing."""
    bad = [sign for sign in answer.signs if sign.severity != INFO]
    return min(bad, key=lambda sign: sign.severity != ERROR, default=None)


def _no_answer(patient: Patient, answer: Answer) -> Iterator[Finding]:
    """Ask the loader, which is in ROM and answers whatever the flash holds."""
    sign = _worst(answer)
    cause, hint = (sign.says, sign.hint) if sign else _WHY.get(answer.condition, ("", ""))
    yield Finding(FAIL, "program", SAYS[answer.condition], cause, hint)
    loader = Esptool(patient.port.url, Options(), patient.environ)
    for finding in doctor_flash.examine(loader):
        patient.reachable = patient.reachable or finding.check != "loader" or finding.status == OK
        yield replace(finding, text=finding.text.removeprefix(f"{patient.port.url}: "))


_WHY = {
    Condition.NOISE: (
        "another bit rate, a bad cable, or no common ground",
        "another cable; fleet board monitor --baud 74880 reads the ROM of boards with a 26 MHz crystal",
    ),
    Condition.OTHER: ("other firmware, or an old one of ours", "see what it says: fleet board monitor"),
    Condition.BOOT_LOOP: (
        "the program crashes as it starts",
        "the last lines before it restarts say more: fleet board monitor",
    ),
}


def _prompt(patient: Patient, answer: Answer) -> Iterator[Finding]:
    """MicroPython without a program, or with one that has ended."""
    try:
        facts = probe.probe(Remote(patient.port.url, patient.environ))
    except FleetError as error:
        text, hint = error.message.removeprefix(f"{patient.port.url}: "), "press EN, or take another cable"
        yield Finding(FAIL, "prompt", text, error.cause or "the line loses bytes, or a program holds on to it", hint)
        return
    if not facts.has_micropython(LEAST):
        least = ".".join(map(str, LEAST))
        hint = "flash a newer base image: fleet board flash --micropython VERSION"
        yield Finding(FAIL, "micropython", f"MicroPython {facts.micropython} is too old", f"{least} is needed", hint)
    else:
        yield Finding(OK, "micropython", f"MicroPython {facts.micropython} on {facts.chip or 'an unknown chip'}")
    if not facts.free:
        hint = "fleet board flash --force makes a new one; what is on it is lost"
        yield Finding(FAIL, "files", "the file system is not mounted, or full", "", hint)
    if not facts.fw:
        yield Finding(FAIL, "firmware", "it has no firmware of ours", "", "flash it: fleet board flash")
        return
    yield Finding(OK, "firmware", f"firmware {facts.fw} in slot {facts.slot or '?'}")
    yield from _identity(facts)


def _identity(facts: probe.Facts) -> Iterator[Finding]:
    if facts.identity == probe.NONE:
        yield Finding(WARN, "identity", "it has no identity yet", "", "give it one: fleet board provision NODE")
    elif facts.identity == probe.DAMAGED:
        hint = "make it anew: fleet board provision NODE --yes"
        yield Finding(FAIL, "identity", "its identity cannot be read", "the file is damaged", hint)
    else:
        hint = "press EN; what it says then is the reason: fleet board monitor"
        yield Finding(FAIL, "program", f"the program of {facts.node} is stopped", "somebody or an error ended it", hint)


def _node(patient: Patient, answer: Answer) -> Iterator[Finding]:
    """Our firmware, which says itself how it is."""
    found = answer.report
    assert found is not None
    yield Finding(OK, "firmware", f"firmware {found.fw} in slot {found.slot}, manifest {found.manifest[:12] or 'none'}")
    if found.state == report.UNPROVISIONED:
        yield Finding(WARN, "identity", "it has no identity yet", "", "give it one: fleet board provision NODE")
    elif found.state == report.DAMAGED:
        hint = "make it anew: fleet board provision NODE --yes, or fleet board flash --force"
        yield Finding(FAIL, "identity", "identity or program are damaged", "", hint)
    elif found.state == report.CLAIMING:
        yield Finding(WARN, "identity", "it waits to be accepted", "", f"fleet node accept {found.mac}")
    else:
        yield Finding(OK, "identity", f"it is {found.node}, boot {found.boot}")
        yield from _standing(patient, found.node)
    if found.cause == messages.RESET_WATCHDOG:
        hint = "fleet node logs and fleet node show say what it did before"
        yield Finding(WARN, "start", "a watchdog restarted it", f"last cause: {CAUSES[found.cause]}", hint)


def _standing(patient: Patient, node: str) -> Iterator[Finding]:
    standing = patient.standing(node)
    if standing is Standing.RETIRED:
        hint = "give it another identity: fleet board provision, with --flash"
        yield Finding(FAIL, "register", f"{node} is retired", "its certificate is revoked", hint)
    elif standing is not None:
        yield Finding(OK, "register", f"{node} is {standing.value}")


_DIALOGUES: Mapping[Condition, Callable[[Patient, Answer], Iterator[Finding]]] = {
    Condition.REPORT: _node,
    Condition.PROMPT: _prompt,
    Condition.DOWNLOAD: _signs,
    Condition.BROWNOUT: _signs,
}
