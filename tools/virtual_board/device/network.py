"""The modules `network` and `socket` of the ESP32 port. Sockets are those of the host, once the station has joined.

A connection that is open when the network goes away stays open: cutting what is on its way is the business of
tools/switchboard, which stands between board and broker.
"""

import errno
import socket

from tools.virtual_board.device import radio as stations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tools.virtual_board.device.board import Board

_real: "Any" = socket
_NAME_PORT = 53
_EAI_FAIL = -202  # what the port raises when a name cannot be resolved
_NO_ADDRESS = "0.0.0.0"  # noqa: S104


def bind(kind: "Any", board: "Board") -> "Any":
    """The class `kind` for one board."""
    return type(kind.__name__, (kind,), {"board": board})


class WLAN:
    """`network.WLAN`, of which the station works and the access point stays silent."""

    IF_STA = 0
    IF_AP = 1
    PM_NONE = 0
    PM_PERFORMANCE = 1
    PM_POWERSAVE = 2
    SEC_OPEN = 0
    SEC_WEP = 1
    SEC_WPA = 2
    SEC_WPA2 = 3
    SEC_WPA_WPA2 = 4
    board: "Any" = None

    def __init__(self, interface: int = 0) -> None:
        if interface not in (self.IF_STA, self.IF_AP):
            raise ValueError("invalid WLAN interface identifier")
        self._radio = self.board.radio
        self._station = interface == self.IF_STA
        self._shared: "dict[str, Any]" = self.board.wlan_config
        self._ap_on = False

    def active(self, on: "Any" = None) -> bool:
        """Whether the interface is on; with an argument, switch it."""
        if not self._station:
            self._ap_on = self._ap_on if on is None else bool(on)
            return self._ap_on
        if on is not None:
            self._radio.switch(bool(on))
        return bool(self._radio.active)

    def connect(self, ssid: "Any" = None, key: "Any" = None, *, bssid: "bytes | None" = None) -> None:
        """Start to connect; `status` tells how it goes."""
        if not self._radio.active:
            raise OSError("WiFi Not Started")
        if self._radio.status() == stations.CONNECTING:
            raise OSError("Wifi Internal State Error")
        name = ssid if ssid is not None else self._radio.ssid
        self._radio.join(_text(name), _text(key))

    def disconnect(self) -> None:
        """Leave the network."""
        self._radio.leave()

    def isconnected(self) -> bool:
        """True while the station has an address."""
        return bool(self._radio.joined()) if self._station else False

    def status(self, name: "str | None" = None) -> int:
        """STAT_*; `rssi` in dBm."""
        if name is None:
            return int(self._radio.status())
        if name == "rssi" and self._radio.joined():
            return int(self._radio.strength(self._radio.ssid))
        raise OSError(errno.EINVAL) if name == "rssi" else ValueError("unknown status param")

    def scan(self) -> "list[tuple[Any, ...]]":
        """(ssid, bssid, channel, rssi, security, hidden) of every network on the air, the strongest first."""
        if not self._radio.active:
            raise OSError("STA must be active")
        self.board.timeline.sleep(stations.SCAN_MS)
        rows = []
        for name, key in (self._radio.networks or {}).items():
            security = self.SEC_WPA2 if key else self.SEC_OPEN
            bssid = bytes([2, 0, 0, 0, len(name), self._radio.channel(name)])
            rows.append((name.encode(), bssid, self._radio.channel(name), self._radio.strength(name), security, False))
        return sorted(rows, key=lambda row: -row[3])

    def ifconfig(self, settings: "Any" = None) -> "Any":
        """(address, netmask, gateway, name server)."""
        if settings is not None or not (self._station and self._radio.joined()):
            return (_NO_ADDRESS,) * 4
        server = self._radio.dns[0] if self._radio.dns else _NO_ADDRESS
        return ("127.0.0.1", "255.0.0.0", "127.0.0.1", server)

    def ipconfig(self, name: "str | None" = None, **settings: "Any") -> "Any":
        """addr4, gw4, has_dhcp4 or dhcp4."""
        found = self.ifconfig()
        table = {"addr4": found[:2], "gw4": found[2], "dhcp4": True, "has_dhcp4": self._radio.joined()}
        return None if name is None else table[name]

    def config(self, *names: str, **settings: "Any") -> "Any":
        """Read one setting, or change some."""
        if settings:
            self._shared.update(settings)
            self._radio.reconnects = self._shared["reconnects"]
            return None
        name = names[0]
        if name == "mac":
            mac: bytes = self.board.setup.mac
            return mac if self._station else mac[:5] + bytes([mac[5] + 1 & 0xFF])
        if name in ("ssid", "essid"):
            return self._radio.ssid
        if name == "channel":
            return self._radio.channel(self._radio.ssid)
        if name not in self._shared:
            raise ValueError("unknown config param")
        return self._shared[name]


def _text(value: "Any") -> str:
    return "" if value is None else value if isinstance(value, str) else bytes(value).decode()


class Network:
    """`network`, to be put into sys.modules."""

    __name__ = "network"
    STA_IF = 0
    AP_IF = 1
    AUTH_OPEN = 0
    AUTH_WPA2_PSK = 3
    STAT_IDLE = stations.IDLE
    STAT_CONNECTING = stations.CONNECTING
    STAT_GOT_IP = stations.GOT_IP
    STAT_BEACON_TIMEOUT = stations.BEACON_TIMEOUT
    STAT_NO_AP_FOUND = stations.NO_AP_FOUND
    STAT_WRONG_PASSWORD = stations.WRONG_PASSWORD
    STAT_ASSOC_FAIL = 203
    STAT_HANDSHAKE_TIMEOUT = 204
    STAT_NO_AP_FOUND_W_COMPATIBLE_SECURITY = stations.NO_COMPATIBLE_SECURITY
    STAT_NO_AP_FOUND_IN_AUTHMODE_THRESHOLD = 211
    STAT_NO_AP_FOUND_IN_RSSI_THRESHOLD = 212

    def __init__(self, board: "Board") -> None:
        board.wlan_config = {"reconnects": -1, "pm": 1, "hostname": "mpy-" + board.setup.chip, "txpower": 20}
        self._board = board
        self.WLAN = bind(WLAN, board)

    def hostname(self, name: "str | None" = None) -> "str | None":
        """The name that DHCP is told."""
        if name is None:
            return str(self._board.wlan_config["hostname"])
        self._board.wlan_config["hostname"] = name
        return None

    def country(self, code: str = "XX") -> str:
        """Nothing depends on it here."""
        return code

    def phy_mode(self, mode: int = 3) -> int:
        """Nothing depends on it here."""
        return mode


class Sockets:
    """`socket`: the host's, refused while there is no network; port 53 of the name server is where the host has it."""

    __name__ = "socket"

    def __init__(self, board: "Board") -> None:
        self._board = board

    def __getattr__(self, name: str) -> "Any":
        return getattr(_real, name)

    def socket(self, *options: int) -> "Any":
        """A socket of the host; OSError while the station has no network."""
        self._board.glance()
        if not self._board.radio.reachable():
            raise OSError(errno.EHOSTUNREACH)
        self._board.radio.opened()
        return _real.socket(*options)

    def getaddrinfo(self, host: str, port: int, *rest: int) -> "Any":
        """Addresses of a name."""
        dns = self._board.setup.dns
        if port == _NAME_PORT and dns and host == dns[0]:
            port = dns[1]
        if not self._board.radio.reachable() and not host.replace(".", "").isdigit():
            raise OSError(_EAI_FAIL)
        return _real.getaddrinfo(host, port, *rest)
