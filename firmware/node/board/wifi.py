"""Wi-Fi of an ESP32 as a NetworkDoor: connects by itself, in bounded time, and keeps the driver's reasons.

Seen on boards: connecting takes 0.8 to 1.3 s, 4.5 s after the radio was off. A wrong password ends in 202 or 210, an
unknown network in 201. `isconnected()` stays true on a link that has died, so the program can say `distrust`.
"""

import asyncio
import hashlib

import network

_BUDGET_MS = 20000  # for association and DHCP
_STALE_MS = 1000  # after `connect` the status may still be that of the attempt before
_STEP_MS = 100
_FAILED = 200  # driver reasons of a disconnection are 200 and above,
_STATES = 1000  # states of progress 1000 and above


class Wifi:
    """One station interface."""

    def __init__(self, ssid: str, psk: str) -> None:
        self.connects = 0
        self._ssid = ssid
        self._psk = psk
        self._reason = 0
        self._wlan = network.WLAN(network.WLAN.IF_STA)
        self._ssid_hash = hashlib.sha256(ssid.encode()).digest()[:8]

    async def connect(self) -> bool:
        """Bring the link up; False after 20 s, or as soon as the driver gives a reason."""
        wlan = self._wlan
        if not wlan.active():
            wlan.active(True)
            wlan.config(reconnects=0, pm=network.WLAN.PM_NONE)  # we decide when to try again; latency before power
        if not wlan.isconnected():
            wlan.disconnect()
            wlan.connect(self._ssid, self._psk)
        waited = 0
        while not wlan.isconnected():
            status = wlan.status()
            if waited >= _BUDGET_MS or (waited >= _STALE_MS and _FAILED <= status < _STATES):
                self._reason = status
                wlan.disconnect()
                return False
            await asyncio.sleep_ms(_STEP_MS)
            waited += _STEP_MS
        self.connects += 1
        return True

    def is_up(self) -> bool:
        """True while the driver thinks so."""
        return self._wlan.active() and self._wlan.isconnected()

    def distrust(self) -> None:
        """Nobody has answered for long: switch the radio off, so that the next `connect` starts from nothing."""
        self._wlan.active(False)

    def rssi(self) -> "int | None":
        """Signal in dBm while connected."""
        return self._wlan.status("rssi") if self.is_up() else None

    def dns(self) -> "tuple[str, int] | None":
        """The name server that DHCP gave."""
        address = self._wlan.ifconfig()[3]
        return None if address == "0.0.0.0" else (address, 53)  # noqa: S104 - the driver's word for none

    def facts(self) -> "tuple[int, bytes, int]":
        """(reason of the last failure, hash of the network's name, channel)."""
        return self._reason, self._ssid_hash, self._wlan.config("channel") if self.is_up() else 0
