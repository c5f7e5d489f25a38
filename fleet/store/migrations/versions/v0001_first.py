"""The first schema: nodes, records, events, roll-ups, commands and the service's own books."""

from alembic import op
from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    Text,
    UniqueConstraint,
)

revision = "0001"
down_revision = None

_SERIAL = BigInteger().with_variant(Integer, "sqlite")


def upgrade() -> None:
    """Make every table."""
    _nodes()
    _entries()
    _rollups()
    _books()


def _nodes() -> None:
    op.create_table(
        "node",
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
    op.create_table(
        "node_state",
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
    op.create_table(
        "node_config",
        Column("node", Integer, primary_key=True, autoincrement=False),
        Column("rev", BigInteger, nullable=False),
        Column("values", JSON, nullable=False),
        Column("issued_s", BigInteger, nullable=False),
        Column("probation_s", Integer, nullable=False),
        Column("sent_rev", BigInteger, nullable=False),
        Column("sent_ms", BigInteger, nullable=False),
    )
    op.create_table(
        "heartbeat",
        Column("node", Integer, nullable=False),
        Column("boot", BigInteger, nullable=False),
        Column("up_s", BigInteger, nullable=False),
        Column("received_ms", BigInteger, nullable=False),
        Column("health", JSON, nullable=False),
        PrimaryKeyConstraint("node", "boot", "up_s"),
        sqlite_with_rowid=False,
    )
    op.create_index("heartbeat_time", "heartbeat", ["received_ms"])


def _entries() -> None:
    op.create_table(
        "record",
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
        sqlite_with_rowid=False,
    )
    op.create_index(
        "record_undated", "record", ["node", "boot"], sqlite_where=Column("tq") < 2, postgresql_where=Column("tq") < 2
    )
    op.create_table(
        "event",
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
        sqlite_with_rowid=False,
    )
    op.create_index("event_ts", "event", ["ts"])
    op.create_table(
        "latest",
        Column("node", Integer, primary_key=True, autoincrement=False),
        Column("ts", BigInteger, nullable=False),
        Column("boot", BigInteger, nullable=False),
        Column("seq", BigInteger, nullable=False),
        Column("tq", Integer, nullable=False),
        Column("interval_s", Integer, nullable=False),
        Column("values", JSON, nullable=False),
        Column("received_ms", BigInteger, nullable=False),
    )
    op.create_table(
        "boot",
        Column("node", Integer, nullable=False),
        Column("boot", BigInteger, nullable=False),
        Column("epoch_s", BigInteger),
        Column("tq", Integer, nullable=False),
        Column("pruned", BigInteger, nullable=False),
        Column("pruned_seq", BigInteger, nullable=False),
        PrimaryKeyConstraint("node", "boot"),
        sqlite_with_rowid=False,
    )


def _rollups() -> None:
    op.create_table(
        "rollup_1h",
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
    op.create_table(
        "rollup_due",
        Column("hour", Integer, nullable=False),
        Column("node", Integer, nullable=False),
        PrimaryKeyConstraint("hour", "node"),
        sqlite_with_rowid=False,
    )


def _books() -> None:
    op.create_table(
        "node_log",
        Column("key", _SERIAL, primary_key=True),
        Column("node", Integer, nullable=False),
        Column("received_ms", BigInteger, nullable=False),
        Column("boot", BigInteger, nullable=False),
        Column("up_ms", BigInteger, nullable=False),
        Column("level", Integer, nullable=False),
        Column("tag", Text, nullable=False),
        Column("text", Text, nullable=False),
        Column("dropped", BigInteger, nullable=False),
    )
    op.create_index("node_log_node", "node_log", ["node", "key"])
    op.create_index("node_log_time", "node_log", ["received_ms"])
    op.create_table(
        "command",
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
    )
    op.create_index("command_node", "command", ["node", "issued_s"])
    op.create_index("command_time", "command", ["issued_s"])
    op.create_index(
        "command_open", "command", ["node"], sqlite_where=Column("status") == 0, postgresql_where=Column("status") == 0
    )
    op.create_table(
        "dead_letter",
        Column("key", _SERIAL, primary_key=True),
        Column("digest", LargeBinary, nullable=False, unique=True),
        Column("topic", Text, nullable=False),
        Column("payload", LargeBinary, nullable=False),
        Column("reason", Text, nullable=False),
        Column("received_ms", BigInteger, nullable=False),
        Column("last_ms", BigInteger, nullable=False),
        Column("count", BigInteger, nullable=False),
    )
    op.create_index("dead_letter_time", "dead_letter", ["last_ms"])
    op.create_table(
        "service_stat",
        Column("t_ms", BigInteger, primary_key=True, autoincrement=False),
        Column("figures", JSON, nullable=False),
    )
