"""Files as the protocol has them (WIRE e): both shapes of the object and of the list, and what a file may be called."""

from __future__ import annotations

import mimetypes
import re
from datetime import datetime
from typing import Final, Literal

from pydantic import BaseModel

FILES_BETA: Final = "files-api-2025-04-14"
"""With this beta header, and only with it, files have the older shape (WIRE 0.3)."""

MANAGED_AGENTS_BETA: Final = "managed-agents-2026-04-01"
"""With only this one: the newer shape, with both ways of paging (WIRE 0.3)."""

FILENAME_CHARACTERS: Final = 255
EXPIRES_IN_SECONDS: Final = (3_600, 7_776_000)
LIST_LIMIT: Final = (1, 1_000)
LIST_LIMIT_DEFAULT: Final = 20
LIST_IDS: Final = 100

OCTET_STREAM: Final = "application/octet-stream"

# U+D800 to U+DFFF are halves of characters: they stand for bytes that are not text, and have no UTF-8 form.
_FORBIDDEN: Final = re.compile(r'[<>:"|?*\\/\x00-\x1f\ud800-\udfff]')
_MIME_TYPE: Final = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]{0,126}/[a-z0-9][a-z0-9!#$&^_.+-]{0,126}")
# A longer ending is no extension, and is cut like the rest of the name.
_EXTENSION_CHARACTERS: Final = 32

# Only Python's own table and ours, never the machine's: the same file gets the same type everywhere.
_TYPES: Final = mimetypes.MimeTypes()
for _extension, _type in {
    ".7z": "application/x-7z-compressed",
    ".docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    ".ipynb": "application/x-ipynb+json",
    ".jsonl": "application/x-ndjson",
    ".md": "text/markdown",
    ".parquet": "application/vnd.apache.parquet",
    ".pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    ".rar": "application/vnd.rar",
    ".toml": "application/toml",
    ".webp": "image/webp",
    ".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    ".yaml": "application/yaml",
    ".yml": "application/yaml",
}.items():
    _TYPES.add_type(_type, _extension)
_ENCODINGS: Final = {"gzip": "application/gzip", "bzip2": "application/x-bzip2", "xz": "application/x-xz"}


class FileMetadataBeta(BaseModel):
    """A file, with the beta header."""

    id: str
    type: Literal["file"] = "file"
    filename: str
    mime_type: str
    size_bytes: int
    created_at: datetime
    downloadable: bool


class FileMetadata(FileMetadataBeta):
    """A file. ``expires_at`` is always there, and null for a file that does not expire."""

    expires_at: datetime | None


class FileDeleted(BaseModel):
    """The answer to a deletion."""

    id: str
    type: Literal["file_deleted"] = "file_deleted"


class FileListBeta(BaseModel):
    """A page of the list, with the beta header."""

    data: list[FileMetadataBeta]
    has_more: bool
    first_id: str | None
    last_id: str | None


class FileList(BaseModel):
    """A page of the list. ``next_page`` is null on the last one."""

    data: list[FileMetadata]
    next_page: str | None


class FileListManagedAgents(FileList):
    """A page of the list with both ways of paging."""

    has_more: bool
    first_id: str | None
    last_id: str | None


def filename_fault(name: str) -> str | None:
    """What is wrong with a filename, for the client; None when nothing is.

    Beyond the documented rule, ``.`` and ``..`` are refused: no directory can hold a file of that name.
    """
    if not 1 <= len(name) <= FILENAME_CHARACTERS:
        return f"a filename has 1 to {FILENAME_CHARACTERS} characters, this one has {len(name)}"
    if found := _FORBIDDEN.search(name):
        shown = found[0] if found[0].isprintable() else f"U+{ord(found[0]):04X}"
        return f'a filename must not contain {shown}; forbidden are < > : " | ? * \\ / and U+0000 to U+001F'
    if name in {".", ".."}:
        return f"{name} is not a filename"
    return None


def sanitised_filename(name: str) -> str:
    """A name that keeps the rule, as like the given one as can be: for files that come out of a container.

    Each forbidden character becomes ``_``; a name that is too long is cut before its extension.
    """
    name = _FORBIDDEN.sub("_", name)
    if name in {"", ".", ".."}:
        return "_" * max(1, len(name))
    if len(name) <= FILENAME_CHARACTERS:
        return name
    stem, dot, extension = name.rpartition(".")
    if not stem or len(extension) > _EXTENSION_CHARACTERS:
        return name[:FILENAME_CHARACTERS]
    return stem[: FILENAME_CHARACTERS - len(extension) - 1] + dot + extension


def mime_type_of(filename: str) -> str:
    """The type that a name promises; ``application/octet-stream`` when it promises none."""
    guessed, encoding = _TYPES.guess_type(f"/{filename}")
    if encoding is not None:
        return _ENCODINGS.get(encoding, OCTET_STREAM)
    return guessed or OCTET_STREAM


def chosen_mime_type(declared: str | None, filename: str) -> str:
    """The type of an upload: the declared one, without its parameters, unless it says nothing (WIRE e)."""
    mime_type = (declared or "").partition(";")[0].strip().lower()
    if mime_type == OCTET_STREAM or not _MIME_TYPE.fullmatch(mime_type):
        return mime_type_of(filename)
    return mime_type


def unnamed(declared: str | None) -> str:
    """The name of a file that was sent without one: ``unnamed`` and the extension of its type (WIRE e)."""
    mime_type = (declared or "").partition(";")[0].strip().lower()
    extension = None if mime_type == OCTET_STREAM else _TYPES.guess_extension(mime_type)
    return f"unnamed{extension or ''}"
