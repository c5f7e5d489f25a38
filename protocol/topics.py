"""Topic names: `lum/1/<node>/up/<name>` from the node, `lum/1/<node>/down/<name>` to it (SPEC 2)."""

from protocol.errors import DecodeError, EncodeError

PREFIX = "lum/1"
UP = ("tele", "event", "state", "log", "reply", "ota", "block")
DOWN = ("cmd", "config", "ota", "block")
QOS0 = ("log", "block")  # every other topic is QoS 1
RETAINED = ("up/state", "down/config", "down/ota")
EPOCH = PREFIX + "/_/down/epoch"  # to every node, retained; no node is called _. QoS 0: whoever misses it is told alone
MAX_TOPIC = 64  # bytes; the longest name below PREFIX has 51

_ID_MIN = 3
_ID_MAX = 32


def is_node_id(text: str) -> bool:
    """True for `^[a-z0-9][a-z0-9-]{2,31}$`, the only form of a node id (SPEC 2.2)."""
    if not _ID_MIN <= len(text) <= _ID_MAX or text[0] == "-":
        return False
    return all("a" <= char <= "z" or "0" <= char <= "9" or char == "-" for char in text)


def up(node: str, name: str) -> str:
    """Topic on which `node` publishes `name`; raises EncodeError for a name or node that does not exist."""
    return _build(node, "up", name, UP)


def down(node: str, name: str) -> str:
    """Topic on which `node` receives `name`; raises EncodeError for a name or node that does not exist."""
    return _build(node, "down", name, DOWN)


def filters(node: str) -> "tuple[tuple[str, int], ...]":
    """(topic filter, QoS) of what `node` subscribes to (SPEC 2.5): one for all that is its own, since a broker keeps a
    queue for each filter of QoS 1."""
    return (EPOCH, 0), (down(node, "cmd")[:-3] + "+", 1)


def _build(node: str, direction: str, name: str, names: "tuple[str, ...]") -> str:
    if not is_node_id(node):
        raise EncodeError("not a node id")
    if name not in names:
        raise EncodeError("no such topic")
    return "{}/{}/{}/{}".format(PREFIX, node, direction, name)


def parse(topic: str) -> "tuple[str, str, str]":
    """(node, "up" or "down", name) of a topic; raises DecodeError for any other."""
    parts = topic.split("/") if len(topic) <= MAX_TOPIC else []
    if len(parts) != 5 or parts[0] != "lum" or parts[1] != "1" or not is_node_id(parts[2]):
        raise DecodeError("not a topic of this contract")
    names = UP if parts[3] == "up" else DOWN if parts[3] == "down" else ()
    if parts[4] not in names:
        raise DecodeError("not a topic of this contract")
    return parts[2], parts[3], parts[4]


def qos(name: str) -> int:
    """The quality of service that the contract fixes for a topic name (SPEC 2.3)."""
    return 0 if name in QOS0 else 1
