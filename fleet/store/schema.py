"""The tables. Measured values and times are integers with the unit in the name (`_s`, `_ms` since 1970 UTC).

node          who was provisioned, and what for          node_state    what each node last said about itself
node_config   the configuration each shall have          heartbeat     the health of each over time
record        intervals, entry bytes as received         latest        the newest record of each node
event         events, entry bytes as received            boot          when each boot of a node began
rollup_1h     hourly statistics                          rollup_due    hours whose statistics are behind
node_log      log lines                                  command       orders and how far they got
dead_letter   what was refused, with the reason          service_stat  the service's own figures over time
claim         boards that proved a ticket               release       what was published, signatures and all
campaign      the newest order to each about its program
node_update   how far each node says its update got, and what it proved
rollout       heads of rollouts, and their plans      rollout_node   how far each node of each rollout is
epoch         what was halted for everybody           node_quarantine  nodes that no rollout orders for a while
evidence      packets behind verdicts of the telemetry
audit         who decided or did what, and why: each entry is chained to the one before it

A node has an integer `key` here, so that the large tables do not repeat its name. The migrations in `migrations/`
make these tables; a test compares the two.

`ts` and `tq` are the time of an entry as it is believed, `body` has what the node said. While the node did not know the
time, tq is 0 and ts the latest it can have been; when the node's date was in the future, tq is -1 and ts its arrival.
Neither counts in statistics, and no date in the future can stand before what is new.
"""

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from fleet.store.schema_rollouts import SERIAL, metadata
from fleet.store.schema_rollouts import audit as audit
from fleet.store.schema_rollouts import epoch as epoch
from fleet.store.schema_rollouts import evidence as evidence
from fleet.store.schema_rollouts import node_quarantine as node_quarantine
from fleet.store.schema_rollouts import rollout as rollout
from fleet.store.schema_rollouts import rollout_node as rollout_node

node = Table(
    "node",
    metadata,
    Column("key", Integer, primary_key=True),
    Column("id", Text, nullable=False, unique=True),
    Column("kind", Text, nullable=False),
    Column("board", Text, nullable=False),
    Column("standing", Text, nullable=False),
    Column("cert_serial", Text, nullable=False),  # decimal: up to 160 bits
    Column("cert_sha256", Text, nullable=False),
    Column("cert_until_s", BigInteger, nullable=False),
    Column("boot0", BigInteger, nullable=False),
    Column("added_s", BigInteger, nullable=False),
    Column("retired_s", BigInteger),
    Column("tags", JSON, nullable=False),
    Column("last_seen_ms", BigInteger),
    Column("kept_hour", Integer, nullable=False, default=0),  # retention gave up every record of the hours before it
)

claim = Table(
    "claim",
    metadata,
    Column("mac", Text, primary_key=True),  # hex, of the chip
    Column("node", Integer, nullable=False, unique=True),
    Column("batch", Text, nullable=False),
    Column("until_s", BigInteger, nullable=False),
    Column("firmware", Text, nullable=False),
    Column("first_s", BigInteger, nullable=False),
    Column("last_s", BigInteger, nullable=False),
    Column("accepted_s", BigInteger),
    Column("accepted_by", Text, nullable=False),
    Column("issued_s", BigInteger),
    Column("issues", Integer, nullable=False),
    Index("claim_batch", "batch"),
)

node_state = Table(
    "node_state",
    metadata,
    Column("node", Integer, primary_key=True, autoincrement=False),
    Column("online", Boolean, nullable=False),
    Column("received_ms", BigInteger, nullable=False),
    Column("boot", BigInteger, nullable=False),
    Column("firmware", Text, nullable=False),
    Column("slot", Text, nullable=False),
    Column("config_desired", BigInteger, nullable=False),
    Column("config_applied", BigInteger, nullable=False),
    Column("config_error", Integer, nullable=False),
    Column("config_path", Text, nullable=False),
    Column("safe_mode", Boolean, nullable=False),
    Column("health", JSON, nullable=False),
    Column("manifest", LargeBinary, nullable=False),  # SHA-256 of the manifest of the program that runs
    Index("node_state_time", "received_ms"),
)

node_config = Table(
    "node_config",
    metadata,
    Column("node", Integer, primary_key=True, autoincrement=False),
    Column("rev", BigInteger, nullable=False),
    Column("values", JSON, nullable=False),
    Column("issued_s", BigInteger, nullable=False),
    Column("probation_s", Integer, nullable=False),
    Column("sent_rev", BigInteger, nullable=False),  # the newest that a broker acknowledged
    Column("sent_ms", BigInteger, nullable=False),
)

