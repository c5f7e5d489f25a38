"""The command line of a virtual board, and what a directory already knows about its board."""

import argparse
import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path

from tools.virtual_board.boot import physical_size
from tools.virtual_board.chips import CHIPS, Chip

_OUI = bytes.fromhex("240ac4")  # Espressif
_EFUSES = "efuse.json"
_KINDS = ("air", "light", "none")
_RATE_MAX = 1e6
GUIDE = """\
A directory is a board: what it holds is kept between starts.

  DIR/port            the serial port (a link: give tools this path, never what it points to)
  DIR/control         the control socket
  DIR/flash.bin       the whole flash chip
  DIR/rtc.bin         memory that survives resets, emptied by power-off
  DIR/efuse.json      chip and MAC address
  DIR/serial.log      everything the board ever said, with times
  DIR/operations.bin  every flash operation while `log` is on: <BII kind (0 erase, 1 program), address, size, the bytes

When it can be used it prints one line: ready port=DIR/port control=DIR/control [socket=...] [rfc2217=...] pid=N.
It ends on SIGTERM, SIGINT, the order `quit`, and with the process that started it.

The serial port is that of a chip: the unmodified esptool, espefuse and mpremote work on it. A pseudo terminal has no
DTR and RTS, so the first frame of a loader tool starts the loader, and when the tool closes the port the program is
started: esptool says "Chip was NOT reset" once and goes on. rfc2217:// has the lines, and resets as a board does.

  python -m tools.virtual_board --dir /tmp/b1 &
  python -m tools.virtual_board.base --chip esp32 base.bin
  esptool --port /tmp/b1/port write-flash 0x1000 base.bin
  mpremote connect /tmp/b1/port exec "import sys; print(sys.version)"

What is in flash decides what starts: bootloader, partition table and app must be valid for the chip; the program is
then the real MicroPython of this computer on the file system in that flash, with `machine`, `network` and `esp32`
that stand for hardware.

orders (JSON lines on DIR/control: {"do": NAME, ...} -> {"ok": true, ...} or {"ok": false, "error": TEXT};
`python -m tools.virtual_board.client DIR NAME [key=value ...]` sends one):
  status                        state (off reset rom stub app sleep halted), counters, doors, what is switched on
  power {on}                    switch the power
  reset                         pulse EN
  download                      reset with the boot strap held: the loader waits
  brownout                      the supply dips: reset, as the detector does it
  cut {after, keep}             power is cut within the after-th flash operation from now, keep bytes into it
                                (null: when it is complete), of the loader and of the program alike
  wait {state, timeout_s}       answered when the board is in that state (or one of a list)
  rate {x}                      its world runs x times as fast as ours
  leap {s}                      s seconds pass as fast as the program can live through them; answered afterwards
  fault {part, name, value}     a part that is wired to the board fails (value 0: no more)
  wifi {present} | {networks}   no network in the air, every network, or {ssid: key}
  trouble {name, value}         the board itself fails (value 0: no more):
                                  mute           the loader answers nothing
                                  deaf-reset     the loader is never entered
                                  stuck-boot     the strap is held down: every reset ends in the loader
                                  bad-md5        so many digests of the loader are wrong
                                  flash-id       the flash chip reports this size ("2MB")
                                  brownout-boot  the supply dips each time the program starts
                                  hang           the program says nothing and hears nothing
                                  drop           every n-th byte of the line is lost
  probe {...}                   to the handler in the file of --probe; its answer comes back
  program                       what the program's side knows: uptime, Wi-Fi state, faults
  log {on}                      the flash operation log
  quit                          end the process
A program at its prompt, or that computes, obeys cut, fault, wifi and log when it looks: then their answer has
"pending": true."""


@dataclass(frozen=True)
class Options:
    """What a board is started with; sizes in bytes, times in s."""

    directory: Path
    chip: Chip
    mac: bytes
    flash_size: int
    fit: str
    seed: int
    place: str
    rate: float
    utc_s: int | None
    heap_kb: int | None
    probe: Path | None
    socket: int | None
    rfc2217: int | None
    baud: int | None
    off: bool
    detached: bool
    dns: tuple[str, int] | None
    wifi: dict[str, str] | None


