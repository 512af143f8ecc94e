"""The books: execution time, requests, usage, totals of a month, quotas; keys of the Admin API."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision: str | None = "0006"
branch_labels: str | None = None
depends_on: str | None = None

_COUNTS = (
    "uncached_input_tokens",
    "cache_read_input_tokens",
    "cache_creation_5m_tokens",
    "cache_creation_1h_tokens",
    "output_tokens",
    "tool_calls",
)


def _texts(*names: str) -> list[sa.Column[str]]:
    return [sa.Column(name, sa.String(), nullable=False) for name in names]


def _whole(*names: str) -> list[sa.Column[int]]:
    return [sa.Column(name, sa.BigInteger(), nullable=False) for name in names]


def upgrade() -> None:
    """Moments are microseconds since 1970, unless a column says seconds."""
    op.add_column("workspaces", sa.Column("archived_at", sa.BigInteger(), nullable=True))
    for table in ("containers", "files", "skill_versions"):
        op.add_column(table, sa.Column("api_key_id", sa.String(), nullable=True))
    living = sa.text("deleted_at IS NULL")
    op.create_index(
        "ix_containers_living",
        "containers",
        ["workspace_id", "expires_at"],
        sqlite_where=living,
        postgresql_where=living,
    )
    op.create_table(
        "admin_keys",
        *_texts("id", "organization_id", "name", "secret_sha256", "hint"),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("last_used_at", sa.BigInteger(), nullable=True),
        sa.Column("disabled_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organizations.id"], name=op.f("fk_admin_keys_organization_id_organizations")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_admin_keys")),
        sa.UniqueConstraint("secret_sha256", name=op.f("uq_admin_keys_secret_sha256")),
    )
    op.create_index(op.f("ix_admin_keys_organization_id"), "admin_keys", ["organization_id"])
    op.create_table(
        "execution_time",
        sa.Column("number", sa.Integer(), nullable=False),
        *_texts("container_id", "organization_id", "workspace_id"),
        sa.Column("api_key_id", sa.String(), nullable=True),
        *_whole("started_at", "ended_at", "paid_seconds", "microdollars_per_hour"),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_execution_time")),
    )
    op.create_index("ix_execution_time_container", "execution_time", ["container_id", "ended_at"])
    op.create_index("ix_execution_time_organization", "execution_time", ["organization_id", "started_at"])
    op.create_table(
        "metered_requests",
        sa.Column("number", sa.Integer(), nullable=False),
        *_texts("request_id", "organization_id", "workspace_id", "api_key_id"),
        sa.Column("batch_id", sa.String(), nullable=True),
        sa.Column("container_id", sa.String(), nullable=True),
        *_texts("model", "service_tier"),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("duration_seconds", sa.Float(), nullable=False),
        *_texts("outcome"),
        *_whole(*_COUNTS),
        sa.Column("cpu_seconds", sa.Float(), nullable=False),
        *_whole("peak_memory_bytes", "stored_bytes"),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_metered_requests")),
    )
    op.create_index("ix_metered_requests_organization", "metered_requests", ["organization_id", "started_at"])
    dimensions = (
        "organization_id",
        "minute",
        "workspace_id",
        "api_key_id",
        "model",
        "service_tier",
        "context_window",
        "inference_geo",
    )
    op.create_table(
        "usage_minutes",
        *(_whole(name)[0] if name == "minute" else _texts(name)[0] for name in dimensions),
        *_whole("requests", *_COUNTS),
        sa.Column("cpu_seconds", sa.Float(), nullable=False),
        *_whole("stored_bytes"),
        sa.PrimaryKeyConstraint(*dimensions, name=op.f("pk_usage_minutes")),
    )
    op.create_table(
        "monthly_totals",
        *_texts("subject_id", "month"),
        *_whole("requests", "execution_seconds", "microdollar_seconds"),
        sa.PrimaryKeyConstraint("subject_id", "month", name=op.f("pk_monthly_totals")),
    )
    op.create_table(
        "quotas",
        *_texts("subject_id"),
        sa.Column("containers", sa.BigInteger(), nullable=True),
        sa.Column("concurrent_containers", sa.BigInteger(), nullable=True),
        sa.Column("execution_hours", sa.Float(), nullable=True),
        sa.Column("dollars", sa.Float(), nullable=True),
        sa.Column("storage_bytes", sa.BigInteger(), nullable=True),
        sa.Column("requests", sa.BigInteger(), nullable=True),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("subject_id", name=op.f("pk_quotas")),
    )


def downgrade() -> None:
    """The books, the quotas and the admin keys are then gone."""
    for table in ("quotas", "monthly_totals", "usage_minutes", "metered_requests", "execution_time", "admin_keys"):
        op.drop_table(table)
    op.drop_index("ix_containers_living", "containers")
    for table in ("skill_versions", "files", "containers"):
        op.drop_column(table, "api_key_id")
    op.drop_column("workspaces", "archived_at")
