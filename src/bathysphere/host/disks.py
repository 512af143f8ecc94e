"""Disks: what of a container lasts. A plain folder each; a hard limit can come in behind the same interface.

The host looks at nothing inside a disk once a sandbox could write to it. The record of a container's user id
is the folder itself: its group has that number, so both appear and vanish in one step.
"""

from __future__ import annotations

import errno
import logging
import os
import re
import shutil
import stat
import time
from dataclasses import dataclass
from pathlib import Path

from bathysphere.host.processes import Identity, run

log = logging.getLogger(__name__)

CONTAINER_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,127}")
"""What a container id must look like to become the name of a folder."""

PLACES = (("home", 0o755), ("tmp", 0o1777), ("files", 0o755), ("files/input", 0o755), ("files/output", 0o755))


class DiskError(Exception):
    """A disk cannot be made; ``full`` tells whether the host's own disk is full."""

    def __init__(self, message: str, full: bool) -> None:
        super().__init__(message)
        self.full = full


@dataclass(frozen=True, slots=True)
class Disk:
    """One container's disk, and whom it belongs to (None: the daemon's own user)."""

    path: Path
    identity: Identity | None


class Disks:
    """All disks of one data directory."""

    def __init__(self, root: Path, first_uid: int | None, uid_count: int, seed: int) -> None:
        """``root`` is made when missing. With ``first_uid`` None everything belongs to the daemon's user.

        ``seed`` tells where in the range to begin, so that daemons of different data directories seldom meet.
        """
        self._root = root
        self._trash = root.with_name(f"{root.name}-removed")
        self._first_uid = first_uid
        self._uid_count = uid_count
        self._next = seed % uid_count
        for folder in (self._root, self._trash):
            folder.mkdir(mode=0o711, parents=True, exist_ok=True)
            folder.chmod(0o711)
        self._used = {folder.stat().st_gid for place in (self._root, self._trash) for folder in place.iterdir()}

    def find(self, container_id: str) -> Disk | None:
        """The disk of a container, or None."""
        path = self._root / container_id
        try:
            info = path.lstat()
        except FileNotFoundError:
            return None
        if not stat.S_ISDIR(info.st_mode):
            return None
        return Disk(path, None if self._first_uid is None else Identity(info.st_gid, info.st_gid))

    def ids(self) -> list[str]:
        """Every container that has a disk."""
        return sorted(folder.name for folder in self._root.iterdir())

    def age_seconds(self, container_id: str) -> float:
        """How long ago the disk was made; 0 when there is none."""
        try:
            return max(0.0, time.time() - (self._root / container_id).lstat().st_mtime)
        except FileNotFoundError:
            return 0.0

    def create(self, container_id: str) -> Disk:
        """Make a container's disk, whole or not at all. Raises DiskError."""
        identity = self._allocate()
        path = self._root / container_id
        new = self._trash / f"{container_id}.{os.urandom(8).hex()}.new"
        try:
            new.mkdir(mode=0o710)
            for place, mode in PLACES:
                folder = new / place
                folder.mkdir()
                folder.chmod(mode)
                if identity is not None:
                    os.chown(folder, identity.uid, identity.gid)
            if identity is not None:
                os.chown(new, 0, identity.gid)
                new.chmod(0o710)
            new.rename(path)
        except OSError as error:
            shutil.rmtree(new, ignore_errors=True)
            self._release(identity)
            full = error.errno in (errno.ENOSPC, errno.EDQUOT)
            raise DiskError(f"The disk of {container_id} cannot be made: {error.strerror}", full) from error
        return Disk(path, identity)

    def _allocate(self) -> Identity | None:
        if self._first_uid is None:
            return None
        for step in range(self._uid_count):
            uid = self._first_uid + (self._next + step) % self._uid_count
            if uid not in self._used:
                self._used.add(uid)
                self._next = uid - self._first_uid + 1
                return Identity(uid, uid)
        raise DiskError(
            f"All {self._uid_count} user ids for containers are in use. Delete containers, or raise host.uid_count.",
            full=False,
        )

    def _release(self, identity: Identity | None) -> None:
        if identity is not None:
            self._used.discard(identity.uid)

    async def delete(self, disk: Disk) -> None:
        """Remove a disk. Every process of its container has ended before. It is gone for everyone at once."""
        gone = self._trash / f"{disk.path.name}.{os.urandom(8).hex()}"
        try:
            disk.path.rename(gone)
        except FileNotFoundError:
            return
        await self._burn(gone)
        self._release(disk.identity)

    async def sweep(self) -> None:
        """Remove what an earlier daemon had begun to remove or to make."""
        for folder in list(self._trash.iterdir()):
            uid = folder.stat().st_gid
            await self._burn(folder)
            self._used.discard(uid)

    async def _burn(self, folder: Path) -> None:
        # rm follows no symbolic link and copes with trees of any depth, which a recursion here would not.
        if self._first_uid is None:
            # A container may have taken the rights to its folders from its user, who is ours.
            await run(["/bin/chmod", "-R", "u+rwX", "--", str(folder)])
        if await run(["/bin/rm", "-rf", "--one-file-system", "--", str(folder)]) != 0:
            log.error("%s could not be removed entirely", folder)
