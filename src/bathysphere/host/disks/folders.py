"""Disks that are plain folders: without root, or where a hard limit was waived. They have no limit of their own.

The record of a folder's user id is the folder itself: its group has that number, so both appear and vanish in
one step.
"""

from __future__ import annotations

import errno
import logging
import os
import shutil
import stat
import time
from dataclasses import replace
from pathlib import Path

from bathysphere.host.disks.base import PLACES, Disk, DiskError, Usage, make_skill_places
from bathysphere.host.disks.trash import Trash, is_full
from bathysphere.host.disks.uids import UserIds
from bathysphere.host.processes import Identity, run

log = logging.getLogger(__name__)


class Folders:
    """See Disks."""

    limited = False

    def __init__(self, root: Path, shown: Path, uids: UserIds | None) -> None:
        """``root`` is there; sandboxes reach it as ``shown``. Without ``uids`` all belongs to the daemon's user."""
        self._root = root
        self._shown = shown
        self._uids = uids
        self._trash = Trash(root, repair_rights=uids is None)

    async def prepare(self) -> None:
        """See Disks."""

    def ids(self) -> list[str]:
        """See Disks."""
        return sorted(entry.name for entry in os.scandir(self._root) if entry.is_dir(follow_symlinks=False))

    def _info(self, container_id: str) -> os.stat_result | None:
        try:
            info = (self._root / container_id).lstat()
        except FileNotFoundError:
            return None
        return info if stat.S_ISDIR(info.st_mode) else None

    def exists(self, container_id: str) -> bool:
        """See Disks."""
        return self._info(container_id) is not None

    def age_seconds(self, container_id: str) -> float:
        """See Disks."""
        info = self._info(container_id)
        # Nothing is made directly in the folder once it is there, so its own time is that of its making.
        return max(0.0, time.time() - info.st_mtime) if info else 0.0

    def usage(self, container_id: str, disk: Disk | None) -> Usage:
        """See Disks. Only a walk through the whole tree would tell what it takes."""
        return Usage(None, full=False)

    def trouble(self, container_id: str) -> str | None:
        """See Disks."""

    async def create(self, container_id: str) -> None:
        """See Disks."""
        identity = self._uids.take() if self._uids else None
        new = self._trash.place(container_id)
        try:
            new.mkdir(mode=0o710)
            for place, mode in PLACES:
                folder = new / place
                folder.mkdir()
                folder.chmod(mode)
                if identity is not None:
                    os.chown(folder, identity.uid, identity.gid)
            _make_skill_places(new)
            self._put(new, container_id, identity)
        except OSError as error:
            shutil.rmtree(new, ignore_errors=True)
            self._give_back(identity)
            raise DiskError(f"The disk of {container_id} cannot be made: {error.strerror}", is_full(error)) from error

    def _put(self, new: Path, container_id: str, identity: Identity | None) -> None:
        if identity is not None:
            os.chown(new, 0, identity.gid)
            new.chmod(0o710)
        new.rename(self._root / container_id)

    def _give_back(self, identity: Identity | None) -> None:
        if identity is not None and self._uids is not None:
            self._uids.give_back(identity.uid)

    def adopt(self, disk: Disk, container_id: str) -> Disk:
        """See Disks."""
        try:
            folder = self._root / disk.container_id
            os.utime(folder)
            folder.rename(self._root / container_id)
        except OSError as error:
            raise DiskError(f"{container_id} cannot be given a disk: {error.strerror}", is_full(error)) from error
        return replace(disk, container_id=container_id, path=self._shown / container_id)

    async def fork(self, container_id: str, new_id: str) -> None:
        """See Disks."""
        if self.exists(new_id):
            raise DiskError(f"There is a container {new_id} already.")
        identity = self._uids.take() if self._uids else None
        new = self._trash.place(new_id)
        try:
            source = str(self._root / container_id)
            # Neither follows a symbolic link, and no process of either container runs meanwhile.
            copied = await self._copied(source, new)
            if copied == 0 and identity is not None:
                owner = f"{identity.uid}:{identity.gid}"
                copied = await run(["/bin/chown", "-hR", "--", owner, *(str(new / place) for place, _ in PLACES[:3])])
            if copied != 0:
                free = shutil.disk_usage(self._root).free
                raise OSError(errno.ENOSPC if free < 1 << 20 else errno.EIO, "it could not be copied entirely")
            self._put(new, new_id, identity)
        except OSError as error:
            await self._trash.burn(new)
            self._give_back(identity)
            raise DiskError(f"The disk of {container_id} cannot be copied: {error.strerror}", is_full(error)) from error
        except BaseException:
            await self._trash.burn(new)
            self._give_back(identity)
            raise

    async def _copied(self, source: str, new: Path) -> int:
        copying = ["/bin/cp", "-a", "--reflink=auto", "--sparse=auto", "--", source, str(new)]
        copied = await run(copying)
        if copied == 0 or self._uids is not None:
            return copied
        # A container may have taken the rights to its files from its user, who is ours. In a user namespace of our own
        # that user passes for root, whom the kernel lets read what belongs to it all the same.
        await self._trash.burn(new)
        return await run(["/usr/bin/unshare", "--user", "--map-root-user", "--", *copying])

    async def attach(self, container_id: str) -> Disk:
        """See Disks."""
        info = self._info(container_id)
        if info is None:
            raise DiskError(f"{container_id} has no disk.")
        _make_skill_places(self._root / container_id)
        identity = None if self._uids is None else Identity(info.st_gid, info.st_gid)
        return Disk(container_id, self._shown / container_id, identity, limited=False)

    async def detach(self, disk: Disk) -> None:
        """See Disks."""

    async def sync(self, disk: Disk) -> None:
        """See Disks. The host's file system writes back by itself within half a minute; see docs/decisions/disks.md."""

    async def delete(self, container_id: str) -> None:
        """See Disks."""
        info = self._info(container_id)
        if info is None:
            return
        gone = self._trash.place(container_id)
        try:
            (self._root / container_id).rename(gone)
        except FileNotFoundError:
            return
        await self._trash.burn(gone)
        if self._uids is not None:
            self._uids.give_back(info.st_gid)

    async def sweep(self) -> None:
        """See Disks."""
        for entry in self._trash.entries():
            uid = entry.lstat().st_gid
            await self._trash.burn(entry)
            if self._uids is not None:
                self._uids.give_back(uid)

    async def close(self) -> None:
        """See Disks."""


def _make_skill_places(folder: Path) -> None:
    """They belong to the daemon's user, who is root or the only one."""
    disk = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        before = os.fstat(disk)
        make_skill_places(disk, None)
        os.utime(disk, ns=(before.st_atime_ns, before.st_mtime_ns))  # the time of its making
    finally:
        os.close(disk)
