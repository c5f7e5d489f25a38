"""The tables of rollouts, part of `schema.py`, which says what each is for."""

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
)

SERIAL = BigInteger().with_variant(Integer, "sqlite")  # only INTEGER counts by itself in SQLite

metadata = MetaData()

rollout = Table(
    "rollout",
    metadata,
    Column("id", SERIAL, primary_key=True),
    Column("name", Text, nullable=False),
    Column("created_s", BigInteger, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("hash", Text, nullable=False),  # of plan and members: what approvals are for
    Column("plan", LargeBinary, nullable=False),  # fleet.rollout.wire
    Column("skipped", LargeBinary, nullable=False),  # CBOR, [[node, reason, code]]
    Column("phase", Text, nullable=False),  # this and what follows: fleet.rollout.model.Rollout
    Column("wave", Integer, nullable=False),
    Column("wave_s", BigInteger, nullable=False),
    Column("soak_s", BigInteger, nullable=False),
    Column("started_s", BigInteger, nullable=False),
    Column("ended_s", BigInteger, nullable=False),
    Column("group", BigInteger, nullable=False),
    Column("accepted", Integer, nullable=False),
    Column("promoted", Boolean, nullable=False),
    Column("tokens", BigInteger, nullable=False),
    Column("tokens_s", BigInteger, nullable=False),
    Column("verdict", Text, nullable=False),
    Column("evidence", BigInteger, nullable=False),
    Column("reason", Text, nullable=False),
    Column("undo", Boolean, nullable=False),
    Column("approvals", JSON, nullable=False),
    Column("version", BigInteger, nullable=False),  # whoever changes the row must have seen the newest
    Index("rollout_name", "name"),
    Index("rollout_phase", "phase"),
)

rollout_node = Table(
    "rollout_node",
    metadata,
    Column("rollout", BigInteger, nullable=False),
    Column("node", Integer, nullable=False),
    Column("member", LargeBinary, nullable=False),  # fleet.rollout.wire
    Column("config_before", JSON(none_as_null=True)),  # with a rollout of settings: those that it replaced
    Column("stage", Text, nullable=False),  # this and what follows: fleet.rollout.model.Execution
    Column("since_s", BigInteger, nullable=False),
    Column("wave", Integer, nullable=False),
    Column("tries", Integer, nullable=False),
    Column("excused", Integer, nullable=False),
    Column("recent", JSON, nullable=False),
    Column("counter", BigInteger, nullable=False),
    Column("stop", BigInteger, nullable=False),
    Column("ordered_s", BigInteger, nullable=False),
    Column("deadline_s", BigInteger, nullable=False),
    Column("not_before_s", BigInteger, nullable=False),
    Column("code", Integer, nullable=False),
    Column("text", Text, nullable=False),
    Column("said", Text, nullable=False),
    Column("online", Boolean, nullable=False),
    Column("late", Boolean, nullable=False),
    Column("failed", Boolean, nullable=False),
    Column("held", Text, nullable=False),
    Column("before", LargeBinary, nullable=False),
    PrimaryKeyConstraint("rollout", "node"),
    Index("rollout_node_node", "node"),
    sqlite_with_rowid=False,
)

epoch = Table(
    "epoch",
    metadata,
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("issued_s", BigInteger, nullable=False),
    Column("halted", JSON, nullable=False),  # {group: when the last of its campaigns has expired}
    Column("envelope", LargeBinary, nullable=False),
)

node_quarantine = Table(
    "node_quarantine",
    metadata,
    Column("node", Integer, primary_key=True, autoincrement=False),
    Column("until_s", BigInteger, nullable=False),
    Column("rollout", BigInteger, nullable=False),  # that put it there
    Column("why", Text, nullable=False),
)

evidence = Table(
    "evidence",
    metadata,
    Column("key", SERIAL, primary_key=True),
    Column("rollout", BigInteger, nullable=False),
    Column("wave", Integer, nullable=False),
    Column("at_s", BigInteger, nullable=False),
    Column("packet", JSON, nullable=False),
    Index("evidence_rollout", "rollout"),
)

audit = Table(
    "audit",
    metadata,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),  # without a gap
    Column("at_s", BigInteger, nullable=False),
    Column("actor", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("object", Text, nullable=False),  # "rollout 7", "node air-1"
    Column("why", Text, nullable=False),
    Column("body", LargeBinary, nullable=False),  # CBOR
    Column("prev", LargeBinary, nullable=False),  # `hash` of the entry before; 32 zero bytes at the first
    Column("hash", LargeBinary, nullable=False),  # SHA-256 over `prev` and everything else
    Index("audit_object", "object", "seq"),
)
