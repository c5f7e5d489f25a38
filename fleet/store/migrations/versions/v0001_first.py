"""The first schema: nodes, records, events, roll-ups, commands and the service's own books."""

from alembic import op
from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
)

_SERIAL = BigInteger().with_variant(Integer, "sqlite")  # only INTEGER counts by itself in SQLite

revision = "0001"
down_revision = None

_metadata = MetaData()

Table(
    "node",
    _metadata,
    Column("key", Integer, primary_key=True),
    Column("id", Text, nullable=False, unique=True),
    Column("kind", Text, nullable=False),
    Column("board", Text, nullable=False),
    Column("standing", Text, nullable=False),
    Column("cert_serial", Text, nullable=False),
    Column("cert_sha256", Text, nullable=False),
    Column("cert_until_s", BigInteger, nullable=False),
    Column("boot0", BigInteger, nullable=False),
    Column("added_s", BigInteger, nullable=False),
    Column("retired_s", BigInteger),
    Column("tags", JSON, nullable=False),
    Column("last_seen_ms", BigInteger),
    Column("kept_hour", Integer, nullable=False),
)

Table(
    "node_state",
    _metadata,
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
)

Table(
    "node_config",
    _metadata,
    Column("node", Integer, primary_key=True, autoincrement=False),
    Column("rev", BigInteger, nullable=False),
    Column("values", JSON, nullable=False),
    Column("issued_s", BigInteger, nullable=False),
    Column("probation_s", Integer, nullable=False),
    Column("sent_rev", BigInteger, nullable=False),
    Column("sent_ms", BigInteger, nullable=False),
)

Table(
    "record",
    _metadata,
    Column("node", Integer, nullable=False),
    Column("ts", BigInteger, nullable=False),
    Column("boot", BigInteger, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("tq", Integer, nullable=False),
    Column("interval_s", Integer, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("received_ms", BigInteger, nullable=False),
    PrimaryKeyConstraint("node", "ts", "boot", "seq"),
    UniqueConstraint("node", "boot", "seq", name="record_identity"),
    Index("record_undated", "node", "boot", sqlite_where=Column("tq") < 2, postgresql_where=Column("tq") < 2),
    sqlite_with_rowid=False,
)

Table(
    "event",
    _metadata,
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

Table(
    "latest",
    _metadata,
    Column("node", Integer, primary_key=True, autoincrement=False),
    Column("ts", BigInteger, nullable=False),
    Column("boot", BigInteger, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("tq", Integer, nullable=False),
    Column("interval_s", Integer, nullable=False),
    Column("values", JSON, nullable=False),
    Column("received_ms", BigInteger, nullable=False),
)

Table(
    "boot",
    _metadata,
    Column("node", Integer, nullable=False),
    Column("boot", BigInteger, nullable=False),
    Column("epoch_s", BigInteger),
    Column("tq", Integer, nullable=False),
    Column("pruned", BigInteger, nullable=False),
    Column("pruned_seq", BigInteger, nullable=False),
    PrimaryKeyConstraint("node", "boot"),
    sqlite_with_rowid=False,
)

Table(
    "heartbeat",
    _metadata,
    Column("node", Integer, nullable=False),
    Column("boot", BigInteger, nullable=False),
    Column("up_s", BigInteger, nullable=False),
    Column("received_ms", BigInteger, nullable=False),
    Column("health", JSON, nullable=False),
    PrimaryKeyConstraint("node", "boot", "up_s"),
    Index("heartbeat_time", "received_ms"),
    sqlite_with_rowid=False,
)

Table(
    "rollup_1h",
    _metadata,
    Column("node", Integer, nullable=False),
    Column("channel", Integer, nullable=False),
    Column("hour", Integer, nullable=False),
    Column("n", Integer, nullable=False),
    Column("low", BigInteger, nullable=False),
    Column("high", BigInteger, nullable=False),
    Column("total", BigInteger, nullable=False),
    PrimaryKeyConstraint("node", "channel", "hour"),
    sqlite_with_rowid=False,
)

Table(
    "rollup_due",
    _metadata,
    Column("hour", Integer, nullable=False),
    Column("node", Integer, nullable=False),
    PrimaryKeyConstraint("hour", "node"),
    sqlite_with_rowid=False,
)

Table(
    "node_log",
    _metadata,
    Column("key", _SERIAL, primary_key=True),
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

Table(
    "command",
    _metadata,
    Column("id", Text, primary_key=True),
    Column("node", Integer, nullable=False),
    Column("name", Text, nullable=False),
    Column("args", LargeBinary, nullable=False),
    Column("issued_s", BigInteger, nullable=False),
    Column("expires_s", BigInteger, nullable=False),
    Column("actor", Text, nullable=False),
    Column("status", Integer, nullable=False),
    Column("code", Integer, nullable=False),
    Column("text", Text, nullable=False),
    Column("result", LargeBinary, nullable=False),
    Column("replied_ms", BigInteger),
    Column("sent_ms", BigInteger),
    Column("sent", Integer, nullable=False),
    Index("command_node", "node", "issued_s"),
    Index("command_time", "issued_s"),
    Index("command_open", "node", sqlite_where=Column("status") == 0, postgresql_where=Column("status") == 0),
)

Table(
    "dead_letter",
    _metadata,
    Column("key", _SERIAL, primary_key=True),
    Column("digest", LargeBinary, nullable=False, unique=True),
    Column("topic", Text, nullable=False),
    Column("payload", LargeBinary, nullable=False),
    Column("reason", Text, nullable=False),
    Column("received_ms", BigInteger, nullable=False),
    Column("last_ms", BigInteger, nullable=False),
    Column("count", BigInteger, nullable=False),
    Index("dead_letter_time", "last_ms"),
)

Table(
    "service_stat",
    _metadata,
    Column("t_ms", BigInteger, primary_key=True, autoincrement=False),
    Column("figures", JSON, nullable=False),
)


def upgrade() -> None:
    """Make every table."""
    _metadata.create_all(op.get_bind())
