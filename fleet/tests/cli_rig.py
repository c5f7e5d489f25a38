"""What the tests of the command line share: a fleet directory with nodes and data, and a way to run command lines."""

import contextlib
import io
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fleet import setup
from fleet.cli import main
from fleet.config import Config
from fleet.model import Kind
from fleet.provision import Provisioner, Request
from fleet.store import Store
from fleet.store.intake import Rows
from fleet.tests.rig import free_port
from protocol import channels, events
from protocol.messages import Boot
from protocol.records import FLAG_PASS, FLAG_SUSPECT, TQ_NTP_HOUR, Event, Record, Sample

BOOT = 29_000_000


@dataclass(frozen=True)
class Result:
    """How a command line ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def error(self) -> Any:
        return json.loads(self.err)["error"]


class Screen(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def run(*args: str | Path, tty: bool = False) -> Result:
    """Run a command line in this process."""
    out, err = (Screen(), Screen()) if tty else (io.StringIO(), io.StringIO())
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main([str(arg) for arg in args])
    return Result(code, out.getvalue(), err.getvalue())


def make_fleet(directory: Path, claim: Mapping[str, object] | None = None, **broker: object) -> Config:
    """A complete fleet directory on free ports."""
    values = {"broker": {"host": "localhost", "port": free_port(), "listen": "127.0.0.1", **broker}}
    if claim is not None:
        values["claim"] = dict(claim)
    plan = setup.plan(directory, values)
    plan.carry_out()
    return plan.config


def add_nodes(config: Config, now_s: int | None = None) -> None:
    """air-1 (online, has data), air-2 (silent, refuses its config), light-1 (never heard of), old-1 (retired).

    No service runs.
    """
    with Store.open(config.store_url) as store:
        provisioner = Provisioner(config, store.nodes)
        provisioner.provision(
            Request("air-1", Kind.AIR, "esp32", tags={"site": "mitte"}),
            Request("air-2", Kind.AIR, "esp32", tags={"site": "wedding"}),
            Request("light-1", Kind.LIGHT, "esp32"),
            Request("old-1", Kind.AIR, "esp32"),
        )
        provisioner.retire("old-1")
        store.configs.set("air-2", {1: 30}, int(time.time()))
        _write(store, int(time.time()) if now_s is None else now_s)


def _write(store: Store, now: int) -> None:
    keys = store.nodes.keys()
    rows = Rows()
    air, quiet = keys["air-1"], keys["air-2"]
    start = (now - 1800) // 60 * 60
    for seq in range(30):
        samples = {
            channels.PM25: Sample(100 + seq, FLAG_SUSPECT if seq == 29 else FLAG_PASS),
            channels.CO2: Sample(None, 9),
            channels.T_AMB: Sample(-105 + 10 * seq, FLAG_PASS, 60, 12, -110 + 10 * seq, -100 + 10 * seq),
        }
        record = Record(seq, start + 60 * seq, TQ_NTP_HOUR, samples)
        row = (air, record.t, BOOT, seq, record.tq, 60, record.encode(), (record.t + 60) * 1000)
        rows.records.append(row)
        values = {channel: sample.to_cbor() for channel, sample in samples.items()}
        rows.latest[air] = (*row[:6], values, row[7])
    boot = Boot(firmware="1.3.10", cause=1, reason="power").to_map()
    event = Event(30, start, TQ_NTP_HOUR, events.BOOT, attrs=boot)
    rows.events.append((air, BOOT, 30, start, TQ_NTP_HOUR, events.BOOT, 0, event.encode(), start * 1000))
    health = json.dumps({"up_s": 1800, "heap_free": 90000})
    rows.states.append((air, True, now * 1000, BOOT, "1.3.10", "a", 0, 0, 0, "", False, health, b""))
    rows.states.append((quiet, False, (now - 7200) * 1000, BOOT, "1.4.0", "a", 1, 0, 2, "interval_s", False, "{}", b""))
    rows.logs += [
        (air, now * 1000, BOOT, 1000 + line, 6 if line else 3, "link", f"line {line}", 0) for line in range(3)
    ]
    rows.seen = {air: now * 1000, quiet: (now - 7200) * 1000}
    intake = store.intake()
    intake.write(rows)
    intake.close()
