"""Blobs in a folder: ``<folder>/ab/cdef…``. Written elsewhere, then renamed to its place, a blob is whole or absent.

A writer holds a lock on its unfinished file. The kernel drops the lock of a process that dies, which is how ``sweep``
tells a leftover from an upload that another process is still receiving.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, ParamSpec, TypeVar

import anyio
import anyio.to_thread

from bathysphere.store.blobs import BlobError, BlobMissing, BlobReader, BlobStoreFull, BlobWriter

# One trip to a worker thread costs about as much as writing 100 kB, so bytes are collected first.
_CHUNK: Final = 1024 * 1024
_KEY: Final = re.compile(r"[0-9a-f]{32}")
_UNFINISHED: Final = ".unfinished"
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})

P = ParamSpec("P")
T = TypeVar("T")


class LocalBlobs:
    """The blobs of one folder, which may be shared by several processes of one machine."""

    def __init__(self, folder: Path, reserve_bytes: int = 0) -> None:
        """``reserve_bytes`` of the folder's disk are left free: a blob that would take them is refused as too much."""
        self._folder = folder
        self._reserve = reserve_bytes
        self._unfinished = folder / _UNFINISHED

    @classmethod
    async def open_folder(cls, folder: Path, reserve_bytes: int = 0) -> LocalBlobs:
        """Use a folder, made when it is not there, readable by this user only. Raises BlobError."""
        blobs = cls(folder, reserve_bytes)
        await _in_thread(blobs._make_folders)
        return blobs

    def _make_folders(self) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder.chmod(0o700)
        self._unfinished.mkdir(mode=0o700, exist_ok=True)

    @asynccontextmanager
    async def writer(self) -> AsyncIterator[BlobWriter]:
        """See Blobs."""
        writer = await _in_thread(_LocalWriter, self._unfinished, self._path, self._reserve)
        try:
            yield writer
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(writer.discard)

    async def open(self, key: str) -> BlobReader:
        """See Blobs."""
        path = self._path(key)
        try:
            return await _in_thread(_LocalReader, path)
        except FileNotFoundError as error:
            raise BlobMissing(f"there is no blob {key}") from error

    async def delete(self, key: str) -> bool:
        """See Blobs."""
        path = self._path(key)
        try:
            await _in_thread(_remove, path)
        except FileNotFoundError:
            return False
        return True

    async def listing(self) -> AsyncIterator[tuple[str, datetime]]:
        """See Blobs."""
        for shelf in await _in_thread(_names, self._folder):
            if len(shelf) != 2:
                continue
            for key, modified in await _in_thread(_blobs_on, self._folder / shelf):
                if _KEY.fullmatch(key):
                    yield key, datetime.fromtimestamp(modified, UTC)

    async def sweep(self) -> int:
        """See Blobs."""
        return await _in_thread(_sweep, self._unfinished)

    def _path(self, key: str) -> Path:
        # Keys come from the database, but a path is built from them.
        if not _KEY.fullmatch(key):
            raise BlobMissing(f"{key!r} is no blob's key")
        return self._folder / key[:2] / key[2:]


class _LocalWriter:
    """Its blocking halves run in worker threads, one at a time."""

    def __init__(self, unfinished: Path, place: Callable[[str], Path], reserve: int) -> None:
        self.size = 0
        self._reserve = reserve
        self._place = place
        self._buffer = bytearray()
        self._path, self._descriptor = _create_locked(unfinished)
        self._open = True

    async def write(self, chunk: bytes) -> None:
        if not self._open:
            raise BlobError("a blob that has been committed cannot be written to")
        self._buffer += chunk
        self.size += len(chunk)
        if len(self._buffer) >= _CHUNK:
            await _in_thread(self._flush)

    async def commit(self) -> str:
        if not self._open:
            raise BlobError("a blob can be committed only once")
        key = secrets.token_hex(16)
        await _in_thread(self._commit, self._place(key))
        return key

    def _flush(self) -> None:
        disk = os.fstatvfs(self._descriptor)
        if disk.f_bavail * disk.f_frsize - len(self._buffer) < self._reserve:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        with memoryview(self._buffer) as view:
            written = 0
            while written < len(view):
                written += os.write(self._descriptor, view[written:])
        self._buffer.clear()

    def _commit(self, path: Path) -> None:
        self._flush()
        os.fsync(self._descriptor)
        if not path.parent.exists():
            path.parent.mkdir(mode=0o700, exist_ok=True)
            _sync_directory(path.parent.parent)
        self._path.rename(path)
        self._open = False
        os.close(self._descriptor)
        _sync_directory(path.parent)

    def discard(self) -> None:
        """Remove what was not committed."""
        if self._open:
            self._open = False
            self._path.unlink(missing_ok=True)
            os.close(self._descriptor)


class _LocalReader:
    def __init__(self, path: Path) -> None:
        # A Python file, not a bare descriptor: one that nobody closes is closed when it is collected.
        self._file = path.open("rb", buffering=0)
        self.size = os.fstat(self._file.fileno()).st_size

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            while chunk := await _in_thread(self._file.read, _CHUNK):
                yield chunk
        finally:
            self._file.close()

    async def aclose(self) -> None:
        self._file.close()


async def _in_thread(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Off the event loop; failures of the disk in the store's own words."""
    try:
        return await anyio.to_thread.run_sync(lambda: function(*args, **kwargs))
    except FileNotFoundError:
        raise
    except OSError as error:
        kind = BlobStoreFull if error.errno in _FULL else BlobError
        raise kind(f"the blob store failed: {error.strerror}") from error


def _create_locked(folder: Path) -> tuple[Path, int]:
    while True:
        path = folder / secrets.token_hex(16)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        # A sweep may have come between the two calls and removed it.
        if os.fstat(descriptor).st_nlink:
            return path, descriptor
        os.close(descriptor)


def _sweep(unfinished: Path) -> int:
    swept = 0
    for name in _names(unfinished):
        path = unfinished / name
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except FileNotFoundError:
            continue
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink(missing_ok=True)
            swept += 1
        except BlockingIOError:
            pass
        finally:
            os.close(descriptor)
    return swept


def _names(folder: Path) -> list[str]:
    with os.scandir(folder) as entries:
        return [entry.name for entry in entries]


def _blobs_on(shelf: Path) -> list[tuple[str, float]]:
    found = []
    with os.scandir(shelf) as entries:
        for entry in entries:
            with suppress(FileNotFoundError):
                found.append((shelf.name + entry.name, entry.stat(follow_symlinks=False).st_mtime))
    return found


def _remove(path: Path) -> None:
    path.unlink()
    _sync_directory(path.parent)


def _sync_directory(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
