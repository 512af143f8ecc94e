"""The Files API (WIRE e): upload, list, metadata, content, deletion, in both shapes."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import quote

from fastapi import APIRouter, Request
from pydantic import BaseModel
from starlette.datastructures import Headers
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from bathysphere.api.auth import Caller, ProtectedRoute
from bathysphere.api.betas import betas
from bathysphere.api.described import cursors, failures, query
from bathysphere.api.file_list import listing
from bathysphere.api.file_upload import receive_upload
from bathysphere.api.services import Storing
from bathysphere.store import files
from bathysphere.store.blobs import BlobReader
from bathysphere.store.files import File
from bathysphere.wire.errors import InvalidRequest, NotFound
from bathysphere.wire.files import (
    EXPIRES_IN_SECONDS,
    FILES_BETA,
    LIST_IDS,
    LIST_LIMIT,
    LIST_LIMIT_DEFAULT,
    FileDeleted,
    FileList,
    FileListBeta,
    FileListManagedAgents,
    FileMetadata,
    FileMetadataBeta,
)

router = APIRouter(prefix="/v1/files", tags=["files"], route_class=ProtectedRoute, responses=failures())

_SHOWN_ID: Final = 100

_Shape = FileMetadata | FileMetadataBeta
_Shapes = FileListManagedAgents | FileList | FileListBeta

_PARAMETERS: Final = [
    *cursors("files", *LIST_LIMIT, LIST_LIMIT_DEFAULT),
    query("page", "the `next_page` of the page before", type="string"),
    query("ids[]", "only these files; alone", type="array", items={"type": "string"}, maxItems=LIST_IDS),
]
_FORM: Final[dict[str, Any]] = {
    "required": True,
    "content": {
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "required": ["file"],
                "properties": {
                    "file": {"type": "string", "format": "binary"},
                    "expires_in_seconds": {
                        "type": "integer",
                        "minimum": EXPIRES_IN_SECONDS[0],
                        "maximum": EXPIRES_IN_SECONDS[1],
                    },
                },
            }
        }
    },
}
_CONTENT: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "The file's bytes, with its own type.",
        "content": {"*/*": {"schema": {"type": "string", "format": "binary"}}},
    },
    **failures(404),
}


@router.post("", response_model=_Shape, openapi_extra={"requestBody": _FORM}, responses=failures(413))
async def upload(request: Request, caller: Caller, storing: Storing) -> Response:
    """Store a file, streamed: parts ``file`` and, if it is to expire, ``expires_in_seconds``, in any order."""
    return _json(_shape(await receive_upload(request, caller, storing), request.headers))


@router.get("", response_model=_Shapes, openapi_extra={"parameters": _PARAMETERS})
async def list_files(request: Request, caller: Caller, storing: Storing) -> Response:
    """The files of the workspace, newest first."""
    return _json(await listing(request, caller, storing))


@router.get("/{file_id}", response_model=_Shape, responses=failures(404))
async def metadata(file_id: str, request: Request, caller: Caller, storing: Storing) -> Response:
    """What is known of a file; also, for 30 days, of one that has expired."""
    found = await files.get(storing.database, caller.workspace_id, file_id)
    if found is None:
        raise not_found(file_id)
    return _json(_shape(found, request.headers))


@router.get("/{file_id}/content", response_class=StreamingResponse, responses=_CONTENT)
async def content(file_id: str, caller: Caller, storing: Storing) -> Response:
    """The bytes of a file that code in a container made. Uploads cannot be downloaded."""
    found = await files.get(storing.database, caller.workspace_id, file_id)
    if found is None:
        raise not_found(file_id)
    if found.expired(datetime.now(UTC)) or found.blob_key is None:
        raise NotFound(f"File `{found.id}` has expired.", error_code="file_expired")
    if not found.downloadable:
        raise InvalidRequest(
            f"File `{found.id}` is not downloadable: only files created by tools or skills are.",
            error_code="file_not_downloadable",
        )
    return _Content(found, await storing.blobs.open(found.blob_key))


@router.delete("/{file_id}", response_model=FileDeleted, responses=failures(404))
async def delete(file_id: str, caller: Caller, storing: Storing) -> Response:
    """Remove a file for good."""
    if not await files.delete(storing.database, storing.blobs, caller.workspace_id, file_id):
        raise not_found(file_id)
    return _json(FileDeleted(id=file_id))


def not_found(file_id: str) -> NotFound:
    """The error for a file that this workspace does not have."""
    return NotFound(f"File `{file_id[:_SHOWN_ID]}` not found.")


def _shape(file: File, headers: Headers) -> FileMetadataBeta:
    kind = FileMetadataBeta if FILES_BETA in betas(headers) else FileMetadata
    return kind.model_validate(file, from_attributes=True)


def _json(answer: BaseModel) -> Response:
    return Response(answer.model_dump_json(), media_type="application/json")


class _Content(StreamingResponse):
    """A file on its way out; the blob is let go of whatever happens to the connection."""

    def __init__(self, file: File, reader: BlobReader) -> None:
        super().__init__(
            reader,
            headers={
                "content-type": file.mime_type,
                "content-length": str(reader.size),
                "content-disposition": content_disposition(file.filename),
                # Made by a model's code: no browser shall take it for a page of this server.
                "x-content-type-options": "nosniff",
                "content-security-policy": "sandbox",
            },
        )
        self._reader = reader

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            await self._reader.aclose()


def content_disposition(filename: str) -> str:
    """``attachment`` with the name in both forms of RFC 6266: plain ASCII, and exact."""
    plain = "".join(c if c.isascii() and c.isprintable() and c not in '"\\%' else "_" for c in filename)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(filename, safe='')}"
