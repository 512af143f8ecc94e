"""The tables. A change here needs a migration in ``migrations/versions``; a test compares the two."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from sqlalchemy import JSON, BigInteger, Float, ForeignKey, Index, Integer, MetaData, String, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from bathysphere.store.timestamps import Moment

# Names for every constraint, so that a later migration can speak of them in each database.
_NAMES: Final = {
    "ix": "ix_%(column_0_label)s",
    "uq": "uq_%(table_name)s_%(column_0_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


class Base(DeclarativeBase):
    """What all tables share."""

    metadata = MetaData(naming_convention=_NAMES)
    type_annotation_map = {datetime: Moment, int: BigInteger, str: String, float: Float}  # noqa: RUF012 - SQLAlchemy's own form


class OrganizationRow(Base):
    """Whoever owns workspaces; storage is counted per organisation."""

    __tablename__ = "organizations"

    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]
    created_at: Mapped[datetime]


class WorkspaceRow(Base):
    """A closed room: files, containers and keys of one workspace are invisible from every other."""

    __tablename__ = "workspaces"

    id: Mapped[str] = mapped_column(primary_key=True)
    organization_id: Mapped[str] = mapped_column(ForeignKey("organizations.id"))
    name: Mapped[str]
    created_at: Mapped[datetime]
    # Of its containers; null is the host's own choice.
    engine: Mapped[str | None]
    archived_at: Mapped[datetime | None]

    __table_args__ = (Index("uq_workspaces_organization_id_name", "organization_id", "name", unique=True),)


class ApiKeyRow(Base):
    """A key; of its secret only the SHA-256 and a hint are kept. Disabled is for good, inactive is not."""

    __tablename__ = "api_keys"

    id: Mapped[str] = mapped_column(primary_key=True)
    workspace_id: Mapped[str] = mapped_column(ForeignKey("workspaces.id"), index=True)
    name: Mapped[str]
    secret_sha256: Mapped[str] = mapped_column(unique=True)
    hint: Mapped[str]
    created_at: Mapped[datetime]
    last_used_at: Mapped[datetime | None]
    disabled_at: Mapped[datetime | None]
    inactive_at: Mapped[datetime | None]


class AdminKeyRow(Base):
    """A key of the Admin API, which belongs to an organisation and opens nothing else."""

    __tablename__ = "admin_keys"

    id: Mapped[str] = mapped_column(primary_key=True)
    organization_id: Mapped[str] = mapped_column(ForeignKey("organizations.id"), index=True)
    name: Mapped[str]
    secret_sha256: Mapped[str] = mapped_column(unique=True)
    hint: Mapped[str]
    created_at: Mapped[datetime]
    last_used_at: Mapped[datetime | None]
    disabled_at: Mapped[datetime | None]


class ContainerRow(Base):
    """A container as clients see it. ``deleted_at``: its disk is gone. ``lost_at``: its host has no disk for it."""

    __tablename__ = "containers"

    id: Mapped[str] = mapped_column(primary_key=True)
    workspace_id: Mapped[str] = mapped_column(ForeignKey("workspaces.id"), index=True)
    created_at: Mapped[datetime]
    last_used_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    deleted_at: Mapped[datetime | None]
    lost_at: Mapped[datetime | None]
    # Not a foreign key: a copy outlives what it was copied from.
    forked_from: Mapped[str | None]
    # Whose key made it; null for those that are older than this column.
    api_key_id: Mapped[str | None]

    __table_args__ = (
        # The list's order, newest first; the id decides within one microsecond.
        Index("ix_containers_listing", "workspace_id", "created_at", "id"),
        # Of those that exist: what the quota of containers counts.
        Index(
            "ix_containers_living",
            "workspace_id",
            "expires_at",
            sqlite_where=text("deleted_at IS NULL"),
            postgresql_where=text("deleted_at IS NULL"),
        ),
        Index(
            "ix_containers_expiring",
            "expires_at",
            sqlite_where=text("deleted_at IS NULL"),
            postgresql_where=text("deleted_at IS NULL"),
        ),
    )


class ContainerFileRow(Base):
    """An upload that lies in a container's input directory.

    No foreign key on the file: the copy in the container stays when the upload is deleted.
    """

    __tablename__ = "container_files"

    container_id: Mapped[str] = mapped_column(ForeignKey("containers.id", ondelete="CASCADE"), primary_key=True)
    file_id: Mapped[str] = mapped_column(primary_key=True)
    filename: Mapped[str]
    placed_at: Mapped[datetime]


class ContainerCallRow(Base):
    """What was done in a container, by whom, and how it ended. Triggers keep it as it was written (see ``audit``)."""

    __tablename__ = "container_calls"

    # A plain INTEGER, which SQLite numbers by itself; AUTOINCREMENT never gives a number twice.
    number: Mapped[int] = mapped_column(Integer, primary_key=True)
    container_id: Mapped[str] = mapped_column(ForeignKey("containers.id", ondelete="CASCADE"))
    workspace_id: Mapped[str]
    api_key_id: Mapped[str | None]
    request_id: Mapped[str | None]
    started_at: Mapped[datetime]
    action: Mapped[str]
    subject: Mapped[str | None]
    subject_bytes: Mapped[int]
    subject_sha256: Mapped[str]
    outcome: Mapped[str]
    error: Mapped[str | None]
    exit_code: Mapped[int | None]
    timed_out: Mapped[bool]
    duration_seconds: Mapped[float]
    cpu_seconds: Mapped[float | None]
    peak_memory_bytes: Mapped[int | None]
    written_bytes: Mapped[int | None]
    files: Mapped[list[dict[str, Any]]] = mapped_column(JSON)

    __table_args__ = (
        Index("ix_container_calls_container", "container_id", "number"),
        {"sqlite_autoincrement": True},
    )


class PausedCellRow(Base):
    """A cell that has waited for its tools' answers, and where. ``files`` are those that it produced, once it ended."""

    __tablename__ = "paused_cells"

    id: Mapped[str] = mapped_column(primary_key=True)
    container_id: Mapped[str] = mapped_column(ForeignKey("containers.id", ondelete="CASCADE"), index=True)
    created_at: Mapped[datetime] = mapped_column(index=True)
    files: Mapped[list[dict[str, Any]] | None] = mapped_column(JSON(none_as_null=True))