record = Table(
    "record",
    metadata,
    Column("node", Integer, nullable=False),
    Column("ts", BigInteger, nullable=False),  # start of the interval
    Column("boot", BigInteger, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("tq", Integer, nullable=False),
    Column("interval_s", Integer, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("received_ms", BigInteger, nullable=False),
    PrimaryKeyConstraint("node", "ts", "boot", "seq"),  # a range of time is one scan
    UniqueConstraint("node", "boot", "seq", name="record_identity"),  # SPEC 5.3
    Index("record_undated", "node", "boot", sqlite_where=Column("tq") < 2, postgresql_where=Column("tq") < 2),
    sqlite_with_rowid=False,
)

event = Table(
    "event",
    metadata,
    Column("node", Integer, nullable=False),
    Column("boot", BigInteger, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("ts", BigInteger, nullable=False),
    Column("tq", Integer, nullable=False),
    Column("code", Integer, nullable=False),
    Column("phase", Integer, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("received_ms", BigInteger, nullable=False),
    PrimaryKeyConstraint("node", "boot", "seq"),
    Index("event_ts", "ts"),
    sqlite_with_rowid=False,
)

latest = Table(
    "latest",
    metadata,
    Column("node", Integer, primary_key=True, autoincrement=False),
    Column("ts", BigInteger, nullable=False),
    Column("boot", BigInteger, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("tq", Integer, nullable=False),
    Column("interval_s", Integer, nullable=False),
    Column("values", JSON, nullable=False),  # {channel: sample} as in SPEC 5.8
    Column("received_ms", BigInteger, nullable=False),
)

boot = Table(
    "boot",
    metadata,
    Column("node", Integer, nullable=False),
    Column("boot", BigInteger, nullable=False),
    Column("epoch_s", BigInteger),  # UTC at uptime 0; null while unknown
    Column("tq", Integer, nullable=False),  # quality of epoch_s
    Column("pruned", BigInteger, nullable=False),  # records of this boot that retention removed
    Column("pruned_seq", BigInteger, nullable=False),  # the greatest seq of those
    PrimaryKeyConstraint("node", "boot"),
    sqlite_with_rowid=False,
)

heartbeat = Table(
    "heartbeat",
    metadata,
    Column("node", Integer, nullable=False),
    Column("boot", BigInteger, nullable=False),
    Column("up_s", BigInteger, nullable=False),
    Column("received_ms", BigInteger, nullable=False),
    Column("health", JSON, nullable=False),
    PrimaryKeyConstraint("node", "boot", "up_s"),
    Index("heartbeat_time", "received_ms"),
    sqlite_with_rowid=False,
)

rollup_1h = Table(
    "rollup_1h",
    metadata,
    Column("node", Integer, nullable=False),
    Column("channel", Integer, nullable=False),
    Column("hour", Integer, nullable=False),  # hours since 1970 UTC
    Column("n", Integer, nullable=False),
    Column("low", BigInteger, nullable=False),
    Column("high", BigInteger, nullable=False),
    Column("total", BigInteger, nullable=False),
    PrimaryKeyConstraint("node", "channel", "hour"),
    sqlite_with_rowid=False,
)

rollup_due = Table(
    "rollup_due",
    metadata,
    Column("hour", Integer, nullable=False),
    Column("node", Integer, nullable=False),
    PrimaryKeyConstraint("hour", "node"),
    sqlite_with_rowid=False,
)

node_log = Table(
    "node_log",
    metadata,
    Column("key", SERIAL, primary_key=True),
    Column("node", Integer, nullable=False),
    Column("received_ms", BigInteger, nullable=False),
    Column("boot", BigInteger, nullable=False),
    Column("up_ms", BigInteger, nullable=False),
    Column("level", Integer, nullable=False),
    Column("tag", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("dropped", BigInteger, nullable=False),
    Index("node_log_node", "node", "key"),
    Index("node_log_time", "received_ms"),
)

command = Table(
    "command",
    metadata,
    Column("id", Text, primary_key=True),  # hex
    Column("node", Integer, nullable=False),
    Column("name", Text, nullable=False),
    Column("args", LargeBinary, nullable=False),  # CBOR
    Column("issued_s", BigInteger, nullable=False),
    Column("expires_s", BigInteger, nullable=False),  # 0 = never
    Column("actor", Text, nullable=False),
    Column("status", Integer, nullable=False),  # 0 = no reply yet, otherwise Reply.status
    Column("code", Integer, nullable=False),
    Column("text", Text, nullable=False),
    Column("result", LargeBinary, nullable=False),  # CBOR
    Column("replied_ms", BigInteger),
    Column("sent_ms", BigInteger),
    Column("sent", Integer, nullable=False),  # how often
    Index("command_node", "node", "issued_s"),
    Index("command_time", "issued_s"),
    Index("command_open", "node", sqlite_where=Column("status") == 0, postgresql_where=Column("status") == 0),
)

dead_letter = Table(
    "dead_letter",
    metadata,
    Column("key", SERIAL, primary_key=True),
    Column("digest", LargeBinary, nullable=False, unique=True),  # of topic, payload and reason
    Column("topic", Text, nullable=False),
    Column("payload", LargeBinary, nullable=False),
    Column("reason", Text, nullable=False),
    Column("received_ms", BigInteger, nullable=False),  # the first time
    Column("last_ms", BigInteger, nullable=False),
    Column("count", BigInteger, nullable=False),
    Index("dead_letter_time", "last_ms"),
)

release = Table(
    "release",
    metadata,
    Column("digest", LargeBinary, primary_key=True),  # SHA-256 of the release document
    Column("product", Text, nullable=False),
    Column("version", Text, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("manifest", LargeBinary, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("base", LargeBinary, nullable=False),
    Column("envelope", LargeBinary, nullable=False),
    Column("published_s", BigInteger, nullable=False),
    Column("published_by", Text, nullable=False),
    Column("yanked_s", BigInteger),
    Column("yanked_by", Text, nullable=False),
    Column("yanked_reason", Text, nullable=False),
    UniqueConstraint("product", "version", name="release_version"),
    UniqueConstraint("product", "sequence", name="release_sequence"),
    Index("release_manifest", "manifest"),
)

campaign = Table(
    "campaign",
    metadata,
    Column("node", Integer, primary_key=True, autoincrement=False),
    Column("counter", BigInteger, nullable=False),
    Column("action", Integer, nullable=False),
    Column("release", LargeBinary, nullable=False),  # SHA-256 of the release document, or empty
    Column("manifest", LargeBinary, nullable=False),  # that shall run afterwards; empty = whatever does
    Column("nonce", LargeBinary, nullable=False),
    Column("envelope", LargeBinary, nullable=False),
    Column("issued_s", BigInteger, nullable=False),
    Column("expires_s", BigInteger, nullable=False),
    Column("actor", Text, nullable=False),
    Column("group", BigInteger, nullable=False, server_default=text("0")),  # that an epoch can halt; 0 = none
    Column("sent_counter", BigInteger, nullable=False),  # the newest that a broker acknowledged
    Column("sent_ms", BigInteger, nullable=False),
    Column("sent", Integer, nullable=False),  # how often
)

node_update = Table(
    "node_update",
    metadata,
    Column("node", Integer, primary_key=True, autoincrement=False),
    Column("received_ms", BigInteger, nullable=False),
    Column("boot", BigInteger, nullable=False),
    Column("t_s", BigInteger, nullable=False),  # when the node said so, by its clock, at most the arrival; 0 = unknown
    Column("counter", BigInteger, nullable=False),
    Column("stage", Integer, nullable=False),
    Column("done", BigInteger, nullable=False),
    Column("total", BigInteger, nullable=False),
    Column("code", Integer, nullable=False),
    Column("text", Text, nullable=False),
    Column("release", LargeBinary, nullable=False),
    Column("manifest", LargeBinary, nullable=False),
    Column("root", BigInteger, nullable=False),
    Column("floor", BigInteger, nullable=False),
    Column("spare", LargeBinary, nullable=False),
    Column("seen", BigInteger, nullable=False),  # the greatest counter that it did not refuse
    Column("proved_ms", BigInteger),  # arrival of the newest proof that holds and answers a nonce of ours; null = none
    Column("proved_nonce", LargeBinary),
    Column("proved_manifest", LargeBinary),
    Column("proved_slot", Text),
    Column("proved_boot", BigInteger),
    Column("proved_base", LargeBinary),
    Index("node_update_time", "received_ms"),
)

service_stat = Table(
    "service_stat",
    metadata,
    Column("t_ms", BigInteger, primary_key=True, autoincrement=False),
    Column("figures", JSON, nullable=False),
)
