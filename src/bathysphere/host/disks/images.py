"""Disks with a hard limit: an ext4 file system each, in a sparse file, mounted by a loop device while it is in use.

All its files belong to one and the same user on every disk; a mount maps that one to the user id that the sandbox
has for as long as it runs. So ids are only held by what runs, and a copy of the file is a new disk.

Disks that an earlier version made as folders stay folders: nothing is lost, and they have no limit.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import shutil
import stat
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from bathysphere.host.disks import filesystem
from bathysphere.host.disks.base import Disk, DiskError, Usage
from bathysphere.host.disks.copying import copy_sparse
from bathysphere.host.disks.folders import Folders
from bathysphere.host.disks.trash import Trash, is_full
from bathysphere.host.disks.uids import UserIds
from bathysphere.host.disks.worker import Worker, WorkerEnded

log = logging.getLogger(__name__)

_TIMES = 5
"""So often an operation is begun whose process was killed."""

_NO_ROOM = 16 * 1024 * 1024

_TRIAL = "bathysphere-trial"

_LAYOUT = 2
"""Counted up when templates are made in another way."""


class Images:
    """See Disks. For root only."""

    limited = True

    def __init__(self, root: Path, mounts: Path, uids: UserIds, size_bytes: int, folders: Folders) -> None:
        """``root`` is there; disks are mounted below ``mounts``, which nobody else sees.

        ``folders`` has the same root.
        """
        self._root = root
        self._mounts = mounts
        self._uids = uids
        self._size = size_bytes
        self._folders = folders
        self._trash = Trash(root)
        self._template = root.with_name(f"{root.name}-template-{_LAYOUT}-{size_bytes}")
        self._troubles: dict[str, str] = {}
        self._named: set[str] = set()
        """Containers whose disk is known to keep its name after a loss of power."""
        self._naming: dict[str, asyncio.Task[bool]] = {}
        """Those for which that is being seen to while they are used already."""
        self._worker = Worker(_OPERATIONS)

    async def prepare(self) -> None:
        """See Disks."""
        for old in self._root.parent.glob(f"{self._template.name}.*"):
            await self._trash.burn(old)
        for layout in range(1, _LAYOUT):
            (self._root.with_name(f"{self._root.name}-template-{layout}-{self._size}")).unlink(missing_ok=True)
        try:
            if not self._template.exists():
                await self._worker.call("make", str(self._template), self._size)
        except OSError as error:
            raise DiskError(f"File systems for containers cannot be made: {_text(error)}.", is_full(error)) from error
        await self.delete(_TRIAL)
        await self.create(_TRIAL)
        try:
            await self.detach(await self.attach(_TRIAL))
        except DiskError as error:
            raise DiskError(
                "File systems for containers cannot be mounted, so nothing would limit their disks: "
                f"{self.trouble(_TRIAL)}. The host needs loop devices (modprobe loop) and CAP_SYS_ADMIN; in "
                "a container it needs the machine's /dev and leave to use block devices 7:*."
            ) from error
        finally:
            await self.delete(_TRIAL)

    def ids(self) -> list[str]:
        """See Disks."""
        return sorted(
            entry.name
            for entry in os.scandir(self._root)
            if entry.is_file(follow_symlinks=False) or entry.is_dir(follow_symlinks=False)
        )

    def _info(self, container_id: str) -> os.stat_result | None:
        try:
            info = (self._root / container_id).lstat()
        except FileNotFoundError:
            return None
        return info if stat.S_ISREG(info.st_mode) else None

    def exists(self, container_id: str) -> bool:
        """See Disks."""
        return self._info(container_id) is not None or self._folders.exists(container_id)

    def age_seconds(self, container_id: str) -> float:
        """See Disks. The file's name says nothing of it, so its making is noted in an attribute."""
        if self._folders.exists(container_id):
            return self._folders.age_seconds(container_id)
        try:
            made = float(os.getxattr(self._root / container_id, MADE))
        except (OSError, ValueError):
            return 0.0
        return max(0.0, time.time() - made)

    def usage(self, container_id: str, disk: Disk | None) -> Usage:
        """See Disks."""
        if disk is not None and disk.limited:
            return filesystem.usage(disk.path)
        info = self._info(container_id)
        if info is None:
            return self._folders.usage(container_id, disk)
        try:
            return Usage.parse(os.getxattr(self._root / container_id, filesystem.USAGE))
        except (OSError, ValueError):
            return Usage(info.st_blocks * 512, full=False)

    def trouble(self, container_id: str) -> str | None:
        """See Disks."""
        return self._troubles.get(container_id)

    async def create(self, container_id: str) -> None:
        """See Disks."""
        new = self._trash.place(container_id)
        try:
            # The template has a few used blocks only, so this is done before a child would have been made.
            _copy(self._template, new)
            new.rename(self._root / container_id)
        except OSError as error:
            new.unlink(missing_ok=True)
            raise DiskError(f"The disk of {container_id} cannot be made: {error.strerror}", is_full(error)) from error

    def adopt(self, disk: Disk, container_id: str) -> Disk:
        """See Disks. It stays mounted where it is."""
        if not disk.limited:
            return self._folders.adopt(disk, container_id)
        try:
            image = self._root / disk.container_id
            _note(image)
            image.rename(self._root / container_id)
            self._named.discard(disk.container_id)
            # Begun now, because it takes as long as many a first command; who is told of that one waits for both.
            self._naming[container_id] = asyncio.create_task(self._names_kept())
        except OSError as error:
            raise DiskError(f"{container_id} cannot be given a disk: {error.strerror}", is_full(error)) from error
        return replace(disk, container_id=container_id)

    async def _names_kept(self) -> bool:
        try:
            await self._until(lambda: False, "keep", str(self._root))
        except OSError:
            return False  # it is tried again, and told, by the first call
        return True

    async def fork(self, container_id: str, new_id: str) -> None:
        """See Disks."""
        if self._folders.exists(container_id):
            await self._folders.fork(container_id, new_id)
            return
        if self.exists(new_id):
            raise DiskError(f"There is a container {new_id} already.")
        new = self._trash.place(new_id)
        try:
            await self._worker.call("copy", str(self._root / container_id), str(new))
            _note(new)
            new.rename(self._root / new_id)
        except OSError as error:
            await self._trash.burn(new)
            raise DiskError(f"The disk of {container_id} cannot be copied: {_text(error)}.", is_full(error)) from error
        except BaseException:
            await self._trash.burn(new)
            raise
        try:
            await self._until(lambda: False, "keep", str(self._root))
        except OSError as error:
            await self.delete(new_id)
            raise DiskError(
                f"The copy of {container_id} cannot be made safe: {_text(error)}.", is_full(error)
            ) from error

    async def attach(self, container_id: str) -> Disk:
        """See Disks."""
        if self._folders.exists(container_id):
            return await self._folders.attach(container_id)
        if self._info(container_id) is None:
            raise DiskError(f"{container_id} has no disk.")
        image = self._root / container_id
        around = self._mounts / container_id
        if _mounted(around / "disk"):
            raise DiskError(
                f"The disk of {container_id} could not be unmounted earlier, and is kept from use until the daemon "
                "starts anew."
            )
        identity = self._uids.take()
        disk = Disk(container_id, around / "disk", identity, limited=True, skills_owner=identity.keeper)
        try:
            disk.path.mkdir(parents=True)
            os.chown(around, 0, identity.gid)
            around.chmod(0o710)
            await self._until(lambda: _mounted(disk.path), "mount", str(image), str(disk.path), identity.uid)
        except OSError as error:
            self._troubles[container_id] = _text(error)
            log.error("%s: its disk cannot be attached: %s", container_id, _text(error))
            self._leave(disk)
            raise DiskError(
                f"The disk of {container_id} cannot be attached: {_text(error)}. Its file is kept as it is: {image}",
                is_full(error),
            ) from error
        except BaseException:
            if _mounted(disk.path):
                await asyncio.shield(self.detach(disk))
            else:
                self._leave(disk)
            raise
        self._troubles.pop(container_id, None)
        return disk

    async def _until(self, done: Callable[[], bool], operation: str, *arguments: object) -> None:
        """Carry out an operation although its process may be killed meanwhile: anew, unless it is ``done``."""
        for _ in range(_TIMES - 1):
            try:
                await self._worker.call(operation, *arguments)
            except WorkerEnded:
                if done():
                    return
            else:
                return
        await self._worker.call(operation, *arguments)

    def _leave(self, disk: Disk) -> None:
        try:
            for folder in (disk.path, disk.path.parent):
                if folder.is_dir():
                    folder.rmdir()
        except OSError as error:
            # Still mounted: its user id stays taken as well.
            log.error("%s: its mount point cannot be removed: %s", disk.container_id, _text(error))
            return
        if disk.identity is not None:
            self._uids.give_back(disk.identity.uid)

    async def detach(self, disk: Disk) -> None:
        """See Disks."""
        if not disk.limited:
            await self._folders.detach(disk)
            return
        image = self._root / disk.container_id
        try:
            await self._until(lambda: not _mounted(disk.path), "unmount", str(image), str(disk.path))
            self._leave(disk)
        except OSError as error:
            # It stays mounted until the daemon ends, and its file locked: it can be used by nobody, nor harmed.
            self._troubles[disk.container_id] = _text(error)
            log.error("%s: its disk cannot be detached: %s", disk.container_id, _text(error))

    async def sync(self, disk: Disk) -> None:
        """See Disks."""
        if not disk.limited:
            await self._folders.sync(disk)
            return
        try:
            naming = self._naming.pop(disk.container_id, None)
            if naming is not None and await naming:
                self._named.add(disk.container_id)
            folder = None if disk.container_id in self._named else str(self._root)
            await self._until(lambda: False, "sync", str(disk.path), folder)
            self._named.add(disk.container_id)
        except OSError as error:
            # Room on the host was promised to more disks than it has; what does not fit fails only now.
            full = shutil.disk_usage(self._root).free < _NO_ROOM
            raise DiskError(f"What was written cannot be made safe: {_text(error)}.", full) from error

    async def delete(self, container_id: str) -> None:
        """See Disks."""
        self._troubles.pop(container_id, None)
        self._named.discard(container_id)
        self._naming.pop(container_id, None)
        if self._folders.exists(container_id):
            await self._folders.delete(container_id)
            return
        gone = self._trash.place(container_id)
        try:
            (self._root / container_id).rename(gone)
        except FileNotFoundError:
            return
        await self._trash.burn(gone)

    async def sweep(self) -> None:
        """See Disks."""
        await self._folders.sweep()

    async def close(self) -> None:
        """See Disks."""
        await asyncio.gather(*self._naming.values())
        await self._worker.close()


