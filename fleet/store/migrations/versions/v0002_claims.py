"""Boards that claim an identity in the field."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Make the table of claims."""
    op.create_table(
        "claim",
        sa.Column("mac", sa.Text, primary_key=True),
        sa.Column("node", sa.Integer, nullable=False, unique=True),
        sa.Column("batch", sa.Text, nullable=False),
        sa.Column("until_s", sa.BigInteger, nullable=False),
        sa.Column("firmware", sa.Text, nullable=False),
        sa.Column("first_s", sa.BigInteger, nullable=False),
        sa.Column("last_s", sa.BigInteger, nullable=False),
        sa.Column("accepted_s", sa.BigInteger),
        sa.Column("accepted_by", sa.Text, nullable=False),
        sa.Column("issued_s", sa.BigInteger),
        sa.Column("issues", sa.Integer, nullable=False),
    )
    op.create_index("claim_batch", "claim", ["batch"])
