"""Skills on their way from the store into a container."""

from __future__ import annotations

from collections.abc import AsyncGenerator

from bathysphere.containers.host import DiskFull, HostError, SkillEntry, SkillFolder, TooManySandboxes, UnknownContainer
from bathysphere.containers.quotas import QuotaReached, refusal
from bathysphere.skills.archive import contents
from bathysphere.store.blobs import Blobs
from bathysphere.store.skills import SkillVersion
from bathysphere.wire.errors import ApiError, InvalidRequest, NotFound, Overloaded, RateLimited, ServerError


def folder_of(version: SkillVersion, blobs: Blobs) -> SkillFolder:
    """A version of a skill as the folder that a container shows. Its archive is only read when it has to be sent."""
    # The archive's own order, so that bytes and files meet.
    files = sorted(version.files, key=lambda file: file.path)

    async def content() -> AsyncGenerator[bytes, None]:
        reader = await blobs.open(version.blob_key)
        try:
            async for _begins, data in contents(reader):
                if data:
                    yield data
        finally:
            await reader.aclose()

    entries = tuple(SkillEntry(file.path, file.size_bytes, file.executable) for file in files)
    return SkillFolder(version.name, version.digest, entries, content)


def skills_failed(error: Exception) -> ApiError:
    """The request's failure when its skills could not be brought into the container."""
    return refusal(error) if isinstance(error, QuotaReached) else _not_set(error)


def _not_set(error: Exception) -> ApiError:
    match error:
        case DiskFull():
            return InvalidRequest(
                f"container.skills: {error} Remove files in it, or leave out `container.id` to get a new container.",
                error_code="disk_full",
            )
        case UnknownContainer():
            return NotFound(
                "Container not found: it has lost its disk. Leave out `container.id` to get a new one.",
                error_code="container_expired",
            )
        case TooManySandboxes():
            return RateLimited("Too many containers are running. Try again soon.", retry_after_seconds=5)
        case ValueError():
            return InvalidRequest(f"container.skills: {error}")
        case HostError():
            return Overloaded("The container could not be started to take the skills of `container.skills`. Try again.")
        case _:
            return ServerError("container.skills: a skill could not be read from the store")
