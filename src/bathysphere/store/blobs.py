"""The bytes of files, under keys of the store's own making. What a key belongs to is the database's business."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Protocol

_log = logging.getLogger(__name__)


class BlobError(Exception):
    """The store failed; ``str(error)`` says what and why."""


class BlobMissing(BlobError):
    """There is nothing under this key."""


class BlobStoreFull(BlobError):
    """No room is left. Nothing of the blob that was being written is kept."""


class BlobWriter(Protocol):
    """A blob on its way in. It exists once ``commit`` has returned, and not before."""

    size: int
    """Bytes written so far."""

    async def write(self, chunk: bytes) -> None:
        """Add bytes. Raises BlobStoreFull, BlobError."""

    async def commit(self) -> str:
        """Make it durable, whole, and give its key. Nothing can be written afterwards. Raises as ``write`` does."""


class BlobReader(Protocol):
    """An open blob. Deleting the blob does not disturb who is reading it."""

    size: int
    """All its bytes."""

    def __aiter__(self) -> AsyncIterator[bytes]:
        """The bytes, once, in chunks of at most a MiB. Raises BlobError."""

    async def aclose(self) -> None:
        """Let go of it. Closing twice is no error."""


class Blobs(Protocol):
    """A place for blobs."""

    def writer(self) -> AbstractAsyncContextManager[BlobWriter]:
        """``async with blobs.writer() as w``: leaving without ``commit`` leaves nothing behind."""

    async def open(self, key: str) -> BlobReader:
        """Open for reading; the caller closes it. Raises BlobMissing, BlobError."""

    async def delete(self, key: str) -> bool:
        """Remove for good. False when there was nothing. Raises BlobError."""

    def listing(self) -> AsyncIterator[tuple[str, datetime]]:
        """Every key, with the time of the last byte written, in no order."""

    async def sweep(self) -> int:
        """Remove what writers left that died halfway, and nothing of one that lives; how many that were."""


async def forget(blobs: Blobs, key: str) -> None:
    """Delete a blob that no row speaks of. When that fails the sweep will do it; the caller's outcome stands."""
    try:
        await blobs.delete(key)
    except BlobError:
        _log.warning("blob %s could not be deleted; the next sweep will try again", key, exc_info=True)