MADE = "user.bathysphere.made"
"""Attribute of a disk's file: when it was made, in seconds since 1970."""

_OPERATIONS: dict[str, Callable[..., object]] = {
    "make": lambda path, size: filesystem.make_template(Path(path), size),
    "mount": lambda image, target, user: filesystem.mount(Path(image), Path(target), user),
    "unmount": lambda image, target: filesystem.unmount(Path(image), Path(target)),
    "sync": lambda mounted, folder: filesystem.sync(Path(mounted), None if folder is None else Path(folder)),
    "keep": lambda folder: filesystem.keep(Path(folder)),
    "copy": lambda source, new: filesystem.copy(Path(source), Path(new)),
}


def _copy(source: Path, new: Path) -> None:
    """Make a file that is a copy of a small one, and note when. Raises OSError; what was made of it may be left."""
    with source.open("rb") as reading, new.open("xb") as writing:
        os.fchmod(writing.fileno(), 0o600)
        copy_sparse(reading.fileno(), writing.fileno())
    _note(new)


def _note(new: Path) -> None:
    with contextlib.suppress(OSError):  # not every file system has attributes
        os.setxattr(new, MADE, str(time.time()).encode())


def _mounted(path: Path) -> bool:
    return path.is_dir() and path.stat().st_dev != path.parent.stat().st_dev


def _text(error: OSError) -> str:
    return error.strerror or str(error)
