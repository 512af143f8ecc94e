"""Agent Skills and their versions."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision: str | None = "0005"
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    """Moments are microseconds since 1970."""
    op.create_table(
        "skills",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("workspace_id", sa.String(), nullable=True),
        sa.Column("display_title", sa.String(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("latest_version_id", sa.String(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["workspace_id"], ["workspaces.id"], name=op.f("fk_skills_workspace_id_workspaces")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_skills")),
    )
    op.create_index("ix_skills_listing", "skills", ["workspace_id", "created_at", "id"])
    op.create_table(
        "skill_versions",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("skill_id", sa.String(), nullable=False),
        sa.Column("version", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("description", sa.String(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("blob_key", sa.String(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("files", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["skill_id"], ["skills.id"], name=op.f("fk_skill_versions_skill_id_skills"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_skill_versions")),
        sa.UniqueConstraint("blob_key", name=op.f("uq_skill_versions_blob_key")),
    )
    op.create_index("uq_skill_versions_skill_id_version", "skill_versions", ["skill_id", "version"], unique=True)
    op.create_index("ix_skill_versions_listing", "skill_versions", ["skill_id", "created_at", "id"])


def downgrade() -> None:
    """Skills are then gone; the next sweep removes their blobs."""
    op.drop_table("skill_versions")
    op.drop_table("skills")
