"""The one archive in which a skill is kept: the same files always give the same bytes, and so the same digest.

An uncompressed tar (ustar, with pax headers for names that it cannot hold): the skill's files and folders relative to
its own folder, in the order of their paths, with no owner, one time for all, and mode 0755 or 0644.
"""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import AsyncIterable, AsyncIterator, Iterable
from dataclasses import dataclass
from typing import Final

from bathysphere.skills.bundle import BundledFile

MTIME: Final = 315_532_800
"""Seconds since 1970: 1980-01-01, the earliest that a zip can say too."""

_BLOCK: Final = tarfile.BLOCKSIZE


class ArchiveDamaged(Exception):
    """The bytes are not those of an archive made here."""


@dataclass(frozen=True, slots=True)
class Archive:
    """``content`` is the tar, ``digest`` the SHA-256 of it in hex."""

    content: bytes
    digest: str


def archived(files: Iterable[BundledFile]) -> Archive:
    """The archive of a skill."""
    contents = {file.path: file for file in files}
    folders = {
        "/".join(names[:depth]) for path in contents if (names := path.split("/")) for depth in range(1, len(names))
    }
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w", format=tarfile.PAX_FORMAT, encoding="utf-8") as tar:
        for path in sorted({*contents, *folders}):
            member = tarfile.TarInfo(path)
            member.mtime = MTIME
            if path in folders:
                member.type, member.mode = tarfile.DIRTYPE, 0o755
                tar.addfile(member)
            else:
                file = contents[path]
                member.size, member.mode = len(file.content), 0o755 if file.executable else 0o644
                tar.addfile(member, io.BytesIO(file.content))
    content = target.getvalue()
    return Archive(content, hashlib.sha256(content).hexdigest())


async def contents(chunks: AsyncIterable[bytes]) -> AsyncIterator[tuple[bool, bytes]]:
    """The files of an archive in their order, piece by piece: whether a new file begins, and bytes of it.

    Each file begins once, if only with no bytes. Raises ArchiveDamaged, and whatever reading raises.
    """
    source = _Source(chunks)
    while any(header := await source.exactly(_BLOCK)):
        try:
            member = tarfile.TarInfo.frombuf(header, "utf-8", "surrogateescape")
        except tarfile.HeaderError as error:
            raise ArchiveDamaged(str(error)) from error
        plain = member.type == tarfile.REGTYPE
        if plain:
            yield True, b""
        left = member.size
        while left:
            piece = await source.some(left)
            left -= len(piece)
            if plain:
                yield False, piece
        await source.exactly(-member.size % _BLOCK)


class _Source:
    """Bytes in the amounts that are asked for."""

    def __init__(self, chunks: AsyncIterable[bytes]) -> None:
        self._chunks = aiter(chunks)
        self._buffer = b""

    async def some(self, most: int) -> bytes:
        """At least one byte, and at most so many."""
        while not self._buffer:
            try:
                self._buffer = await anext(self._chunks)
            except StopAsyncIteration:
                raise ArchiveDamaged("the archive ends too early") from None
        piece, self._buffer = self._buffer[:most], self._buffer[most:]
        return piece

    async def exactly(self, size: int) -> bytes:
        found = b""
        while len(found) < size:
            found += await self.some(size - len(found))
        return found
