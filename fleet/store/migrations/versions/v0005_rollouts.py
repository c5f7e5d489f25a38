"""Rollouts: heads, nodes, what is halted, quarantine, evidence, and the chained log of who did what."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
_SERIAL = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Make the tables of rollouts; campaigns get a group."""
    _make_rollouts()
    _make_nodes()
    _make_decisions()
    _make_audit()
    op.add_column("campaign", sa.Column("group", sa.BigInteger, nullable=False, server_default=sa.text("0")))
    op.create_index("node_state_time", "node_state", ["received_ms"])
    op.create_index("node_update_time", "node_update", ["received_ms"])


def _make_rollouts() -> None:
    op.create_table(
        "rollout",
        sa.Column("id", _SERIAL, primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("created_s", sa.BigInteger, nullable=False),
        sa.Column("created_by", sa.Text, nullable=False),
        sa.Column("hash", sa.Text, nullable=False),
        sa.Column("plan", sa.LargeBinary, nullable=False),
        sa.Column("skipped", sa.LargeBinary, nullable=False),
        sa.Column("phase", sa.Text, nullable=False),
        sa.Column("wave", sa.Integer, nullable=False),
        sa.Column("wave_s", sa.BigInteger, nullable=False),
        sa.Column("soak_s", sa.BigInteger, nullable=False),
        sa.Column("started_s", sa.BigInteger, nullable=False),
        sa.Column("ended_s", sa.BigInteger, nullable=False),
        sa.Column("group", sa.BigInteger, nullable=False),
        sa.Column("accepted", sa.Integer, nullable=False),
        sa.Column("promoted", sa.Boolean, nullable=False),
        sa.Column("tokens", sa.BigInteger, nullable=False),
        sa.Column("tokens_s", sa.BigInteger, nullable=False),
        sa.Column("verdict", sa.Text, nullable=False),
        sa.Column("evidence", sa.BigInteger, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("undo", sa.Boolean, nullable=False),
        sa.Column("approvals", sa.JSON, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
    )
    op.create_index("rollout_name", "rollout", ["name"])
    op.create_index("rollout_phase", "rollout", ["phase"])


def _make_nodes() -> None:
    op.create_table(
        "rollout_node",
        sa.Column("rollout", sa.BigInteger, nullable=False),
        sa.Column("node", sa.Integer, nullable=False),
        sa.Column("member", sa.LargeBinary, nullable=False),
        sa.Column("config_before", sa.JSON(none_as_null=True)),
        sa.Column("stage", sa.Text, nullable=False),
        sa.Column("since_s", sa.BigInteger, nullable=False),
        sa.Column("wave", sa.Integer, nullable=False),
        sa.Column("tries", sa.Integer, nullable=False),
        sa.Column("excused", sa.Integer, nullable=False),
        sa.Column("recent", sa.JSON, nullable=False),
        sa.Column("counter", sa.BigInteger, nullable=False),
        sa.Column("stop", sa.BigInteger, nullable=False),
        sa.Column("ordered_s", sa.BigInteger, nullable=False),
        sa.Column("deadline_s", sa.BigInteger, nullable=False),
        sa.Column("not_before_s", sa.BigInteger, nullable=False),
        sa.Column("code", sa.Integer, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("said", sa.Text, nullable=False),
        sa.Column("online", sa.Boolean, nullable=False),
        sa.Column("late", sa.Boolean, nullable=False),
        sa.Column("failed", sa.Boolean, nullable=False),
        sa.Column("held", sa.Text, nullable=False),
        sa.Column("before", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("rollout", "node"),
        sqlite_with_rowid=False,
    )
    op.create_index("rollout_node_node", "rollout_node", ["node"])


def _make_decisions() -> None:
    op.create_table(
        "epoch",
        sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("issued_s", sa.BigInteger, nullable=False),
        sa.Column("halted", sa.JSON, nullable=False),
        sa.Column("envelope", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "node_quarantine",
        sa.Column("node", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("until_s", sa.BigInteger, nullable=False),
        sa.Column("rollout", sa.BigInteger, nullable=False),
        sa.Column("why", sa.Text, nullable=False),
    )
    op.create_table(
        "evidence",
        sa.Column("key", _SERIAL, primary_key=True),
        sa.Column("rollout", sa.BigInteger, nullable=False),
        sa.Column("wave", sa.Integer, nullable=False),
        sa.Column("at_s", sa.BigInteger, nullable=False),
        sa.Column("packet", sa.JSON, nullable=False),
    )
    op.create_index("evidence_rollout", "evidence", ["rollout"])


def _make_audit() -> None:
    op.create_table(
        "audit",
        sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("at_s", sa.BigInteger, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("action", sa.Text, nullable=False),
        sa.Column("object", sa.Text, nullable=False),
        sa.Column("why", sa.Text, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.Column("prev", sa.LargeBinary, nullable=False),
        sa.Column("hash", sa.LargeBinary, nullable=False),
    )
    op.create_index("audit_object", "audit", ["object", "seq"])
