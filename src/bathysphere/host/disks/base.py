"""What the daemon asks of a way to keep disks.

The host looks at nothing inside a disk once a sandbox could write to it. A disk is attached while its container
runs and detached at rest: then it holds no mount, no device, no user id and no memory.
"""

from __future__ import annotations

import contextlib
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from bathysphere.host.processes import Identity

CONTAINER_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,127}")
"""What a container id must look like to become the name of a file."""

PLACES = (("home", 0o755), ("tmp", 0o1777), ("files", 0o755), ("files/input", 0o755), ("files/output", 0o755))
"""The directories of a new disk, and their modes."""

SKILLS = "skills"
"""Directory beside them that is the daemon's own; ``host.disks.skill_folders`` writes there."""

SKILL_PLACES = (SKILLS, f"{SKILLS}/shown", f"{SKILLS}/new")
"""``shown`` is what the sandbox sees, read-only, at /skills."""


def make_skill_places(disk: int, owner: int | None) -> None:
    """Make those directories on an open disk, for a user other than us if one is given.

    Disks of an earlier version have none. Where they cannot be made (the disk is full), the container goes on without.
    """
    try:
        os.stat(SKILL_PLACES[-1], dir_fd=disk, follow_symlinks=False)
        return
    except OSError:
        pass
    with contextlib.suppress(OSError):
        for place in SKILL_PLACES:
            with contextlib.suppress(FileExistsError):
                os.mkdir(place, dir_fd=disk)
            os.chmod(place, 0o755, dir_fd=disk)  # noqa: S103
            if owner is not None:
                os.chown(place, owner, owner, dir_fd=disk, follow_symlinks=False)


class DiskError(Exception):
    """A disk cannot be made or used; the message says why and what to do.

    ``full`` tells whether the host's own disk is full.
    """

    def __init__(self, message: str, full: bool = False) -> None:
        super().__init__(message)
        self.full = full


@dataclass(frozen=True, slots=True)
class Disk:
    """A disk that is attached."""

    container_id: str
    path: Path
    """Where ``identity`` can reach it, and nobody else but root. Holds ``home``, ``tmp``, ``files`` and ``skills``."""
    identity: Identity | None
    """To whom its files belong for as long as it is attached (None: the daemon's own user)."""
    limited: bool
    """Whether it is a file system of its own, so that ENOSPC is its own and not the host's."""
    skills_owner: int | None = None
    """The user to whom what is in ``skills`` belongs and who may write there; None: the daemon's own."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What of a disk is in use."""

    used_bytes: int | None
    """None: not known at once."""
    full: bool
    """Whether it has no room left, for bytes or for further files."""

    def text(self) -> bytes:
        """As it is noted beside a disk."""
        return f"{self.used_bytes} {int(self.full)}".encode()

    @classmethod
    def parse(cls, text: bytes) -> Usage:
        """The other way round. Raises ValueError."""
        used, full = text.split()
        return cls(int(used), full=full == b"1")


class Disks(Protocol):
    """All disks of one data directory. The caller sees to it that one disk is asked for one thing at a time."""

    limited: bool
    """Whether new disks have a hard limit."""

    async def prepare(self) -> None:
        """Set up what disks are made from. Raises DiskError when disks cannot be had here."""

    def ids(self) -> list[str]:
        """Every container that has a disk, sorted."""

    def exists(self, container_id: str) -> bool:
        """Whether a container has a disk."""

    def age_seconds(self, container_id: str) -> float:
        """Seconds since the disk was made; 0 when there is none."""

    def usage(self, container_id: str, disk: Disk | None) -> Usage:
        """What of a disk is in use, now if it is attached (``disk``), else when that was last known."""

    def trouble(self, container_id: str) -> str | None:
        """Why the disk could not be attached when that was last tried; None when it could or was not."""

    async def create(self, container_id: str) -> None:
        """Make a container's disk, whole or not at all. Raises DiskError."""

    def adopt(self, disk: Disk, container_id: str) -> Disk:
        """Give an attached disk, of the warm pool, to a container that has none. Raises DiskError.

        The name survives a loss of power from the next ``sync`` on.
        """

    async def fork(self, container_id: str, new_id: str) -> None:
        """Make a copy of a detached disk, whole or not at all. Raises DiskError."""

    async def attach(self, container_id: str) -> Disk:
        """Make a disk usable. Raises DiskError; the disk is left as it was then."""

    async def detach(self, disk: Disk) -> None:
        """Let go of a disk. Every process of its container has ended before. What was written is safe after it."""

    async def sync(self, disk: Disk) -> None:
        """Wait until all that was written so far survives a loss of power. Raises DiskError."""

    async def delete(self, container_id: str) -> None:
        """Remove a detached disk. It is gone for everyone at once; deleting what does not exist is no error."""

    async def sweep(self) -> None:
        """Remove what an earlier daemon had begun to remove or to make."""

    async def close(self) -> None:
        """Let go of everything; all disks are detached."""