class MessageBatchRow(Base):
    """A batch. Nobody sees it before ``ready``, as its requests are still arriving, or once it is ``deleted``.

    The counts are those of its end, and null before. ``body_sha256`` and ``idempotency_key`` tell a create that is
    sent again; ``retry`` is whether the one that made it said that it was.
    """

    __tablename__ = "message_batches"

    id: Mapped[str] = mapped_column(primary_key=True)
    workspace_id: Mapped[str] = mapped_column(ForeignKey("workspaces.id"))
    api_key_id: Mapped[str]
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    cancel_initiated_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    archived_at: Mapped[datetime | None]
    ready: Mapped[bool]
    deleted: Mapped[bool]
    requests: Mapped[int]
    succeeded: Mapped[int | None]
    errored: Mapped[int | None]
    canceled: Mapped[int | None]
    expired: Mapped[int | None]
    headers: Mapped[dict[str, str]] = mapped_column(JSON)
    body_sha256: Mapped[str | None]
    idempotency_key: Mapped[str | None]
    retry: Mapped[bool]

    __table_args__ = (
        Index("ix_message_batches_listing", "workspace_id", "created_at", "id"),
        Index(
            "ix_message_batches_open",
            "workspace_id",
            "created_at",
            sqlite_where=text("ended_at IS NULL"),
            postgresql_where=text("ended_at IS NULL"),
        ),
    )


class BatchRequestRow(Base):
    """A request of a batch: ``queued``, ``claimed`` by a worker, ``begun``, and with its result one of the rest.

    ``params`` and ``result`` are JSON text, written and read whole; a result replaces the params.
    """

    __tablename__ = "batch_requests"

    number: Mapped[int] = mapped_column(Integer, primary_key=True)
    batch_id: Mapped[str] = mapped_column(ForeignKey("message_batches.id"))
    custom_id: Mapped[str]
    state: Mapped[str]
    worker_id: Mapped[str | None]
    params: Mapped[str | None]
    result: Mapped[str | None]

    __table_args__ = (
        Index("ix_batch_requests_batch", "batch_id", "number"),
        Index(
            "ix_batch_requests_queued",
            "batch_id",
            "number",
            sqlite_where=text("state = 'queued'"),
            postgresql_where=text("state = 'queued'"),
        ),
        # What is in a worker's hands: few rows, at any time.
        Index(
            "ix_batch_requests_held",
            "batch_id",
            "worker_id",
            sqlite_where=text("worker_id IS NOT NULL"),
            postgresql_where=text("worker_id IS NOT NULL"),
        ),
    )


