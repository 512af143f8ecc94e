"""Copies of containers' disks, each as it was at one moment, with or without a daemon that uses them."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import re
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from bathysphere.backup.failure import BackupError
from bathysphere.backup.manifest import BackedUpContainer
from bathysphere.backup.packing import pack_folder, pack_image
from bathysphere.backup.pieces import Piece, Sums
from bathysphere.containers.operating import RunningHost
from bathysphere.host.contract import HoldOver, HostError, HostUnavailable, UnknownContainer
from bathysphere.host.disks import filesystem
from bathysphere.host.disks.images import MADE

PATIENCE_SECONDS: Final = 120.0
"""How long a daemon may be on its way, up or down, before the backup is given up."""

_ENGINE: Final = re.compile(r"[a-z0-9]{1,64}")


class DiskCopies:
    """Those of one data directory, for one backup."""

    def __init__(self, data: Path, folder: Path, sums: Sums) -> None:
        """``folder`` is the backup's."""
        self._place = data / "host"
        self._folder = folder
        self._sums = sums
        self._host = RunningHost(data)
        self._alone = asyncio.Lock()

    async def close(self) -> None:
        """Let go of the daemon."""
        await self._host.close()

    async def copy(self, container_id: str) -> BackedUpContainer | None:
        """Copy a container's disk; None when it has none (any more). Raises BackupError and OSError.

        What runs in it stands still for as long as that takes. If that is too long, its processes are ended and the
        copy is taken then: their container's files matter more.
        """
        rest = False
        deadline: float | None = None
        while True:
            try:
                async with self._host.held(container_id, rest=rest):
                    copied = await asyncio.to_thread(self._pack, container_id, rest)
                return copied
            except UnknownContainer:
                self._forget(container_id)
                return None
            except HoldOver:
                if rest:
                    raise BackupError(
                        f"The disk of {container_id} cannot be copied within half an hour. Is the destination so slow?"
                    ) from None
                rest = True
            except HostUnavailable:
                self._forget(container_id)
                async with self._alone:
                    with self._no_daemon() as alone:
                        if alone:
                            return await asyncio.to_thread(self._pack, container_id, False, True)
                deadline = deadline or time.monotonic() + PATIENCE_SECONDS
                if time.monotonic() > deadline:
                    raise BackupError("The host daemon neither answers nor ends; see its log, host/host.log.") from None
                await asyncio.sleep(0.2)
            except (HostError, ValueError) as error:
                self._forget(container_id)
                raise BackupError(f"The disk of {container_id} cannot be copied: {error}") from error
            self._forget(container_id)

    @contextlib.contextmanager
    def _no_daemon(self) -> Iterator[bool]:
        """Whether there is none, and none can start meanwhile."""
        try:
            lock = os.open(self._place / "lock", os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        except FileNotFoundError:
            yield True  # there never was one
            return
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
        finally:
            os.close(lock)

    def _forget(self, container_id: str) -> None:
        for kind in ("disk", "tar"):
            path = f"disks/{container_id}.{kind}"
            with contextlib.suppress(FileNotFoundError):
                self._sums.forget(path, (self._folder / path).stat().st_size)
                (self._folder / path).unlink()

    def _pack(self, container_id: str, rested: bool, alone: bool = False) -> BackedUpContainer | None:
        place = self._place / "disks" / container_id
        try:
            info = place.lstat()
        except FileNotFoundError:
            return None
        if stat.S_ISREG(info.st_mode):
            return self._pack_image(container_id, place, rested, alone)
        found = BackedUpContainer(
            id=container_id, kind="folder", engine=self._engine(container_id), made=info.st_mtime, rested=rested
        )
        pack_folder(place, self._anew(found.path))
        return found

    def _pack_image(self, container_id: str, place: Path, rested: bool, alone: bool) -> BackedUpContainer:
        # Without a daemon the kernel may still be taking down what a killed one had mounted: then it is locked.
        descriptor = filesystem.lock(place) if alone else os.open(place, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            made, usage = _attribute(descriptor, MADE), _attribute(descriptor, filesystem.USAGE)
            found = BackedUpContainer(
                id=container_id,
                kind="image",
                engine=self._engine(container_id),
                made=None if made is None else float(made),
                usage=usage,
                rested=rested,
            )
            with Piece(self._folder, found.path, self._sums) as piece:
                pack_image(descriptor, piece)
        finally:
            os.close(descriptor)
        return found

    def _anew(self, path: str) -> Callable[[], Piece]:
        return lambda: Piece(self._folder, path, self._sums)

    def _engine(self, container_id: str) -> str | None:
        try:
            name = (self._place / "engines" / container_id).read_text()
        except FileNotFoundError:
            return None
        if not _ENGINE.fullmatch(name):
            raise OSError(f"the engine of {container_id} is written down as {name[:80]!r}, which is none")
        return name


def _attribute(descriptor: int, name: str) -> str | None:
    try:
        return os.getxattr(descriptor, name).decode("ascii", "replace")
    except OSError:
        return None  # not every file system has attributes