def parser() -> argparse.ArgumentParser:
    """The command line."""
    found = argparse.ArgumentParser(
        prog="python -m tools.virtual_board",
        description="One ESP32 as a process: its serial port is a pseudo terminal that esptool and mpremote can use.",
        epilog=GUIDE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = found.add_argument
    add("--dir", type=Path, required=True, metavar="DIR", help="the board: its flash, its port, its log")
    add("--chip", choices=sorted(CHIPS), help="default: as DIR says, else esp32")
    add("--flash-size", metavar="SIZE", help="1MB to 16MB (default: as DIR says, else that of the usual module)")
    add("--mac", type=_mac, metavar="MAC", help="24:0A:C4:00:00:01 (default: as DIR says, else made from its name)")
    add("--fit", choices=_KINDS, default="none", help="the parts that are wired to it (default: none)")
    add("--seed", type=int, default=1, help="of what is random around the board")
    add("--place", metavar="NAME", help="where it stands: decides what its sensors see (default: the name of DIR)")
    add("--rate", type=_rate, default=1.0, metavar="X", help="its world runs X times as fast as ours")
    add("--utc", type=int, metavar="S", help="what time it is in its world, s since 1970 (default: now)")
    add("--heap", type=int, metavar="KB", help="heap of the program")
    add("--probe", type=Path, metavar="FILE", help="MicroPython file with before, booted, ask; see docs/howto")
    add("--socket", nargs="?", type=_port, const=0, metavar="PORT", help="also on socket:// (0 or none: a free port)")
    add("--rfc2217", nargs="?", type=_port, const=0, metavar="PORT", help="also on rfc2217://, with DTR and RTS")
    add("--baud", type=_baud, default=0, metavar="N", help="the line is as slow as N bit/s, or as the host sets: line")
    add("--off", action="store_true", help="start without power")
    add("--detached", action="store_true", help="outlive the process that started it")
    add("--dns", type=_address, metavar="HOST:PORT", help="name server for the program (port 53 of it means this one)")
    air = found.add_mutually_exclusive_group()
    air.add_argument("--wifi", action="append", type=_network, metavar="SSID:KEY", help="networks (default: any)")
    air.add_argument("--no-wifi", action="store_true", help="nothing in the air")
    return found


def read(words: list[str]) -> Options:
    """Options of a start; exits with 2 and a message for what makes no sense."""
    command = parser()
    asked = command.parse_args(words)
    try:
        chip, mac = _efuses(asked.dir, asked.chip, asked.mac)
        size = _flash_size(asked.dir / "flash.bin", chip, asked.flash_size)
    except ValueError as error:
        command.error(str(error))
    return Options(
        directory=asked.dir,
        chip=chip,
        mac=mac,
        flash_size=size,
        fit=asked.fit,
        seed=asked.seed,
        place=asked.place or asked.dir.resolve().name,
        rate=asked.rate,
        utc_s=asked.utc,
        heap_kb=asked.heap,
        probe=asked.probe,
        socket=asked.socket,
        rfc2217=asked.rfc2217,
        baud=asked.baud,
        off=asked.off,
        detached=asked.detached,
        dns=asked.dns,
        wifi={} if asked.no_wifi else (dict(asked.wifi) if asked.wifi else None),
    )


def keep(options: Options) -> None:
    """Write down what the chip is for ever."""
    efuses = {"chip": options.chip.name, "mac": options.mac.hex(":")}
    (options.directory / _EFUSES).write_text(json.dumps(efuses) + "\n")


def _efuses(directory: Path, chip: str | None, mac: bytes | None) -> tuple[Chip, bytes]:
    path = directory / _EFUSES
    known = json.loads(path.read_text()) if path.exists() else {}
    made = _OUI + hashlib.sha256(directory.resolve().name.encode()).digest()[:3]
    kept_chip = known.get("chip", chip or "esp32")
    if chip is not None and kept_chip != chip:
        raise ValueError(f"{directory} is an {kept_chip}; another chip needs another directory")
    return CHIPS[kept_chip], mac or bytes.fromhex(known.get("mac", made.hex(":")).replace(":", ""))


def _flash_size(path: Path, chip: Chip, wanted: str | None) -> int:
    size = chip.flash_size if wanted is None else physical_size(wanted)
    if not path.exists():
        return size
    there = path.stat().st_size
    if wanted is not None and there != size:
        raise ValueError(f"{path} has {there} bytes; another flash size needs another directory")
    return there


def _mac(text: str) -> bytes:
    if not re.fullmatch(r"([0-9A-Fa-f]{2}[:-]?){5}[0-9A-Fa-f]{2}", text):
        raise argparse.ArgumentTypeError(f"{text} is no MAC address")
    return bytes.fromhex(re.sub("[:-]", "", text))


def _rate(text: str) -> float:
    rate = float(text)
    if not 0 < rate <= _RATE_MAX:
        raise argparse.ArgumentTypeError("a rate is above 0")
    return rate


def _port(text: str) -> int:
    port = int(text)
    if not 0 <= port < 1 << 16:
        raise argparse.ArgumentTypeError(f"{text} is no TCP port")
    return port


def _baud(text: str) -> int | None:
    if text == "line":
        return None
    baud = int(text)
    if baud != 0 and not 300 <= baud <= 20_000_000:
        raise argparse.ArgumentTypeError(f"{text} bit/s: from 300 to 20000000, 0 for no limit")
    return baud


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host:
        raise argparse.ArgumentTypeError(f"{text} is not HOST:PORT")
    return host, _port(port)


def _network(text: str) -> tuple[str, str]:
    ssid, _, key = text.partition(":")
    return ssid, key
