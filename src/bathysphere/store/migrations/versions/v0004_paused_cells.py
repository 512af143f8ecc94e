"""Which container a cell waits in, so that an answer meant for another one is told from one that comes too late."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision: str | None = "0003"
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    """Moments are microseconds since 1970."""
    op.create_table(
        "paused_cells",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("container_id", sa.String(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("files", sa.JSON(), nullable=True),
        sa.ForeignKeyConstraint(
            ["container_id"],
            ["containers.id"],
            name=op.f("fk_paused_cells_container_id_containers"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_paused_cells")),
    )
    op.create_index(op.f("ix_paused_cells_container_id"), "paused_cells", ["container_id"], unique=False)
    op.create_index(op.f("ix_paused_cells_created_at"), "paused_cells", ["created_at"], unique=False)


def downgrade() -> None:
    """Cells that wait are then told from others by their host alone."""
    op.drop_table("paused_cells")
