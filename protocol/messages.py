"""Every message of the contract, one table each (SPEC 6). Units stand in the field names.

Directions and topics: Batch up/tele and up/event, State up/state (retained, also the will), Log up/log, Reply up/reply,
Command down/cmd, Config down/config (retained). Boot travels as the attributes of an event, Heartbeat inside State.
"""

from protocol.message import Message

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_U8 = 0xFF
_U16 = 0xFFFF
_U32 = 0xFFFFFFFF
_TIME = _U32
MAX_ENTRIES = 128  # entries of one batch
MAX_DOWN_SIZE = 2048  # bytes of a command or configuration: a node decodes it in RAM (SPEC 2.4)
MAX_DOWN_ITEMS = 256

# Command states (Reply.status)
ACCEPTED = 1
RUNNING = 2
DONE = 3
FAILED = 4
EXPIRED = 5

# Reply.code of a failed command; State.config_error
E_NONE = 0
E_UNKNOWN = 1  # no such command or setting
E_ARGUMENT = 2  # an argument or value of the wrong type or out of range
E_BUSY = 3
E_HARDWARE = 4
E_STATE = 5  # not possible now
E_INTERNAL = 6
E_PROBATION = 7  # a configuration that lost the broker and was taken back
E_STORAGE = 8

# Reset causes (Boot.cause)
RESET_UNKNOWN = 0
RESET_POWER_ON = 1
RESET_HARD = 2  # ESP32 cannot tell panic, EN pin and software reset apart
RESET_WATCHDOG = 3
RESET_DEEP_SLEEP = 4
RESET_SOFT = 5

# Log levels (Log.level), numbers of RFC 5424
LOG_ERROR = 3
LOG_WARNING = 4
LOG_INFO = 6
LOG_DEBUG = 7


class Batch(Message):
    """Entries of one boot, each an encoded record (up/tele) or event (up/event), byte for byte as they were stored."""

    FIELDS = (
        (1, "boot", int, 0, _U32),
        (2, "entries", [bytes], 1, MAX_ENTRIES),
        (3, "up_s", int, 0, _U32),
    )
    boot: int  # boot number of all entries
    entries: "list[bytes]"  # encoded records or events
    up_s: "int | None" = None  # uptime when the batch was made; present when an entry of this very boot has tq 0


class Boot(Message):
    """Attributes of the event `boot`: what started, and why the last run ended."""

    FIELDS = (
        (1, "firmware", str, 1, 32),
        (2, "cause", int, 0, _U8),
        (3, "intended", bool, 0, 0),
        (4, "reason", str, 0, 48),
        (5, "slot", str, 0, 8),
        (6, "board", str, 0, 32),
        (7, "kind", str, 0, 8),
        (8, "config_rev", int, 0, _U32),
        (9, "breadcrumb", str, 0, 96),
        (10, "prev_up_s", int, 0, _U32),
        (11, "micropython", str, 0, 32),
        (12, "manifest", bytes, 0, 32),
        (13, "crashes", int, 0, _U16),
        (14, "safe_mode", bool, 0, 0),
    )
    firmware: str  # version
    cause: int = RESET_UNKNOWN  # RESET_*
    intended: bool = False  # the end of the last run was asked for
    reason: str = ""  # why it was asked for, or the last words
    slot: str = ""  # of the program that runs
    board: str = ""  # name of its pin map
    kind: str = ""  # "air" or "light"
    config_rev: int = 0  # configuration in force
    breadcrumb: str = ""  # where the last run was when it ended
    prev_up_s: int = 0  # how long the last run lasted
    micropython: str = ""  # version
    manifest: bytes = b""  # SHA-256 of the manifest of the program that runs
    crashes: int = 0  # runs in a row that ended unintended
    safe_mode: bool = False  # only what keeps lamp, records and link


