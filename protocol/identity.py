"""The identity document: what provisioning writes into a node's flash as `/id.cbor`, once (SPEC 7).

It holds the private key, so it never leaves the node and is never printed.
"""

from protocol.message import Message

PATH = "/id.cbor"
TICKET_PATH = "/claim.cbor"  # what a board without an identity may have instead (protocol/claim.py)


class Identity(Message):
    """Who a node is and whom it trusts. Certificates and key are DER."""

    FIELDS = (
        (1, "node", str, 3, 32),
        (2, "kind", str, 1, 8),
        (3, "board", str, 1, 32),
        (4, "boot0", int, 0, 0xFFFFFFF),
        (5, "ca", bytes, 1, 1500),
        (6, "cert", bytes, 1, 1500),
        (7, "key", bytes, 1, 512),
        (8, "brokers", [str], 1, 4),
        (9, "ntp", [str], 0, 4),
        (10, "wifi_ssid", str, 0, 32),
        (11, "wifi_psk", str, 0, 64),
        (12, "tz", str, 0, 64),
        (13, "made", int, 0, 0xFFFFFFFF),
        (14, "root", bytes, 0, 2048),
        (15, "proof_key", bytes, 0, 32),
    )
    node: str  # node id
    kind: str  # "air" or "light"
    board: str  # name of a file in firmware/boards
    boot0: int  # minutes since 1970 at provisioning: boot numbers start above it, so they never repeat after a wipe
    ca: bytes  # certificate of the authority
    cert: bytes  # of the node
    key: bytes  # private key, PKCS#8 or SEC1
    brokers: "list[str]"  # "host:port", tried in order
    ntp: "list[str]" = []  # "host" or "host:port"
    wifi_ssid: str = ""  # network
    wifi_psk: str = ""  # its key
    tz: str = "CET-1CEST,M3.5.0,M10.5.0/3"  # POSIX TZ
    made: int = 0  # seconds since 1970 UTC: the node's first floor for the time
    root: bytes = b""  # whose updates it takes: an encoded Root (SPEC 14); empty = nobody's
    proof_key: bytes = b""  # under which it proves what it runs (SPEC 15.7)

    def __repr__(self) -> str:
        return "Identity(node={!r})".format(self.node)  # the key stays out of logs
