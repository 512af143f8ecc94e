"""A skill's files into the blob store, before they have a row."""

from __future__ import annotations

from typing import Final

from bathysphere.skills.archive import Archive
from bathysphere.skills.bundle import Bundle
from bathysphere.store.blobs import Blobs
from bathysphere.store.skills import SkillFile, Snapshot

_PIECE: Final = 1024 * 1024


async def keep(bundle: Bundle, archive: Archive, blobs: Blobs) -> Snapshot:
    """Write the archive of a skill; it needs a row next, or it is swept. Raises BlobStoreFull and BlobError."""
    async with blobs.writer() as writer:
        for at in range(0, len(archive.content), _PIECE):
            await writer.write(archive.content[at : at + _PIECE])
        key = await writer.commit()
    return Snapshot(
        name=bundle.name,
        description=bundle.description,
        digest=archive.digest,
        blob_key=key,
        size_bytes=len(archive.content),
        files=tuple(SkillFile(file.path, len(file.content), file.executable) for file in bundle.files),
    )
