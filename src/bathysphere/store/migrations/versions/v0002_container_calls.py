"""The record of every call in a container, which nothing changes afterwards; lost and forked containers."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision: str | None = "0001"
branch_labels: str | None = None
depends_on: str | None = None

# A record goes together with its container, and that only after the container has been deleted. REPLACE would
# delete without asking the trigger for deletions, so a number that exists is refused as well.
_TRIGGERS: Final = (
    """
    CREATE TRIGGER container_calls_stay BEFORE UPDATE ON container_calls
    BEGIN SELECT RAISE(ABORT, 'container_calls is append-only: a record cannot be changed'); END
    """,
    """
    CREATE TRIGGER container_calls_kept BEFORE DELETE ON container_calls
    WHEN EXISTS (SELECT 1 FROM containers WHERE id = OLD.container_id)
    BEGIN SELECT RAISE(ABORT, 'container_calls is append-only: a record goes with its container'); END
    """,
    """
    CREATE TRIGGER container_calls_once BEFORE INSERT ON container_calls
    WHEN EXISTS (SELECT 1 FROM container_calls WHERE number = NEW.number)
    BEGIN SELECT RAISE(ABORT, 'container_calls is append-only: a record cannot be replaced'); END
    """,
    """
    CREATE TRIGGER containers_kept BEFORE DELETE ON containers
    WHEN OLD.deleted_at IS NULL
    BEGIN SELECT RAISE(ABORT, 'a container that was not deleted keeps its row'); END
    """,
)


def upgrade() -> None:
    """Make the table and what guards it. Moments are microseconds since 1970."""
    op.add_column("containers", sa.Column("lost_at", sa.BigInteger(), nullable=True))
    op.add_column("containers", sa.Column("forked_from", sa.String(), nullable=True))
    op.create_index("ix_containers_listing", "containers", ["workspace_id", "created_at", "id"], unique=False)
    op.create_table(
        "container_calls",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("container_id", sa.String(), nullable=False),
        sa.Column("workspace_id", sa.String(), nullable=False),
        sa.Column("api_key_id", sa.String(), nullable=True),
        sa.Column("request_id", sa.String(), nullable=True),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("action", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=True),
        sa.Column("subject_bytes", sa.BigInteger(), nullable=False),
        sa.Column("subject_sha256", sa.String(), nullable=False),
        sa.Column("outcome", sa.String(), nullable=False),
        sa.Column("error", sa.String(), nullable=True),
        sa.Column("exit_code", sa.BigInteger(), nullable=True),
        sa.Column("timed_out", sa.Boolean(), nullable=False),
        sa.Column("duration_seconds", sa.Float(), nullable=False),
        sa.Column("cpu_seconds", sa.Float(), nullable=True),
        sa.Column("peak_memory_bytes", sa.BigInteger(), nullable=True),
        sa.Column("written_bytes", sa.BigInteger(), nullable=True),
        sa.Column("files", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["container_id"],
            ["containers.id"],
            name=op.f("fk_container_calls_container_id_containers"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_container_calls")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_container_calls_container", "container_calls", ["container_id", "number"], unique=False)
    if op.get_bind().dialect.name == "sqlite":
        for trigger in _TRIGGERS:
            op.execute(trigger)
