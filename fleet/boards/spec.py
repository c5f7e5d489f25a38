"""What a board is to become: the values of one node, whether they come from options or from a line of a file."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from decimal import Decimal, InvalidOperation
from typing import Any

from fleet import nodes
from fleet.errors import UsageError
from fleet.model import Kind
from protocol.topics import is_node_id

PLACE = ("site", "lat", "lon")  # tags that have an option of their own
TAG = "tag."  # what a further tag is called in a file: tag.street
_MAC = re.compile(r"[0-9a-f]{12}")
_HOST = re.compile(r"[A-Za-z0-9.-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\]")
_BOARD = re.compile(r"[a-z][a-z0-9_]{0,31}")
_TZ = re.compile(r"[A-Za-z<][!-~]{2,63}")
_HEX = re.compile(r"[0-9A-Fa-f]{64}")
_SSID_BYTES = 32  # IEEE 802.11-2020, 9.4.2.2
_BROKERS = 4  # Identity.brokers; of time servers there are as many


@dataclass(frozen=True)
class NodeSpec:
    """Values of a node; what is empty is left to fleet.toml, to the board, or to the reader of the file."""

    node: str = ""
    mac: str = ""  # of the board that it is meant for, 12 hexadecimal digits
    port: str = ""  # or where that board is
    kind: str = ""
    board: str = ""  # the pin map: a file of firmware/boards
    brokers: tuple[str, ...] = ()
    ntp: tuple[str, ...] | None = None
    wifi_ssid: str = ""
    wifi_psk: str = field(default="", repr=False)
    tz: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    where: str = ""  # of the file, for messages

    def over(self, defaults: "NodeSpec") -> "NodeSpec":
        """This with what it leaves open from `defaults`; tags are joined. A key belongs to its network."""
        own = {row.name: getattr(self, row.name) for row in fields(self)}
        given = {name: value for name, value in own.items() if value not in ("", (), None)}
        if self.wifi_ssid not in ("", defaults.wifi_ssid):
            given["wifi_psk"] = self.wifi_psk
        return replace(defaults, **{**given, "tags": {**defaults.tags, **self.tags}})


def of(values: Mapping[str, str], where: Callable[[str], str] = "{}".format) -> NodeSpec:
    """The node that texts by name describe, tags as `tag.NAME` and the names of PLACE.

    UsageError names the first value that is wrong: `where(name)` says where it stands.
    """
    made: dict[str, Any] = {}
    tags: dict[str, str] = {}
    for name, text in values.items():
        try:
            value = READERS[name](text) if name in READERS else _tag(name, text)
        except ValueError as error:
            raise UsageError(f"{where(name)} {error}") from None
        if name in READERS and name not in PLACE:
            made[name] = value
        else:
            tags[name.removeprefix(TAG)] = value
    return NodeSpec(**made, tags=tags)


def _tag(name: str, text: str) -> str:
    try:
        nodes.check_tag(name.removeprefix(TAG), text)
    except UsageError as error:
        raise ValueError(error.cause or f"{error.message}: {error.hint}") from None
    return text


def _node(text: str) -> str:
    if not is_node_id(text):
        raise ValueError("must be 3 to 32 of a-z, 0-9 and -, not beginning with -")
    return text


def mac_of(text: str) -> str:
    """A MAC address as 12 small hexadecimal digits; ValueError."""
    plain = text.strip().lower().replace(":", "").replace("-", "")
    if not _MAC.fullmatch(plain):
        raise ValueError("must be a MAC address such as 24:0a:c4:00:00:01")
    return plain


def _port(text: str) -> str:
    if not text.strip() or len(text) > 256 or not text.isprintable():
        raise ValueError("must be a path or a URL")
    return text.strip()


def _kind(text: str) -> str:
    if text not in [kind.value for kind in Kind]:
        raise ValueError(f"must be {' or '.join(kind.value for kind in Kind)}")
    return text


def _board(text: str) -> str:
    if not _BOARD.fullmatch(text):
        raise ValueError("must be the name of a pin map such as esp32_air")
    return text


def _brokers(text: str) -> tuple[str, ...]:
    found = tuple(text.split())
    for one in found:
        host, colon, port = one.rpartition(":")
        if not colon or not _HOST.fullmatch(host) or not port.isdecimal() or not 0 < int(port) < 65536:
            raise ValueError("must be host:port, or up to four of them with blanks between")
    return _few(found)


def _ntp(text: str) -> tuple[str, ...]:
    found = tuple(text.split())
    if not all(_HOST.fullmatch(one.rpartition(":")[0] or one) for one in found):
        raise ValueError("must be host or host:port, or up to four of them with blanks between")
    return _few(found)


def _few(found: tuple[str, ...]) -> tuple[str, ...]:
    if not 1 <= len(found) <= _BROKERS:
        raise ValueError(f"must be 1 to {_BROKERS} with blanks between")
    return found


def _ssid(text: str) -> str:
    if not 1 <= len(text.encode()) <= _SSID_BYTES:
        raise ValueError(f"must be 1 to {_SSID_BYTES} bytes")
    return text


def psk_of(text: str) -> str:
    """The key of a Wi-Fi network as WPA2 has it (IEEE 802.11-2020, J.4.1); ValueError never says what it was."""
    if not _HEX.fullmatch(text) and not (8 <= len(text) <= 63 and text.isascii() and text.isprintable()):
        raise ValueError("must be 8 to 63 printable ASCII characters, or 64 hexadecimal digits")
    return text


def _tz(text: str) -> str:
    if not _TZ.fullmatch(text):
        raise ValueError("must be a POSIX time zone such as CET-1CEST,M3.5.0,M10.5.0/3")
    return text


def _degrees(most: int) -> Callable[[str], str]:
    def read(text: str) -> str:
        try:
            number = Decimal(text)
        except InvalidOperation:
            number = Decimal(most + 1)
        if not (number.is_finite() and abs(number) <= most and len(text) <= 16):
            raise ValueError(f"must be degrees from -{most} to {most} such as 52.5170")
        return text

    return read


def _site(text: str) -> str:
    return _tag("site", text)


READERS: Mapping[str, Callable[[str], Any]] = {
    "node": _node,
    "mac": mac_of,
    "port": _port,
    "kind": _kind,
    "board": _board,
    "brokers": _brokers,
    "ntp": _ntp,
    "wifi_ssid": _ssid,
    "wifi_psk": psk_of,
    "tz": _tz,
    "site": _site,
    "lat": _degrees(90),
    "lon": _degrees(180),
}
