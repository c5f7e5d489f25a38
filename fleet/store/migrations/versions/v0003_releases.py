"""Releases that were published."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Make the table of releases."""
    op.create_table(
        "release",
        sa.Column("digest", sa.LargeBinary, primary_key=True),
        sa.Column("product", sa.Text, nullable=False),
        sa.Column("version", sa.Text, nullable=False),
        sa.Column("sequence", sa.BigInteger, nullable=False),
        sa.Column("manifest", sa.LargeBinary, nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("base", sa.LargeBinary, nullable=False),
        sa.Column("envelope", sa.LargeBinary, nullable=False),
        sa.Column("published_s", sa.BigInteger, nullable=False),
        sa.Column("published_by", sa.Text, nullable=False),
        sa.Column("yanked_s", sa.BigInteger),
        sa.Column("yanked_by", sa.Text, nullable=False),
        sa.Column("yanked_reason", sa.Text, nullable=False),
        sa.UniqueConstraint("product", "version", name="release_version"),
        sa.UniqueConstraint("product", "sequence", name="release_sequence"),
    )
    op.create_index("release_manifest", "release", ["manifest"])
