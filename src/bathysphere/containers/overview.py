"""What is to be seen of a container: its row, what its host says of it, and how much was done in it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from bathysphere.containers.host import HostedContainer
from bathysphere.store.containers import Container

State = Literal["busy", "waiting", "idle", "suspended", "full", "broken", "expired", "deleted"]
"""``busy``: a call runs. ``waiting``: a cell waits for the results of tools. ``idle``: it runs and nobody calls it.
``suspended``: its files wait on the disk, no process runs. ``full``: its disk has no room left. ``broken``: its disk
is damaged or lost. ``expired``: its time is over; the disk may still be there for the grace period. ``deleted``: it
was deleted before its time."""


@dataclass(frozen=True, slots=True)
class Overview:
    """One container. ``disk_bytes`` is None where the host cannot tell; ``calls`` is the length of its record."""

    container: Container
    state: State
    disk_bytes: int | None
    calls: int


def state_of(row: Container, hosted: HostedContainer | None, now: datetime) -> State:
    """The state of a container; ``hosted`` is None when its host has no disk for it, or cannot be asked."""
    if row.deleted_at is not None and row.deleted_at < row.expires_at:
        return "deleted"
    if row.expired(now):
        return "expired"
    if hosted is None:
        return "suspended" if row.lost_at is None else "broken"
    if hosted.state == "broken":
        return "broken"
    if hosted.state in ("busy", "waiting"):
        return hosted.state
    return "full" if hosted.full else hosted.state


def overviews(
    containers: Iterable[Container], hosted: Mapping[str, HostedContainer], calls: Mapping[str, int], now: datetime
) -> list[Overview]:
    """Each container with what is known of it, in the given order."""
    return [
        Overview(
            row,
            state_of(row, hosted.get(row.id), now),
            hosted[row.id].disk_bytes if row.id in hosted else None,
            calls.get(row.id, 0),
        )
        for row in containers
    ]
