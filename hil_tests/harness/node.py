"""A board that reports: what it says on the wire, what it is told, and what of it the store has."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from hil_tests.harness.city import City
from hil_tests.harness.verdict import ProductError
from hil_tests.harness.wire import Heard, Wire

SLACK_S = 20.0  # of a loaded computer, on top of what a node may take
_GLANCE_S = 1.0  # at the console, while waiting for the wire
EXPIRES = "7d"  # a node whose time runs fast must not find an order too old


@dataclass(frozen=True)
class Account:
    """How complete the store is: entries of a node that are there, and those it made and that are not."""

    stored: int
    missing: int


class Node:
    """`rate` is how fast the node's time runs against ours; every `within_s` is in the node's time.

    `crashes` says what the console told of so far: nobody waits for what a dead program cannot send.
    """

    def __init__(
        self,
        name: str,
        kind: str,
        city: City,
        wire: Wire,
        rate: float,
        crashes: Callable[[], list[str]] = list,
    ) -> None:
        self.name = name
        self.kind = kind
        self.rate = rate
        self.changed: set[str] = set()  # settings that a test has set
        self._crashes = crashes
        self._city = city
        self._wire = wire

    def real_s(self, node_s: float) -> float:
        """How long to wait for something that takes a node so many of its seconds."""
        return node_s / self.rate + SLACK_S

    def now(self) -> float:
        """A moment for `since`."""
        return time.monotonic()

    # -- what it says --

    def hear(self, what: str, fits: Callable[[Heard], bool], within_s: float, since: float = 0.0) -> Heard:
        """The first line of that kind (record, event, state, log, reply) since then that fits."""
        found = self.listen(what, fits, within_s, since)
        assert found is not None, f"{self.name}: no such {what} within {within_s:g} s of its time; {self._said(since)}"
        return found

    def listen(self, what: str, fits: Callable[[Heard], bool], within_s: float, since: float = 0.0) -> Heard | None:
        """The same, or None when there is none. ProductError when the program dies meanwhile."""
        end = time.monotonic() + self.real_s(within_s)
        while (left := end - time.monotonic()) > 0:
            found = self._wire.wait(
                self.name, lambda heard: heard.line.what == what and fits(heard), since, min(left, _GLANCE_S)
            )
            if found is not None:
                return found
            if crashed := self._crashes():
                raise ProductError(f"crash on the console: {crashed[0]}")
        return None

    def event(self, name: str, within_s: float, since: float = 0.0, phase: str = "", /, **attributes: Any) -> Heard:
        """The first event of that name, phase and those attributes."""

        def fits(heard: Heard) -> bool:
            fields = heard.fields
            same = fields["event"] == name and fields["phase"] == phase
            return same and attributes.items() <= dict(fields["attributes"]).items()

        return self.hear("event", fits, within_s, since)

    def record(
        self,
        within_s: float,
        since: float = 0.0,
        fits: Callable[[Mapping[str, str], Mapping[str, int]], bool] = lambda values, flags: True,
    ) -> Heard:
        """The first record of which `fits(values, flags)` is true; values are texts with their unit or "missing"."""
        return self.hear("record", lambda heard: fits(heard.fields["values"], heard.fields["flags"]), within_s, since)

    def state(self, within_s: float, since: float = 0.0, **wanted: Any) -> Heard:
        """The first state message with these values."""
        return self.hear("state", lambda heard: wanted.items() <= heard.fields.items(), within_s, since)

    def records(self, since: float = 0.0) -> list[Heard]:
        """Every record that came since then."""
        return [heard for heard in self._wire.since(self.name, since) if heard.line.what == "record"]

    def events(self, name: str, since: float = 0.0) -> list[Heard]:
        """Every event of that name since then."""
        return [
            heard
            for heard in self._wire.since(self.name, since)
            if heard.line.what == "event" and heard.fields["event"] == name
        ]

    # -- what it is told --

    def command(self, name: str, within_s: float = 60, **args: int) -> dict[str, Any]:
        """Order something; the result of a node that did it."""
        words = [f"{key}={value}" for key, value in args.items()]
        timeout = f"{self.real_s(within_s):.0f}s"
        found = self._city.fleet(
            *("node", "command", name, self.name, *words, "--timeout", timeout, "--expires", EXPIRES, "--yes")
        )
        return dict(found["commands"][0]["result"])

    def configure(self, within_s: float = 120, **settings: int | bool) -> None:
        """Set settings; returns when the node has applied them."""
        words = [f"{key}={str(value).lower()}" for key, value in settings.items()]
        timeout = f"{self.real_s(within_s):.0f}s"
        self._city.fleet("node", "config", "set", self.name, *words, "--wait", "--timeout", timeout, "--yes")
        self.changed |= settings.keys()

    def sleep(self, node_s: float) -> None:
        """Let so much of the node's time pass: for what has to go on for long, never for waiting for something."""
        time.sleep(node_s / self.rate)

    # -- what of it is known --

    def shown(self) -> dict[str, Any]:
        """What `fleet node show` says about it."""
        return dict(self._city.fleet("node", "show", self.name)["node"])

    def health(self) -> dict[str, Any]:
        """The newest heartbeat, asked for now."""
        since = self.now()
        self.command("heartbeat")
        self.state(30, since, online=True)
        return dict(self.shown()["health"])

    def account(self) -> Account:
        """Its entries by the store."""
        boots = self.shown()["boots"]
        return Account(sum(boot["stored"] for boot in boots), sum(boot["missing"] for boot in boots))

    def settled(self, within_s: float = 120) -> Account:
        """The account as soon as nothing is missing any more, or when the time is over."""
        end = time.monotonic() + self.real_s(within_s)
        while True:
            self.command("heartbeat")  # which tells how many entries it has made
            account = self.account()
            if not account.missing or time.monotonic() >= end:
                return account

    def _said(self, since: float) -> str:
        lines = [f"{heard.line.what} {heard.line.text}"[:160] for heard in self._wire.since(self.name, since)]
        return "it said " + (" | ".join(lines[-5:]) if lines else "nothing")


def number(value: str) -> float:
    """The number in a value with its unit; NaN for "missing"."""
    return float("nan") if value == "missing" else float(value.split()[0])


def unit(value: str) -> str:
    """The unit of a value; "1" when it has none."""
    return value.partition(" ")[2] or "1"
