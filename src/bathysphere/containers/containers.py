"""The containers of all workspaces: made, found again by id, refused when expired, given their uploads."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from contextlib import aclosing
from datetime import UTC, datetime, timedelta

import anyio

from bathysphere.containers.container import Container
from bathysphere.containers.host import DiskFull, Host, HostError, OutputFile, TooManySandboxes, UnknownContainer
from bathysphere.settings import Settings
from bathysphere.store import containers as rows
from bathysphere.store import files, workspaces
from bathysphere.store.blobs import BlobError, Blobs, BlobStoreFull
from bathysphere.store.database import Database, DatabaseFull
from bathysphere.wire.errors import ApiError, InvalidRequest, NotFound, Overloaded, RateLimited, ServerError
from bathysphere.wire.message import timestamp

_log = logging.getLogger(__name__)


class Containers:
    """Opens containers for turns. One per server; safe to use concurrently."""

    def __init__(self, database: Database, blobs: Blobs, host: Host, settings: Settings) -> None:
        self._database = database
        self._blobs = blobs
        self._host = host
        self._settings = settings

    async def open(self, workspace_id: str, container_id: str) -> Container:
        """The container of that id.

        Raises NotFound when the workspace has none (another workspace's is "not found" too) and InvalidRequest
        when it has expired (WIRE c.6).
        """
        row = await rows.get(self._database, workspace_id, container_id)
        if row is None:
            raise NotFound(f"Container `{container_id[:200]}` not found. Leave out `container` to get a new one.")
        if row.expired(datetime.now(UTC)):
            raise InvalidRequest(
                f"Container `{container_id}` expired at {timestamp(row.expires_at)}. "
                "Leave out `container` to get a new one; its files can no longer be had."
            )
        await rows.touch(self._database, row.id)
        return self._container(row)

    async def create(self, workspace_id: str) -> Container:
        """A new container. Raises HostError; nothing of a container that could not be made is left."""
        lifetime = timedelta(days=self._settings.containers.lifetime_days)
        try:
            row = await rows.create(self._database, workspace_id, lifetime)
        except DatabaseFull as error:
            raise DiskFull("The server's disk is full. Its operator has to make room.") from error
        try:
            await self._host.create(row.id, await workspaces.engine(self._database, workspace_id))
        except BaseException:
            await self.discard(row.id)
            raise
        return self._container(row)

    async def discard(self, container_id: str) -> None:
        """Remove a container that nobody can know of. Carried through even when the caller is being cancelled."""
        with anyio.CancelScope(shield=True):
            try:
                await self._host.delete(container_id)
            except HostError as error:
                _log.warning("%s could not be removed: %s", container_id, error)
            try:
                await rows.mark_deleted(self._database, container_id)
            except DatabaseFull as error:
                _log.warning("%s could not be marked as removed: %s", container_id, error)

    def _container(self, row: rows.Container) -> Container:
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
                )
            except (files.StorageQuotaExceeded, BlobStoreFull, DatabaseFull) as error:
                raise InvalidRequest("the storage for files is full", error_code="storage_quota_exceeded") from error
            except files.FileTooLarge as error:
                raise InvalidRequest("it is larger than a file may be") from error
            except (BlobError, HostError) as error:
                raise ServerError("it could not be stored") from error
            return file.id

        return Container(row.id, row.expires_at, self._host, store_output)

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
                    await self._host.place(container.id, file.filename, file.size_bytes, content)
            except (HostError, BlobError, ValueError) as error:
                _log.warning("%s: %s could not be placed: %s", container.id, file.id, error)
                raise upload_failed(file.filename, error) from error
            await rows.record_placed(self._database, container.id, {file.id: file.filename})

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
    match error:
        case DiskFull():
            return InvalidRequest(
                f"`{filename}` does not fit into the container: its disk is full. "
                "Remove files in it, or leave out `container` to get a new one."
            )
        case UnknownContainer():
            return InvalidRequest("The container has expired. Leave out `container` to get a new one.")
        case TooManySandboxes():
            return RateLimited("Too many containers are running. Try again soon.", retry_after_seconds=5)
        case ValueError():
            return InvalidRequest(f"`{filename}` is no name that a file in the container can have")
        case HostError():
            return Overloaded(f"The container could not be started to take `{filename}`. Try again.")
        case _:
            return ServerError(f"`{filename}` could not be read from the store")