class Heartbeat(Message):
    """Health of a running node, every five minutes. None means: this board cannot tell."""

    FIELDS = (
        (1, "up_s", int, 0, _U32),
        (2, "heap_free", int, 0, _U32),
        (3, "heap_min", int, 0, _U32),
        (4, "heap_largest", int, 0, _U32),
        (5, "outbox_used", int, 0, _U32),
        (6, "outbox_size", int, 0, _U32),
        (7, "outbox_oldest_s", int, 0, _U32),
        (8, "outbox_evicted", int, 0, _U32),
        (9, "outbox_seq", int, 0, _U32),
        (10, "loop_lag_p95_ms", int, 0, _U32),
        (11, "task_restarts", int, 0, _U32),
        (12, "rssi_dbm", int, -200, 0),
        (13, "wifi_connects", int, 0, _U32),
        (14, "mqtt_connects", int, 0, _U32),
        (15, "mqtt_last_reason", int, 0, _U8),
        (16, "ack_p50_ms", int, 0, _U32),
        (17, "ack_p95_ms", int, 0, _U32),
        (18, "mqtt_resends", int, 0, _U32),
        (19, "ntp_offset_ms", int, -(1 << 31), (1 << 31) - 1),
        (20, "ntp_age_s", int, 0, _U32),
        (21, "time_quality", int, 0, 4),
        (22, "mcu_cdeg", int, -5000, 15000),
        (23, "supply_mv", int, 0, _U32),
        (24, "wdt_margin_ms", int, 0, _U32),
        (25, "log_dropped", int, 0, _U32),
        (26, "sensor_errors", int, 0, _U32),
        (27, "wifi_last_reason", int, 0, _U16),
        (28, "wifi_ssid_hash", bytes, 0, 8),
        (29, "wifi_bssid", bytes, 0, 6),
        (30, "wifi_channel", int, 0, _U8),
        (31, "ip_family", int, 0, 6),
    )
    up_s: int  # uptime
    heap_free: "int | None" = None  # bytes
    heap_min: "int | None" = None  # bytes, least since boot
    heap_largest: "int | None" = None  # bytes, largest block
    outbox_used: int = 0  # bytes
    outbox_size: int = 0  # bytes
    outbox_oldest_s: int = 0  # age of the oldest entry that is not acknowledged
    outbox_evicted: int = 0  # entries given up for lack of room, since boot
    outbox_seq: int = 0  # next seq of this boot: every seq below it was an entry
    loop_lag_p95_ms: "int | None" = None  # how late the event loop runs
    task_restarts: int = 0  # since boot
    rssi_dbm: "int | None" = None  # of the Wi-Fi signal
    wifi_connects: int = 0  # since boot
    mqtt_connects: int = 0  # since boot
    mqtt_last_reason: int = 0  # why the last connection or attempt ended, SPEC 6.10
    ack_p50_ms: "int | None" = None  # from publish to acknowledgement
    ack_p95_ms: "int | None" = None  # from publish to acknowledgement
    mqtt_resends: int = 0  # since boot
    ntp_offset_ms: "int | None" = None  # clock error found by the last synchronisation
    ntp_age_s: "int | None" = None  # since the last synchronisation
    time_quality: int = 0  # TQ_*
    mcu_cdeg: "int | None" = None  # chip temperature
    supply_mv: "int | None" = None  # supply voltage
    wdt_margin_ms: "int | None" = None  # least time that was left when the watchdog was fed
    log_dropped: int = 0  # lines not sent since boot
    sensor_errors: int = 0  # since boot
    wifi_last_reason: int = 0  # of the last disconnection, as the driver numbers it
    wifi_ssid_hash: bytes = b""  # first bytes of its SHA-256: tells networks apart without naming them
    wifi_bssid: bytes = b""  # of the access point
    wifi_channel: int = 0  # of the access point
    ip_family: int = 0  # 4 or 6


