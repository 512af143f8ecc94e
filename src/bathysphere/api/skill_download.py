"""The files of a skill as a zip, made while it is sent: no more of it than a few pieces is ever in memory."""

from __future__ import annotations

import time
import zipfile
from collections.abc import AsyncIterator
from io import RawIOBase
from typing import Final

import anyio.to_thread
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from bathysphere.api.files import content_disposition
from bathysphere.skills.archive import MTIME, contents
from bathysphere.store.blobs import BlobReader
from bathysphere.store.skills import SkillVersion

_UNIX: Final = 3
_REGULAR: Final = 0o100000


class SkillDownload(StreamingResponse):
    """A version on its way out; the blob is let go of whatever happens to the connection."""

    def __init__(self, version: SkillVersion, reader: BlobReader) -> None:
        super().__init__(
            zipped(version, reader),
            headers={
                "content-type": "application/zip",
                "content-disposition": content_disposition(f"{version.name}.zip"),
                "x-content-type-options": "nosniff",
            },
        )
        self._reader = reader

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            await self._reader.aclose()


async def zipped(version: SkillVersion, chunks: BlobReader) -> AsyncIterator[bytes]:
    """The files in a folder of the skill's name. Raises ArchiveDamaged and BlobError, which cuts the answer."""
    out = _Outlet()
    files = iter(version.files)
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        entry = None
        try:
            async for begins, piece in contents(chunks):
                if begins:
                    if entry is not None:
                        entry.close()
                    file = next(files)
                    info = zipfile.ZipInfo(f"{version.name}/{file.path}", time.gmtime(MTIME)[:6])
                    info.compress_type = zipfile.ZIP_DEFLATED
                    info.create_system = _UNIX
                    info.external_attr = (_REGULAR | (0o755 if file.executable else 0o644)) << 16
                    entry = archive.open(info, "w")
                elif entry is not None:
                    await anyio.to_thread.run_sync(entry.write, piece)
                if taken := out.taken():
                    yield taken
        finally:
            if entry is not None:
                entry.close()
    if taken := out.taken():
        yield taken


class _Outlet(RawIOBase):
    """What is written comes out at ``taken``; it cannot be gone back to."""

    def __init__(self) -> None:
        super().__init__()
        self._written = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        """Called by zipfile, with bytes or a view of them."""
        before = len(self._written)
        self._written += data  # type: ignore[arg-type]
        return len(self._written) - before

    def taken(self) -> bytes:
        """What has been written since the last time."""
        taken = bytes(self._written)
        self._written.clear()
        return taken
