"""Which serial ports there are, and which of them a command means."""

import glob
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from serial.tools import list_ports

from fleet.errors import NotFoundError, UnreachableError, UsageError

ENVIRONMENT = "FLEET_PORTS"  # further ports that count as attached: paths, patterns, URLs, with white space between


@dataclass(frozen=True)
class Port:
    """A place where a board may be; what is not known, as of a port that is no USB device, is empty."""

    url: str  # a device path or any pyserial URL
    description: str = ""
    usb_serial: str = ""
    vid: int | None = None
    pid: int | None = None
    location: str = ""  # on the USB, such as 1-2.4

    @property
    def name(self) -> str:
        """What tells it from others on a narrow screen."""
        return self.url.removeprefix("/dev/")


def attached(environ: Mapping[str, str]) -> list[Port]:
    """The USB serial ports of this computer, then what FLEET_PORTS names; each once."""
    usb = [
        Port(port.device, port.description, port.serial_number or "", port.vid, port.pid, port.location or "")
        for port in sorted(list_ports.comports(), key=lambda port: port.device)
        if port.vid is not None
    ]
    return _once([*usb, *(port for word in environ.get(ENVIRONMENT, "").split() for port in _named(word, usb))])


def choose(
    ports: Sequence[Port], wanted: Sequence[str], every: bool = False, hint: str = "name one with --port, or say --all"
) -> list[Port]:
    """The ports that a command works on: those that `wanted` names, all attached ones, or the only one.

    NotFoundError for a pattern that fits nothing, UnreachableError when nothing is attached, UsageError when several
    are and none was named; `hint` is what to do then.
    """
    if wanted:
        return _once(port for word in wanted for port in _wanted(word, ports))
    if not ports:
        raise UnreachableError(
            "no board is attached",
            hint=f"plug one in, or name a port with --port or {ENVIRONMENT}; is the USB cable one for data?",
        )
    if len(ports) > 1 and not every:
        listing = "\n".join(f"{port.url}  {port.description}".rstrip() for port in ports)
        raise UsageError(f"{len(ports)} boards are attached", cause=listing, hint=hint)
    return list(ports)


def _wanted(word: str, ports: Sequence[Port]) -> list[Port]:
    found = _named(word, ports)
    if not found:
        raise NotFoundError(f"no port fits {word}", hint="fleet board list shows what is attached")
    return found


def _named(word: str, known: Sequence[Port]) -> list[Port]:
    """The ports that a path, a pattern of paths or a URL names; a path need not exist yet."""
    by_url = {port.url: port for port in known}
    if "://" in word or not glob.has_magic(word):
        return [by_url.get(word, Port(word))]
    found = sorted({*glob.glob(word), *(url for url in by_url if Path(url).match(word))})
    return [by_url.get(path, Port(path)) for path in found]


def _once(ports: Iterable[Port]) -> list[Port]:
    return list({port.url: port for port in ports}.values())
