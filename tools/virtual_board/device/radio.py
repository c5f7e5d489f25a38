"""The Wi-Fi station of a board, without the names of `network`: what it hears, and how long things take.

Seen on boards: a scan takes 2.1 to 2.5 s, connecting 0.8 to 1.3 s, 4.0 to 4.5 s after the radio was off (so does the
first time); a password that is wrong ends in 202, one that is missing in 210, a network that is not there in 201.
"""

from tools.sim.world import hash32, text_seed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

IDLE = 1000
CONNECTING = 1001
GOT_IP = 1010
BEACON_TIMEOUT = 200
NO_AP_FOUND = 201
WRONG_PASSWORD = 202
NO_COMPATIBLE_SECURITY = 210

SCAN_MS = 2300
_JOIN_MS = 800
_SPREAD_MS = 500
_COLD_MS = 3200  # more, when the radio was off before
_LOST_MS = 6000  # without beacons until the driver gives a network up
_TALK_MS = 30000  # a socket may wait for its peer for so long after it was opened
_RETRY_MS = 2400  # the driver tries again by itself, unless it was told not to


class Radio:
    """`networks` is what is on the air, {name: password, "" for none}; None: any name with any password."""

    def __init__(
        self, networks: "dict[str, str] | None", dns: "list[Any] | None", now_ms: "Callable[[], int]", seed: int
    ) -> None:
        self.networks = networks
        self.dns = dns
        self.active = False
        self.reconnects = -1  # attempts that the driver makes by itself; -1: without end
        self.ssid = ""
        self._psk = ""
        self._now_ms = now_ms
        self._seed = seed
        self._status = IDLE
        self._reason = 0  # of the last failure
        self._due_ms = 0  # of the attempt that is under way
        self._lost_ms: "int | None" = None  # when the driver notices that the network is gone
        self._cold = True
        self._tries = 0
        self._opened_ms = -_TALK_MS

    def air(self, networks: "dict[str, str] | None") -> None:
        """From now on this is on the air."""
        self.status()
        self.networks = networks
        if self._status == GOT_IP and self._verdict() != GOT_IP and self._lost_ms is None:
            self._lost_ms = self._now_ms() + _LOST_MS
        elif self._verdict() == GOT_IP:
            self._lost_ms = None

    def switch(self, on: bool) -> None:
        """The radio on or off."""
        if on != self.active:
            self.active = on
            self._status = IDLE
            self._lost_ms = None
            self._cold = True

    def join(self, ssid: str, psk: str) -> None:
        """Start to connect."""
        self.ssid = ssid
        self._psk = psk
        self._tries = 0
        self._attempt(self._now_ms(), _JOIN_MS + (_COLD_MS if self._cold else 0))

    def leave(self) -> None:
        """Disconnect, or give up the attempt."""
        self._status = IDLE
        self._lost_ms = None

    def status(self) -> int:
        """The driver's word for where it stands."""
        now = self._now_ms()
        if self._lost_ms is not None and now >= self._lost_ms:
            lost_ms, self._lost_ms = self._lost_ms, None
            self._failed(lost_ms, BEACON_TIMEOUT)
        while self._status == CONNECTING and now >= self._due_ms:
            verdict = self._verdict()
            if verdict == GOT_IP:
                self._status = GOT_IP
                self._cold = False
            else:
                self._failed(self._due_ms, verdict)
        return self._reason if self._status == CONNECTING and self._tries else self._status

    def joined(self) -> bool:
        """True while it has an address."""
        return self.active and self.status() == GOT_IP

    def reachable(self) -> bool:
        """True while what is sent arrives: the driver notices later than that when a network is gone."""
        return self.joined() and self._lost_ms is None

    def opened(self) -> None:
        """A socket was opened."""
        self._opened_ms = self._now_ms()

    def talks(self) -> bool:
        """A peer in the real world may have to answer: a socket was opened not long ago."""
        return self._now_ms() - self._opened_ms < _TALK_MS

    def state(self) -> "dict[str, Any]":
        """For the curious outside."""
        return {"active": self.active, "ssid": self.ssid, "status": self.status(), "connected": self.joined()}

    def strength(self, ssid: str) -> int:
        """dBm of a network at this place, changing slowly."""
        return -48 - hash32(self._seed, text_seed(ssid)) % 20 - hash32(self._seed, self._now_ms() // 10000) % 5

    def channel(self, ssid: str) -> int:
        """1, 6 or 11."""
        return (1, 6, 11)[text_seed(ssid) % 3]

    def _attempt(self, at_ms: int, base_ms: int) -> None:
        self._status = CONNECTING
        self._due_ms = at_ms + base_ms + hash32(self._seed, at_ms) % _SPREAD_MS

    def _failed(self, at_ms: int, reason: int) -> None:
        self._reason = reason
        if self.reconnects < 0 or self._tries < self.reconnects:
            self._tries += 1
            self._attempt(at_ms, _RETRY_MS)
        else:
            self._status = reason

    def _verdict(self) -> int:
        if self.networks is None:
            return GOT_IP
        wanted = self.networks.get(self.ssid)
        if wanted is None:
            return NO_AP_FOUND
        if wanted and not self._psk:
            return NO_COMPATIBLE_SECURITY
        return GOT_IP if not wanted or wanted == self._psk else WRONG_PASSWORD