class BatchWorkerRow(Base):
    """A process that runs requests of batches. Once ``lease_until`` has passed it counts as dead."""

    __tablename__ = "batch_workers"

    id: Mapped[str] = mapped_column(primary_key=True)
    lease_until: Mapped[datetime]


class FileRow(Base):
    """A file. ``blob_key`` is null once an expired file's bytes have been removed."""

    __tablename__ = "files"

    id: Mapped[str] = mapped_column(primary_key=True)
    workspace_id: Mapped[str] = mapped_column(ForeignKey("workspaces.id"))
    filename: Mapped[str]
    mime_type: Mapped[str]
    size_bytes: Mapped[int]
    created_at: Mapped[datetime]
    downloadable: Mapped[bool]
    expires_at: Mapped[datetime | None]
    blob_key: Mapped[str | None] = mapped_column(unique=True)
    # Where it was made. Not a foreign key: a produced file outlives its container.
    container_id: Mapped[str | None]
    # Whose key made it; null for those that are older than this column.
    api_key_id: Mapped[str | None]

    __table_args__ = (
        # The list's order, newest first; the id decides within one microsecond.
        Index("ix_files_listing", "workspace_id", "created_at", "id"),
        # Covers the sum of an organisation's stored bytes, so that the quota never reads the rows.
        Index(
            "ix_files_stored",
            "workspace_id",
            "size_bytes",
            sqlite_where=text("blob_key IS NOT NULL"),
            postgresql_where=text("blob_key IS NOT NULL"),
        ),
        Index(
            "ix_files_expiring",
            "expires_at",
            sqlite_where=text("expires_at IS NOT NULL"),
            postgresql_where=text("expires_at IS NOT NULL"),
        ),
    )


class SkillRow(Base):
    """A skill. Without a workspace it is the server's own, for every workspace.

    ``latest_version_id`` is null once its last version has been deleted; no foreign key, which would go in a circle.
    """

    __tablename__ = "skills"

    id: Mapped[str] = mapped_column(primary_key=True)
    workspace_id: Mapped[str | None] = mapped_column(ForeignKey("workspaces.id"))
    display_title: Mapped[str]
    source: Mapped[str]
    latest_version_id: Mapped[str | None]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]

    __table_args__ = (Index("ix_skills_listing", "workspace_id", "created_at", "id"),)


class SkillVersionRow(Base):
    """A version of a skill, which nothing changes. ``files`` are ``[path, bytes, executable]`` each."""

    __tablename__ = "skill_versions"

    id: Mapped[str] = mapped_column(primary_key=True)
    skill_id: Mapped[str] = mapped_column(ForeignKey("skills.id", ondelete="CASCADE"))
    version: Mapped[str]
    name: Mapped[str]
    description: Mapped[str]
    created_at: Mapped[datetime]
    digest: Mapped[str]
    blob_key: Mapped[str] = mapped_column(unique=True)
    size_bytes: Mapped[int]
    files: Mapped[list[tuple[str, int, bool]]] = mapped_column(JSON)
    # Whose key made it; null for those of the server itself, and those that are older than this column.
    api_key_id: Mapped[str | None]

    __table_args__ = (
        Index("uq_skill_versions_skill_id_version", "skill_id", "version", unique=True),
        Index("ix_skill_versions_listing", "skill_id", "created_at", "id"),
    )


