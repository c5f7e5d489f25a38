"""Orders to update, how far nodes say that they got, and the manifest of the program that each runs."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Make the tables of campaigns and of updates."""
    _make_campaigns()
    _make_updates()
    op.add_column("node_state", sa.Column("manifest", sa.LargeBinary, nullable=False, server_default=sa.text("x''")))


def _make_campaigns() -> None:
    op.create_table(
        "campaign",
        sa.Column("node", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("counter", sa.BigInteger, nullable=False),
        sa.Column("action", sa.Integer, nullable=False),
        sa.Column("release", sa.LargeBinary, nullable=False),
        sa.Column("manifest", sa.LargeBinary, nullable=False),
        sa.Column("nonce", sa.LargeBinary, nullable=False),
        sa.Column("envelope", sa.LargeBinary, nullable=False),
        sa.Column("issued_s", sa.BigInteger, nullable=False),
        sa.Column("expires_s", sa.BigInteger, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("sent_counter", sa.BigInteger, nullable=False),
        sa.Column("sent_ms", sa.BigInteger, nullable=False),
        sa.Column("sent", sa.Integer, nullable=False),
    )


def _make_updates() -> None:
    op.create_table(
        "node_update",
        sa.Column("node", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("received_ms", sa.BigInteger, nullable=False),
        sa.Column("boot", sa.BigInteger, nullable=False),
        sa.Column("t_s", sa.BigInteger, nullable=False),
        sa.Column("counter", sa.BigInteger, nullable=False),
        sa.Column("stage", sa.Integer, nullable=False),
        sa.Column("done", sa.BigInteger, nullable=False),
        sa.Column("total", sa.BigInteger, nullable=False),
        sa.Column("code", sa.Integer, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("release", sa.LargeBinary, nullable=False),
        sa.Column("manifest", sa.LargeBinary, nullable=False),
        sa.Column("root", sa.BigInteger, nullable=False),
        sa.Column("floor", sa.BigInteger, nullable=False),
        sa.Column("spare", sa.LargeBinary, nullable=False),
        sa.Column("seen", sa.BigInteger, nullable=False),
        sa.Column("proved_ms", sa.BigInteger),
        sa.Column("proved_nonce", sa.LargeBinary),
        sa.Column("proved_manifest", sa.LargeBinary),
        sa.Column("proved_slot", sa.Text),
        sa.Column("proved_boot", sa.BigInteger),
        sa.Column("proved_base", sa.LargeBinary),
    )
