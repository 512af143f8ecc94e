"""A key may be inactive for a while, beside disabled for good."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision: str | None = "0007"
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    """Null is a key that is not inactive, as all were."""
    op.add_column("api_keys", sa.Column("inactive_at", sa.BigInteger(), nullable=True))


def downgrade() -> None:
    """Inactive keys become disabled ones, for good: none must open anything again by that."""
    op.execute("UPDATE api_keys SET disabled_at = inactive_at WHERE disabled_at IS NULL AND inactive_at IS NOT NULL")
    op.drop_column("api_keys", "inactive_at")
