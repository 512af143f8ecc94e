"""The list of files and its ways of paging (WIRE e, 0.3)."""

from __future__ import annotations

import re
from typing import Final

from fastapi import Request
from pydantic import BaseModel
from starlette.datastructures import QueryParams

from bathysphere.api.betas import betas
from bathysphere.api.page_tokens import read_token, token
from bathysphere.api.services import Storage
from bathysphere.store import files
from bathysphere.store.files import Page, Position
from bathysphere.store.keys import Identity
from bathysphere.wire.errors import InvalidRequest
from bathysphere.wire.files import (
    FILES_BETA,
    LIST_IDS,
    LIST_LIMIT,
    LIST_LIMIT_DEFAULT,
    MANAGED_AGENTS_BETA,
    FileList,
    FileListBeta,
    FileListManagedAgents,
    FileMetadata,
    FileMetadataBeta,
)
from bathysphere.wire.ids import ID_PATTERN

_LIMIT_TEXT: Final = re.compile(r"[+-]?[0-9]{1,9}", re.ASCII)
_SHOWN_ID: Final = 100


async def listing(request: Request, caller: Identity, storing: Storage) -> BaseModel:
    """The answer to ``GET /v1/files``, in the shape that the beta header asks for. Raises InvalidRequest."""
    asked = betas(request.headers)
    query = request.query_params
    old = FILES_BETA in asked
    both = not old and MANAGED_AGENTS_BETA in asked
    cursors = [name for name in ("before_id", "after_id") if name in query]
    ids = query.getlist("ids[]") + query.getlist("ids")
    _check_names(query, cursors, old=old, both=both, ids=ids)

    if ids:
        page = Page(await files.get_many(storing.database, caller.workspace_id, ids), more=False)
    elif "scope_id" in query:
        # Scopes are sessions of hosted agents; this server has none, so no file belongs to one.
        page = Page([], more=False)
    else:
        page = await _page(query, cursors, caller.workspace_id, storing)
    return _shaped(page, old=old, both=both, forward="before_id" not in cursors)


def _check_names(query: QueryParams, cursors: list[str], *, old: bool, both: bool, ids: list[str]) -> None:
    """Which parameters go together."""
    if cursors and not (old or both):
        raise InvalidRequest(
            f"{cursors[0]}: only with the beta header `{FILES_BETA}`; page through the list with `page` instead"
        )
    if len(cursors) > 1:
        raise InvalidRequest("before_id: cannot be combined with after_id")
    if old and "page" in query:
        raise InvalidRequest(f"page: not with the beta header `{FILES_BETA}`; use after_id or before_id")
    if old and ids:
        raise InvalidRequest(f"ids[]: not with the beta header `{FILES_BETA}`")
    if cursors and "page" in query:
        raise InvalidRequest(f"page: cannot be combined with {cursors[0]}")
    if ids:
        for name in ("page", "limit", *cursors):
            if name in query:
                raise InvalidRequest(f"ids[]: cannot be combined with {name}")
        if len(ids) > LIST_IDS:
            raise InvalidRequest(f"ids[]: at most {LIST_IDS} ids, {len(ids)} were given")


async def _page(query: QueryParams, cursors: list[str], workspace_id: str, storing: Storage) -> Page:
    limit = _limit(query.get("limit"))
    if not cursors:
        return await files.older(storing.database, workspace_id, limit, _position(query.get("page")))
    name = cursors[0]
    cursor = query[name]
    at = await files.get(storing.database, workspace_id, cursor) if ID_PATTERN.fullmatch(cursor) else None
    if at is None:
        raise InvalidRequest(f"{name}: File `{cursor[:_SHOWN_ID]}` not found.")
    position = Position(at.created_at, at.id)
    if name == "before_id":
        return await files.newer(storing.database, workspace_id, limit, position)
    return await files.older(storing.database, workspace_id, limit, position)


def _limit(text: str | None) -> int:
    if text is None:
        return LIST_LIMIT_DEFAULT
    if not _LIMIT_TEXT.fullmatch(text):
        raise InvalidRequest("limit: Input should be a valid integer")
    least, most = LIST_LIMIT
    if int(text) < least:
        raise InvalidRequest(f"limit: Input should be greater than or equal to {least}")
    if int(text) > most:
        raise InvalidRequest(f"limit: Input should be less than or equal to {most}")
    return int(text)


def _shaped(page: Page, *, old: bool, both: bool, forward: bool) -> BaseModel:
    first = page.files[0].id if page.files else None
    last = page.files[-1].id if page.files else None
    if old:
        shown = [FileMetadataBeta.model_validate(file, from_attributes=True) for file in page.files]
        return FileListBeta(data=shown, has_more=page.more, first_id=first, last_id=last)
    data = [FileMetadata.model_validate(file, from_attributes=True) for file in page.files]
    # Tokens lead to older files only. A page that was reached backwards has older ones behind it for certain.
    following = (
        token(page.files[-1].created_at, page.files[-1].id) if page.files and (page.more or not forward) else None
    )
    if both:
        return FileListManagedAgents(data=data, next_page=following, has_more=page.more, first_id=first, last_id=last)
    return FileList(data=data, next_page=following)


def _position(page: str | None) -> Position | None:
    return None if page is None else Position(*read_token(page))
