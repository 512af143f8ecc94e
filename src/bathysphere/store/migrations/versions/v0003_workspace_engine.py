"""A workspace may have its own engine for new containers."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision: str | None = "0002"
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    """Null is the host's own choice, as it was for all."""
    op.add_column("workspaces", sa.Column("engine", sa.String(), nullable=True))


def downgrade() -> None:
    """The column goes; containers keep the engines that they have."""
    op.drop_column("workspaces", "engine")
