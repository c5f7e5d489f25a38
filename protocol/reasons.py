"""Why a connection ended: what `Heartbeat.mqtt_last_reason` and the event `link_lost` may say (SPEC 6.10).

1 to 5 are the return codes of CONNACK (MQTT 3.1.1 section 3.2.2.3). A number is never reused.
"""

REFUSED_VERSION = 1
REFUSED_CLIENT_ID = 2
REFUSED_UNAVAILABLE = 3
REFUSED_CREDENTIALS = 4
REFUSED_NOT_ALLOWED = 5
NO_NETWORK = 16
NO_ADDRESS = 17
UNREACHABLE = 18
TLS_FAILED = 19
OPEN_TIMEOUT = 20
LOW_MEMORY = 21
MALFORMED = 22
PEER_CLOSED = 23
IO_FAILED = 24
PING_TIMEOUT = 25
ACK_TIMEOUT = 26
SUBSCRIBE_TIMEOUT = 27
CONNACK_TIMEOUT = 28
CLOSED_HERE = 29

TEXTS = {
    REFUSED_VERSION: "broker refused the protocol version",
    REFUSED_CLIENT_ID: "broker refused the client id",
    REFUSED_UNAVAILABLE: "broker is not available",
    REFUSED_CREDENTIALS: "broker refused the credentials",
    REFUSED_NOT_ALLOWED: "broker does not allow this client",
    NO_NETWORK: "no network",
    NO_ADDRESS: "name not resolved",
    UNREACHABLE: "no TCP connection",
    TLS_FAILED: "TLS failed",
    OPEN_TIMEOUT: "opening took too long",
    LOW_MEMORY: "too little memory for TLS",
    MALFORMED: "malformed packet",
    PEER_CLOSED: "closed by the peer",
    IO_FAILED: "read or write failed",
    PING_TIMEOUT: "no PINGRESP",
    ACK_TIMEOUT: "no PUBACK",
    SUBSCRIBE_TIMEOUT: "no SUBACK",
    CONNACK_TIMEOUT: "no CONNACK",
    CLOSED_HERE: "closed by this node",
}