class ExecutionTimeRow(Base):
    """A span of a container's time that has been booked; spans of one container never overlap (docs/metering.md).

    ``started_at`` and ``ended_at`` are whole seconds since 1970, the end is not part of it; no span crosses midnight
    in UTC. ``paid_seconds`` are those beyond the free allowance, at the price of that time. Not bound to other rows:
    the books outlive containers and keys.
    """

    __tablename__ = "execution_time"

    number: Mapped[int] = mapped_column(Integer, primary_key=True)
    container_id: Mapped[str]
    organization_id: Mapped[str]
    workspace_id: Mapped[str]
    api_key_id: Mapped[str | None]
    started_at: Mapped[int]
    ended_at: Mapped[int]
    paid_seconds: Mapped[int]
    microdollars_per_hour: Mapped[int]

    __table_args__ = (
        Index("ix_execution_time_container", "container_id", "ended_at"),
        Index("ix_execution_time_organization", "organization_id", "started_at"),
    )


class MeteredRequestRow(Base):
    """What a turn used, from its beginning to its end. ``number`` rises as they end.

    ``outcome`` is ``finished``, ``cancelled`` or the type of the error; tokens are those that the upstream reported.
    """

    __tablename__ = "metered_requests"

    number: Mapped[int] = mapped_column(Integer, primary_key=True)
    request_id: Mapped[str]
    organization_id: Mapped[str]
    workspace_id: Mapped[str]
    api_key_id: Mapped[str]
    batch_id: Mapped[str | None]
    container_id: Mapped[str | None]
    model: Mapped[str]
    service_tier: Mapped[str]
    started_at: Mapped[datetime]
    duration_seconds: Mapped[float]
    outcome: Mapped[str]
    uncached_input_tokens: Mapped[int]
    cache_read_input_tokens: Mapped[int]
    cache_creation_5m_tokens: Mapped[int]
    cache_creation_1h_tokens: Mapped[int]
    output_tokens: Mapped[int]
    tool_calls: Mapped[int]
    cpu_seconds: Mapped[float]
    peak_memory_bytes: Mapped[int]
    stored_bytes: Mapped[int]

    __table_args__ = (Index("ix_metered_requests_organization", "organization_id", "started_at"),)


class UsageMinuteRow(Base):
    """What the turns that began in one minute used, together: what usage reports are made of.

    ``minute`` is its first second since 1970.
    """

    __tablename__ = "usage_minutes"

    organization_id: Mapped[str] = mapped_column(primary_key=True)
    minute: Mapped[int] = mapped_column(primary_key=True)
    workspace_id: Mapped[str] = mapped_column(primary_key=True)
    api_key_id: Mapped[str] = mapped_column(primary_key=True)
    model: Mapped[str] = mapped_column(primary_key=True)
    service_tier: Mapped[str] = mapped_column(primary_key=True)
    context_window: Mapped[str] = mapped_column(primary_key=True)
    inference_geo: Mapped[str] = mapped_column(primary_key=True)
    requests: Mapped[int]
    uncached_input_tokens: Mapped[int]
    cache_read_input_tokens: Mapped[int]
    cache_creation_5m_tokens: Mapped[int]
    cache_creation_1h_tokens: Mapped[int]
    output_tokens: Mapped[int]
    tool_calls: Mapped[int]
    cpu_seconds: Mapped[float]
    stored_bytes: Mapped[int]


class MonthlyTotalRow(Base):
    """What an organisation, a workspace or a key has used in a month: what quotas are compared with.

    ``month`` is ``2026-11``, in UTC. ``microdollar_seconds`` are paid seconds times their price per hour: divided by
    3600 they are microdollars, and nothing is rounded before.
    """

    __tablename__ = "monthly_totals"

    subject_id: Mapped[str] = mapped_column(primary_key=True)
    month: Mapped[str] = mapped_column(primary_key=True)
    requests: Mapped[int]
    execution_seconds: Mapped[int]
    microdollar_seconds: Mapped[int]


class QuotaRow(Base):
    """What an organisation, a workspace or a key may use; null is without a limit (docs/metering.md).

    ``execution_hours``, ``dollars`` and ``requests`` are those of a calendar month in UTC.
    """

    __tablename__ = "quotas"

    subject_id: Mapped[str] = mapped_column(primary_key=True)
    containers: Mapped[int | None]
    concurrent_containers: Mapped[int | None]
    execution_hours: Mapped[float | None]
    dollars: Mapped[float | None]
    storage_bytes: Mapped[int | None]
    requests: Mapped[int | None]
    updated_at: Mapped[datetime]
