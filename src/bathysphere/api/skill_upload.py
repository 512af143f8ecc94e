"""Receiving a skill: files in one body, one file as a zip, and what SDKs make of them (WIRE g)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Final

import anyio.to_thread
from fastapi import Request

from bathysphere.api.multipart import MalformedMultipart, PartBegin, PartData, PartEnd, events
from bathysphere.api.services import Storage
from bathysphere.settings import LimitSettings
from bathysphere.skills.archive import Archive, archived
from bathysphere.skills.bundle import Bounds, Bundle, Raw, bundle
from bathysphere.skills.refusal import BadSkill
from bathysphere.skills.zips import MAGIC, unzipped
from bathysphere.store.blobs import Blobs, BlobStoreFull
from bathysphere.store.skill_archives import keep
from bathysphere.store.skills import Snapshot
from bathysphere.wire.errors import InvalidRequest, ServerError, TooLarge
from bathysphere.wire.skills import DISPLAY_NAME_CHARACTERS, DISPLAY_TITLE_CHARACTERS, display_name_fault

# Around each file: boundary and headers.
_ENVELOPE_BYTES: Final = 1024
# Old SDKs send each file three times: its name, its content as Python would write it, which takes up to four times
# the bytes, and itself. Only the last is kept.
_PARTS_PER_FILE: Final = 3
_BODY_PER_BYTE: Final = 5
_OTHER_PARTS: Final = 16

_FILES: Final = frozenset({"files[]", "files"})
_TITLES: Final = frozenset({"display_name", "display_title"})
_TITLE_BYTES: Final = 4 * DISPLAY_NAME_CHARACTERS

# A file that came without a name.
_UNNAMED: Final = "unnamed"


@dataclass(frozen=True, slots=True)
class Upload:
    """What came in: ``title`` is None when the client gave none."""

    bundle: Bundle
    archive: Archive
    title: str | None


def bounds_of(limits: LimitSettings) -> Bounds:
    """What the settings allow one skill."""
    return Bounds(limits.skill_bytes, limits.skill_files)


async def receive_skill(request: Request, storing: Storage, *, old: bool) -> Upload:
    """Read the body of a create. ``old``: in the older shape. Nothing is stored yet.

    Raises InvalidRequest, TooLarge, and ClientDisconnect when the client goes away.
    """
    limits = storing.settings.limits
    bounds = bounds_of(limits)
    most = _BODY_PER_BYTE * bounds.total_bytes + _PARTS_PER_FILE * bounds.files * _ENVELOPE_BYTES
    form = _Form(bounds, old=old)
    try:
        body = _bounded(request, most, bounds)
        parts = _PARTS_PER_FILE * bounds.files + _OTHER_PARTS
        async for event in events(request.headers.get("content-type"), body, parts):
            match event:
                case PartBegin():
                    form.begin(event)
                case PartData():
                    form.take(event.data)
                case PartEnd():
                    form.end()
    except MalformedMultipart as error:
        raise InvalidRequest(f"The request body is not valid multipart/form-data: {error}.") from error
    title = form.title()
    files = form.files()
    try:
        made, archive = await anyio.to_thread.run_sync(_made, files, bounds, old, limiter=storing.skill_checks)
    except BadSkill as error:
        raise InvalidRequest(f"files: {error}") from error
    return Upload(made, archive, title)


def _made(files: Sequence[Raw], bounds: Bounds, folder_is_name: bool) -> tuple[Bundle, Archive]:
    if len(files) == 1 and files[0].path.lower().endswith(".zip") and not files[0].content.startswith(MAGIC):
        raise BadSkill("the file is called .zip, and is none")
    if len(files) == 1 and files[0].content.startswith(MAGIC):
        files = unzipped(files[0].content, bounds)
    made = bundle(files, bounds, folder_is_name=folder_is_name)
    return made, archived(made.files)


async def stored(upload: Upload, blobs: Blobs) -> Snapshot:
    """An upload in the blob store; it needs its row next. Raises ServerError when the disk is full, and BlobError."""
    try:
        return await keep(upload.bundle, upload.archive, blobs)
    except BlobStoreFull as error:
        raise ServerError(
            "The server's disk is full: the skill was not stored. Its operator has to make room.", should_retry=False
        ) from error


async def _bounded(request: Request, most: int, bounds: Bounds) -> AsyncIterator[bytes]:
    """The body, for as long as it is not longer than any allowed one can be."""
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and (len(announced) > 18 or int(announced) > most):
        raise _too_large(bounds)
    total = 0
    async for chunk in request.stream():
        total += len(chunk)
        if total > most:
            raise _too_large(bounds)
        yield chunk


def _too_large(bounds: Bounds) -> TooLarge:
    return TooLarge(f"files: a skill is too large: its files may take {bounds.total_bytes} bytes together.")


class _Form:
    """The fields of an upload. Unknown ones are passed over, ``files[][]`` of old SDKs among them."""

    def __init__(self, bounds: Bounds, *, old: bool) -> None:
        self._bounds = bounds
        self._characters = DISPLAY_TITLE_CHARACTERS if old else DISPLAY_NAME_CHARACTERS
        self._files: list[tuple[str, bytearray]] = []
        self._size = 0
        self._title_name = ""
        self._title: bytearray | None = None
        self._target: bytearray | None = None

    def begin(self, part: PartBegin) -> None:
        self._target = None
        if part.name in _FILES:
            if part.filename is None and part.content_type is None:
                # Python before 0.98 sends each file a first time like this: as Python would print it.
                return
            if len(self._files) == self._bounds.files:
                raise InvalidRequest(f"files: a skill has at most {self._bounds.files} files")
            self._target = bytearray()
            self._files.append((_UNNAMED if part.filename is None else part.filename, self._target))
        elif part.name in _TITLES:
            if self._title is not None:
                raise InvalidRequest(f"{part.name}: given twice")
            self._title_name = part.name
            self._target = self._title = bytearray()

    def take(self, data: bytes) -> None:
        if self._target is None:
            return
        self._target += data
        if self._target is self._title:
            if len(self._title) > _TITLE_BYTES:
                raise InvalidRequest(f"{self._title_name}: at most {self._characters} characters are allowed")
            return
        self._size += len(data)
        if self._size > self._bounds.total_bytes:
            raise _too_large(self._bounds)

    def end(self) -> None:
        self._target = None

    def title(self) -> str | None:
        """The name for display, None without one. Raises InvalidRequest."""
        if not self._title:
            return None
        try:
            title = self._title.decode("utf-8").strip()
        except UnicodeDecodeError as error:
            raise InvalidRequest(f"{self._title_name}: is not valid UTF-8") from error
        if fault := display_name_fault(title, self._characters):
            raise InvalidRequest(f"{self._title_name}: {fault}")
        return title

    def files(self) -> list[Raw]:
        """The files as they came. Raises InvalidRequest."""
        if not self._files:
            raise InvalidRequest("files: Field required")
        return [Raw(path, bytes(content)) for path, content in self._files]
