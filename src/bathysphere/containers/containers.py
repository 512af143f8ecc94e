"""The containers of all workspaces: made, copied, found again by id, refused when expired, deleted."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Sequence
from contextlib import aclosing, suppress
from datetime import UTC, datetime, timedelta

import anyio

from bathysphere.containers.container import Container
from bathysphere.containers.host import DiskFull, Host, HostError, OutputFile, TooManySandboxes, UnknownContainer
from bathysphere.containers.loggable import loggable
from bathysphere.containers.overview import Overview, overviews
from bathysphere.containers.paused_cells import StoredPausedCells
from bathysphere.containers.quotas import QuotaReached, Quotas, refusal
from bathysphere.containers.recording import Actor, Recorder
from bathysphere.containers.records import Records, Written
from bathysphere.containers.skills import folder_of, skills_failed
from bathysphere.metering.tariff import cents
from bathysphere.settings import Settings
from bathysphere.skills.archive import ArchiveDamaged
from bathysphere.store import audit, files, workspaces
from bathysphere.store import containers as rows
from bathysphere.store.blobs import BlobError, Blobs, BlobStoreFull
from bathysphere.store.database import Database, DatabaseFull
from bathysphere.store.quota import StorageQuotaExceeded
from bathysphere.store.skills import SkillVersion
from bathysphere.telemetry import metrics
from bathysphere.wire.errors import ApiError, InvalidRequest, NotFound, Overloaded, RateLimited, ServerError
from bathysphere.wire.ids import new_id
from bathysphere.wire.message import timestamp

_log = logging.getLogger(__name__)


class Containers:
    """Opens containers for turns. One per server; safe to use concurrently."""

    def __init__(self, database: Database, blobs: Blobs, host: Host, settings: Settings) -> None:
        self._database = database
        self._blobs = blobs
        self._host = host
        self._settings = settings
        self.quotas = Quotas(database)
        self.records = Records(database, settings.metering.tariff(), self._written)

    async def close(self) -> None:
        """Write the records that wait. The caller closes database and host afterwards."""
        await self.records.close()

    def _written(self, written: Written) -> None:
        for request in [*written.requests, *written.lost]:
            self.quotas.written(request.workspace_id, request.api_key_id)
        for request in written.requests:
            metrics.METERED_REQUESTS.labels(request.outcome).inc()
        for charge in written.charges:
            metrics.EXECUTION_SECONDS.labels("paid").inc(charge.paid_seconds)
            metrics.EXECUTION_SECONDS.labels("free").inc(charge.span.seconds - charge.paid_seconds)
            metrics.EXECUTION_DOLLARS.inc(float(cents(charge.microdollar_seconds) / 100))

    async def find(self, workspace_id: str, container_id: str) -> rows.Container:
        """The row of a container, whatever its state.

        Raises NotFound when the workspace has none (another workspace's is "not found" too).
        """
        row = await rows.get(self._database, workspace_id, container_id)
        if row is None:
            raise NotFound(
                f"Container not found: `{container_id[:200]}`. Leave out `container` to get a new one.",
                error_code="container_not_found",
            )
        return row

    async def open(self, actor: Actor, container_id: str) -> Container:
        """The container of that id, for use.

        Raises NotFound, also when it has expired: clients that send the id of the message before by themselves look
        for this status and these first words, and then go on with a new container.
        """
        row = await self._usable(actor, container_id)
        await self.settle_quotas(actor)
        return self._container(row, actor)

    async def settle_quotas(self, actor: Actor) -> None:
        """What has ended by now is in the books when this returns, if the actor has a quota to compare it with."""
        if self.quotas.standings(actor):
            await self.records.settle()

    async def _usable(self, actor: Actor, container_id: str) -> rows.Container:
        row = await self.find(actor.workspace_id, container_id)
        if row.deleted_at is not None and row.deleted_at < row.expires_at:
            what = f"was deleted at {timestamp(row.deleted_at)}"
        elif row.expired(datetime.now(UTC)):
            what = f"expired at {timestamp(row.expires_at)}"
        elif row.lost_at is not None:
            what = "has lost its disk, so it can no longer be used"
        else:
            return row
        raise NotFound(
            f"Container not found: `{container_id}` {what}. "
            "Leave out `container` to get a new one; its files can no longer be had.",
            error_code="container_expired",
        )

    async def create(self, actor: Actor) -> Container:
        """A new container. Raises HostError; nothing of a container that could not be made is left."""
        return await self._make(actor, None)

    async def fork(self, actor: Actor, container_id: str) -> Container:
        """A new container with a copy of another's disk; it lasts as long as any new one.

        Raises NotFound as ``open``, and HostError; nothing of a copy that failed is left.
        """
        return await self._make(actor, (await self._usable(actor, container_id)).id)

    async def _make(self, actor: Actor, origin: str | None) -> Container:
        container_id = new_id("container")
        # The record is written when its container is known, so it comes last, also for one that could not be made.
        with (
            self.quotas.making(actor, container_id),
            self._recorder(container_id, actor).call("create" if origin is None else "fork", origin or ""),
        ):
            try:
                if origin is None:
                    engine = workspaces.engine(self._database, actor.workspace_id)
                    await self._host.create(container_id, engine)
                else:
                    await self._host.fork(origin, container_id)
                # Last, so that what is listed can be used: when we are killed before, the disk is one nobody knows.
                row = await self._add(actor, container_id, origin)
            except BaseException:
                with anyio.CancelScope(shield=True), suppress(DiskFull):
                    # A row all the same: for the record of the call, and so that the disk is removed by a sweep if not
                    # now.
                    if await rows.find(self._database, container_id) is None:
                        await self._add(actor, container_id, None, deleted=True)
                await self._remove(container_id)
                raise
        return self._container(row, actor)

    async def _add(self, actor: Actor, container_id: str, origin: str | None, deleted: bool = False) -> rows.Container:
        """Make a container known, with what lies in it. Raises DiskFull."""
        lifetime = timedelta(days=self._settings.containers.lifetime_days)
        try:
            return await rows.create(
                self._database,
                actor.workspace_id,
                lifetime,
                forked_from=origin,
                container_id=container_id,
                deleted=deleted,
                api_key_id=actor.api_key_id,
            )
        except DatabaseFull as error:
            raise DiskFull("The server's disk is full. Its operator has to make room.") from error

    async def overviews(self, containers: Sequence[rows.Container]) -> list[Overview]:
        """What is to be seen of containers, in the given order; without the host's part when it cannot be asked."""
        try:
            hosted = {container.id: container for container in await self._host.list()}
        except HostError as error:
            _log.warning("the host cannot be asked for its containers: %s", error)
            hosted = {}
        calls = await audit.counts(self._database, [container.id for container in containers])
        return overviews(containers, hosted, calls, datetime.now(UTC))

    async def delete(self, actor: Actor, container_id: str) -> rows.Container:
        """Remove a container and what it holds, for good; also an expired one, also in the middle of a call.

        Deleting it twice is no error. Raises NotFound and HostError.
        """
        row = await self.find(actor.workspace_id, container_id)
        if row.deleted_at is not None:
            # Whoever asks again may never have been told that it was deleted, because it was not entirely.
            await self._host.delete(row.id)
            return row
        with self._recorder(row.id, actor).call("delete", ""):
            # In this order: if we are killed between the two, a sweep removes the disk.
            await rows.mark_deleted(self._database, row.id)
            await self._host.delete(row.id)
        return row

    async def discard(self, container: Container) -> None:
        """Remove a container that nobody can know of. Carried through even when the caller is being cancelled."""
        await self._remove(container.id)

    async def _remove(self, container_id: str) -> None:
        with anyio.CancelScope(shield=True):
            try:
                await rows.mark_deleted(self._database, container_id)
            except DatabaseFull as error:
                _log.warning("%s could not be marked as removed: %s", container_id, error)
            try:
                await self._host.delete(container_id)
            except HostError as error:
                _log.warning("%s could not be removed: %s", container_id, error)

    def _recorder(self, container_id: str, actor: Actor) -> Recorder:
        keep = self._settings.containers.record_commands
        return Recorder(container_id, actor, self.records, self.quotas, keep)

    def _container(self, row: rows.Container, actor: Actor) -> Container:
        async def store_output(output: OutputFile, content: AsyncIterator[bytes]) -> str:
            try:
                file = await files.produce(
                    self._database,
                    self._blobs,
                    workspace_id=row.workspace_id,
                    container_id=row.id,
                    filename=output.name,
                    content=content,
                    limits=self._settings.limits,
                    api_key_id=actor.api_key_id,
                )
            except (StorageQuotaExceeded, BlobStoreFull, DatabaseFull) as error:
                raise InvalidRequest("the storage for files is full", error_code="storage_quota_exceeded") from error
            except files.FileTooLarge as error:
                raise InvalidRequest("it is larger than a file may be") from error
            except (BlobError, HostError) as error:
                raise ServerError("it could not be stored") from error
            return file.id

        cells = StoredPausedCells(self._database, row.id)
        return Container(row.id, row.expires_at, self._host, store_output, self._recorder(row.id, actor), cells)

    async def filenames(self, container_id: str | None) -> dict[str, str]:
        """The uploads that already lie in a container: file id to the name in ``$INPUT_DIR``."""
        return {} if container_id is None else await rows.placed(self._database, container_id)

    async def place(self, container: Container, uploads: Iterable[files.File]) -> None:
        """Put files of the Files API into ``$INPUT_DIR``; a file of the same name is replaced (WIRE b.5).

        Raises ApiError: what the host or the store could not do, as the request's failure. What was placed before
        the failure is recorded, and is not placed again by the next request.
        """
        for file in uploads:
            try:
                content = self._blob(file)
                async with aclosing(content):
                    await container.place(file, content)
            except (HostError, BlobError, ValueError) as error:
                _log.warning("%s: %s could not be placed: %s", container.id, file.id, loggable(error))
                raise upload_failed(file.filename, error) from error
            await rows.record_placed(self._database, container.id, {file.id: file.filename})

    async def set_skills(self, container: Container, versions: Iterable[SkillVersion]) -> None:
        """Have exactly these skills at ``/skills``, read-only (WIRE g). Raises ApiError; it has what it had then."""
        try:
            await container.set_skills([folder_of(version, self._blobs) for version in versions])
        except (HostError, BlobError, ArchiveDamaged, ValueError) as error:
            _log.warning("%s: its skills could not be set: %s", container.id, loggable(error))
            raise skills_failed(error) from error

    async def _blob(self, file: files.File) -> AsyncGenerator[bytes, None]:
        assert file.blob_key is not None, "expired files have been refused"
        reader = await self._blobs.open(file.blob_key)
        try:
            async for chunk in reader:
                yield chunk
        finally:
            await reader.aclose()


def upload_failed(filename: str, error: Exception) -> ApiError:
    """The request's failure when an upload could not be placed."""
    return refusal(error) if isinstance(error, QuotaReached) else _not_placed(filename, error)


def _not_placed(filename: str, error: Exception) -> ApiError:
    match error:
        case DiskFull():
            return InvalidRequest(
                f"`{filename}` does not fit into the container: its disk is full. "
                "Remove files in it, or leave out `container` to get a new one."
            )
        case UnknownContainer():
            return NotFound(
                "Container not found: it has lost its disk. Leave out `container` to get a new one.",
                error_code="container_expired",
            )
        case TooManySandboxes():
            return RateLimited("Too many containers are running. Try again soon.", retry_after_seconds=5)
        case ValueError():
            return InvalidRequest(f"`{filename}` is no name that a file in the container can have")
        case HostError():
            return Overloaded(f"The container could not be started to take `{filename}`. Try again.")
        case _:
            return ServerError(f"`{filename}` could not be read from the store")
