"""Receiving an upload: from the socket into the blob store, with no copy in between (WIRE e)."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Final

from fastapi import Request

from bathysphere.api.multipart import MalformedMultipart, PartBegin, PartData, PartEnd, events
from bathysphere.api.services import Storage
from bathysphere.store import files
from bathysphere.store.blobs import BlobStoreFull, BlobWriter
from bathysphere.store.files import File
from bathysphere.store.keys import Identity
from bathysphere.store.quota import Room, StorageQuotaExceeded, room
from bathysphere.wire.errors import InvalidRequest, ServerError, TooLarge
from bathysphere.wire.files import EXPIRES_IN_SECONDS, chosen_mime_type, filename_fault, unnamed

# Around the file: boundaries, headers, the other field.
_ENVELOPE_BYTES: Final = 256 * 1024
_FIELD_BYTES: Final = 64
_INTEGER: Final = re.compile(r"[+-]?[0-9]{1,32}", re.ASCII)


async def receive_upload(request: Request, caller: Identity, storing: Storage) -> File:
    """Read the body of ``POST /v1/files`` and store its file; on any failure nothing of it stays.

    Raises InvalidRequest, TooLarge, ServerError (disk full), and ClientDisconnect when the client goes away.
    """
    limits = storing.settings.limits
    _check_announced(request.headers.get("content-length"), limits.file_bytes)
    free = await room(storing.database, caller.workspace_id, caller.api_key_id, limits.storage_bytes)
    try:
        async with storing.blobs.writer() as writer:
            form = _Form(writer, limits.file_bytes, free)
            body = _bounded(request.stream(), limits.file_bytes)
            async for event in events(request.headers.get("content-type"), body):
                match event:
                    case PartBegin():
                        form.begin(event)
                    case PartData():
                        await form.take(event.data)
                    case PartEnd():
                        form.end()
            filename, mime_type = form.file()
            key = await writer.commit()
        return await files.add(
            storing.database,
            storing.blobs,
            workspace_id=caller.workspace_id,
            filename=filename,
            mime_type=mime_type,
            blob_key=key,
            size_bytes=writer.size,
            downloadable=False,
            storage_bytes=limits.storage_bytes,
            expires_in=form.expires_in,
            api_key_id=caller.api_key_id,
        )
    except MalformedMultipart as error:
        raise InvalidRequest(f"The request body is not valid multipart/form-data: {error}.") from error
    except StorageQuotaExceeded as error:
        raise InvalidRequest(str(error), error_code="storage_quota_exceeded") from error
    except BlobStoreFull as error:
        # Sending hundreds of megabytes again, at once, would meet the same full disk.
        raise ServerError(
            "The server's disk is full: the file was not stored. Its operator has to make room.", should_retry=False
        ) from error


def _check_announced(content_length: str | None, file_bytes: int) -> None:
    """Refuse by the Content-Length, before a byte of the body is read."""
    if content_length is None or not content_length.isdecimal():
        return
    if len(content_length) > 18 or int(content_length) > file_bytes + _ENVELOPE_BYTES:
        raise _too_large(file_bytes)


async def _bounded(stream: AsyncIterator[bytes], file_bytes: int) -> AsyncIterator[bytes]:
    """The body, for as long as it is not longer than any allowed one can be."""
    total = 0
    async for chunk in stream:
        total += len(chunk)
        if total > file_bytes + _ENVELOPE_BYTES:
            raise _too_large(file_bytes)
        yield chunk


def _too_large(file_bytes: int) -> TooLarge:
    return TooLarge(f"The file is too large: at most {file_bytes} bytes can be uploaded.")


class _Form:
    """The fields of an upload. Unknown ones are passed over."""

    def __init__(self, writer: BlobWriter, file_bytes: int, room: Room) -> None:
        self.expires_in: timedelta | None = None
        self._writer = writer
        self._file_bytes = file_bytes
        self._room = room
        self._file: PartBegin | None = None
        self._current = ""
        self._field: bytearray | None = None

    def begin(self, part: PartBegin) -> None:
        self._current = part.name
        if part.name == "file":
            if self._file is not None:
                raise InvalidRequest("file: only one file can be uploaded at a time")
            # Before the bytes: a name that cannot be is refused without waiting for them.
            if part.filename is not None and (fault := filename_fault(part.filename)):
                raise InvalidRequest(f"file: {fault}")
            self._file = part
        elif part.name == "expires_in_seconds":
            if self._field is not None:
                raise InvalidRequest("expires_in_seconds: given twice")
            self._field = bytearray()

    async def take(self, data: bytes) -> None:
        if self._current == "file":
            size = self._writer.size + len(data)
            if size > self._file_bytes:
                raise _too_large(self._file_bytes)
            self._room.check(size)
            await self._writer.write(data)
        elif self._current == "expires_in_seconds" and self._field is not None:
            self._field += data
            if len(self._field) > _FIELD_BYTES:
                raise InvalidRequest("expires_in_seconds: Input should be a valid integer")

    def end(self) -> None:
        if self._current == "expires_in_seconds" and self._field is not None:
            self.expires_in = _expiry(bytes(self._field))

    def file(self) -> tuple[str, str]:
        """The file's name and type."""
        if self._file is None:
            raise InvalidRequest("file: Field required")
        declared = self._file.content_type
        name = unnamed(declared) if self._file.filename is None else self._file.filename
        return name, chosen_mime_type(declared, name)


def _expiry(field: bytes) -> timedelta:
    text = field.decode("ascii", "replace").strip()
    if not _INTEGER.fullmatch(text):
        raise InvalidRequest("expires_in_seconds: Input should be a valid integer")
    shortest, longest = EXPIRES_IN_SECONDS
    seconds = int(text)
    if seconds < shortest:
        raise InvalidRequest(f"expires_in_seconds: Input should be greater than or equal to {shortest}")
    if seconds > longest:
        raise InvalidRequest(f"expires_in_seconds: Input should be less than or equal to {longest}")
    return timedelta(seconds=seconds)
