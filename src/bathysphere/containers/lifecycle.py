"""What time and crashes leave behind of containers: expired disks, disks nobody knows, rows without a disk."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from bathysphere.containers.host import Host, HostedContainer, HostError
from bathysphere.settings import ContainerSettings
from bathysphere.store import audit
from bathysphere.store import containers as rows
from bathysphere.store.database import Database

_log = logging.getLogger(__name__)

UNKNOWN_FOR: Final = timedelta(hours=1)
"""How old a disk without a row, or a row without a disk, must be: both are made one after the other."""

_KIND: Final = "container_"


@dataclass(frozen=True, slots=True)
class Swept:
    """How many containers: expired disks removed, stray disks removed, found lost, found again, records removed."""

    expired: int = 0
    stray: int = 0
    lost: int = 0
    found_again: int = 0
    forgotten: int = 0


async def sweep(database: Database, host: Host, settings: ContainerSettings, now: datetime | None = None) -> Swept:
    """Remove and mark it all. Meant for the start and then once an hour; what fails is tried again the next time.

    Raises HostError when the host cannot be asked, and DatabaseFull.
    """
    now = now or datetime.now(UTC)
    expired = await _remove_expired(database, host, now - timedelta(days=settings.grace_days), now)
    # Rows first: what is made afterwards has a disk that the list may lack, but is too young to be judged.
    should_be = await rows.alive(database, now - UNKNOWN_FOR)
    hosted = await host.list()
    lost, found_again = await _mark_lost(database, should_be, {container.id for container in hosted}, now)
    stray = await _remove_stray(database, host, hosted)
    forgotten = await rows.forget(database, now - timedelta(days=settings.record_days))
    return Swept(expired, stray, lost, found_again, forgotten)


async def _remove_expired(database: Database, host: Host, expired_before: datetime, now: datetime) -> int:
    removed = 0
    for container in await rows.expired(database, expired_before):
        if await _remove(host, container.id):
            await rows.mark_deleted(database, container.id, now)
            await audit.append(database, [audit.operator_call(container.id, container.workspace_id, "expire", now)])
            removed += 1
    return removed


async def _mark_lost(
    database: Database, should_be: Sequence[rows.Container], hosted: set[str], now: datetime
) -> tuple[int, int]:
    lost = [container.id for container in should_be if container.lost_at is None and container.id not in hosted]
    found_again = [container.id for container in should_be if container.lost_at is not None and container.id in hosted]
    for container_id in lost:
        _log.error("%s has lost its disk: the host does not know it", container_id)
    await rows.mark_lost(database, lost, now)
    await rows.mark_lost(database, found_again, None)
    return len(lost), len(found_again)


async def _remove_stray(database: Database, host: Host, hosted: Sequence[HostedContainer]) -> int:
    # Only ids of our own making: what else a host keeps (spares, probes) is its own business.
    ours = [container for container in hosted if container.id.startswith(_KIND)]
    known = await rows.known(database, [container.id for container in ours])
    removed = 0
    for container in ours:
        row = known.get(container.id)
        if row is None and container.age_seconds < UNKNOWN_FOR.total_seconds():
            continue
        if (row is None or row.deleted_at is not None) and await _remove(host, container.id):
            _log.warning("the disk of %s was removed: %s", container.id, "it was deleted" if row else "nobody knows it")
            removed += 1
    return removed


async def _remove(host: Host, container_id: str) -> bool:
    try:
        await host.delete(container_id)
    except HostError as error:
        _log.warning("the disk of %s could not be removed: %s", container_id, error)
        return False
    return True