class State(Message):
    """What a node is, retained. The will is `State(online=False)`, so it must hold without knowing the end."""

    FIELDS = (
        (1, "online", bool, 0, 0),
        (2, "boot", int, 0, _U32),
        (3, "firmware", str, 0, 32),
        (4, "kind", str, 0, 8),
        (5, "board", str, 0, 32),
        (6, "slot", str, 0, 8),
        (7, "manifest", bytes, 0, 32),
        (8, "config_desired", int, 0, _U32),
        (9, "config_applied", int, 0, _U32),
        (10, "config_error", int, 0, _U8),
        (11, "config_path", str, 0, 48),
        (12, "t", int, 0, _TIME),
        (13, "heartbeat", Heartbeat, 0, 0),
        (14, "safe_mode", bool, 0, 0),
    )
    online: bool  # the node has a session
    boot: int = 0  # boot number
    firmware: str = ""  # version
    kind: str = ""  # "air" or "light"
    board: str = ""  # name of its pin map
    slot: str = ""  # of the program that runs
    manifest: bytes = b""  # SHA-256 of the manifest of the program that runs
    config_desired: int = 0  # last revision received
    config_applied: int = 0  # revision in force
    config_error: int = E_NONE  # E_*
    config_path: str = ""  # the setting that was refused
    t: int = 0  # seconds since 1970 UTC, 0 while unknown
    heartbeat: "Heartbeat | None" = None  # health
    safe_mode: bool = False  # only what keeps lamp, records and link


class Log(Message):
    """One line of the node's log; QoS 0, so `dropped` counts the lines before it that were not sent."""

    FIELDS = (
        (1, "boot", int, 0, _U32),
        (2, "up_ms", int, 0, (1 << 48) - 1),
        (3, "level", int, 0, 7),
        (4, "tag", str, 0, 16),
        (5, "text", str, 0, 256),
        (6, "dropped", int, 0, _U32),
    )
    boot: int = 0  # boot number
    up_ms: int = 0  # uptime of the line
    level: int = LOG_INFO  # LOG_*
    tag: str = ""  # part of the program
    text: str = ""  # the line
    dropped: int = 0  # lines before this one that were not sent


class Command(Message):
    """An order to a node. A node runs an id once, however often it arrives, and never after `expires`."""

    MAX_SIZE = MAX_DOWN_SIZE
    MAX_ITEMS = MAX_DOWN_ITEMS
    FIELDS = (
        (1, "id", bytes, 8, 16),
        (2, "name", str, 1, 24),
        (3, "args", dict, 0, 16),
        (4, "issued", int, 0, _TIME),
        (5, "expires", int, 0, _TIME),
        (6, "actor", str, 0, 64),
    )
    id: bytes  # random
    name: str  # what to do
    args: "dict[str, Any]" = {}  # arguments by name
    issued: int = 0  # seconds since 1970 UTC
    expires: int = 0  # seconds since 1970 UTC; 0 = never
    actor: str = ""  # who asked


class Reply(Message):
    """How far a command got. A node sends one per change of status."""

    FIELDS = (
        (1, "id", bytes, 8, 16),
        (2, "status", int, ACCEPTED, EXPIRED),
        (3, "code", int, 0, _U8),
        (4, "result", dict, 0, 32),
        (5, "boot", int, 0, _U32),
        (6, "t", int, 0, _TIME),
        (7, "text", str, 0, 128),
    )
    id: bytes  # of the command
    status: int  # ACCEPTED .. EXPIRED
    code: int = E_NONE  # E_*
    result: "dict[str, Any]" = {}  # of a command that is done, by name
    boot: int = 0  # boot number
    t: int = 0  # seconds since 1970 UTC, 0 while unknown
    text: str = ""  # explanation for people


class Config(Message):
    """The whole desired configuration of one node: setting ids that differ from their default, and their values."""

    MAX_SIZE = MAX_DOWN_SIZE
    MAX_ITEMS = MAX_DOWN_ITEMS
    FIELDS = (
        (1, "rev", int, 1, _U32),
        (2, "values", dict, 0, 64),
        (3, "issued", int, 0, _TIME),
        (4, "probation_s", int, 0, 86400),
    )
    rev: int  # grows with every change
    values: "dict[int, Any]" = {}  # by setting id
    issued: int = 0  # seconds since 1970 UTC
    probation_s: int = 600  # taken back unless the broker acknowledges within this time


MESSAGES = (Batch, Boot, Heartbeat, State, Log, Command, Reply, Config)
