"""The operator's way to containers: looked at and deleted from outside of a server, whether or not one runs."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from bathysphere.containers.host import HostedContainer, HostError
from bathysphere.containers.local import LocalHost
from bathysphere.containers.overview import Overview, overviews
from bathysphere.host.connection import write_frame
from bathysphere.settings import Settings
from bathysphere.store import audit
from bathysphere.store import containers as rows
from bathysphere.store.database import Database

_log = logging.getLogger(__name__)


class RunningHost(LocalHost):
    """The daemon of a data directory, when one runs. It is neither started nor kept by asking it."""

    def __init__(self, data: Path) -> None:
        super().__init__(data, Settings(), data)

    async def start(self) -> None:
        """Nothing: a daemon that does not run answers with HostUnavailable."""

    @contextlib.asynccontextmanager
    async def held(self, container_id: str, *, rest: bool = False) -> AsyncIterator[None]:
        """A container whose disk nobody changes, to copy it from outside; what runs in it stands still meanwhile.

        With ``rest`` its processes are ended before, and it may take longer. Raises UnknownContainer, HostUnavailable,
        SandboxFailed; and at the end HoldOver or HostUnavailable when it was not held until then.
        """
        async with self._request({"op": "hold", "container": container_id, "rest": rest}) as connection:
            answers = self._answers(connection)
            await anext(answers)
            yield
            with contextlib.suppress(OSError):
                await write_frame(connection.writer, {})
            async for _header, _payload in answers:
                pass


async def hosted(data: Path) -> dict[str, HostedContainer] | None:
    """What the running daemon knows of its containers; None when none runs."""
    try:
        return {container.id: container for container in await RunningHost(data).list()}
    except HostError:
        return None


async def seen(data: Path, database: Database, containers: Sequence[rows.Container]) -> list[Overview]:
    """What is to be seen of containers, in the given order."""
    counts = await audit.counts(database, [container.id for container in containers])
    return overviews(containers, await hosted(data) or {}, counts, datetime.now(UTC))


async def delete(data: Path, database: Database, container: rows.Container) -> bool:
    """Delete a container. From now on it is refused; True when its disk is gone already.

    A running daemon removes the disk, also in the middle of a call. When none runs, the next server does.
    """
    if container.deleted_at is None:
        await rows.mark_deleted(database, container.id)
        await audit.append(database, [audit.operator_call(container.id, container.workspace_id, "delete")])
    try:
        await RunningHost(data).delete(container.id)
        return True
    except HostError as error:
        _log.info("no daemon removes the disk of %s: %s", container.id, error)
    return False
