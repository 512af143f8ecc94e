"""Lists of the Admin API: their parameters, and their pages."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Annotated, Protocol

from fastapi import Query

from bathysphere.store.paging import Place, Window
from bathysphere.wire.admin import LIST_LIMIT, LIST_LIMIT_DEFAULT
from bathysphere.wire.errors import InvalidRequest

_SHOWN_ID = 100

Limit = Annotated[int, Query(ge=1, le=LIST_LIMIT, description="how many at most")]
AfterId = Annotated[str | None, Query(description="what follows this one in the list")]
BeforeId = Annotated[str | None, Query(description="what stands before this one in the list")]
USUAL = LIST_LIMIT_DEFAULT


class Listed(Protocol):
    """What stands in a list."""

    @property
    def id(self) -> str:
        """Its id."""

    @property
    def created_at(self) -> datetime:
        """When it was made."""


async def window(
    limit: int, after_id: str | None, before_id: str | None, find: Callable[[str], Awaitable[Listed | None]]
) -> Window:
    """The part of a list that is asked for; ``find`` gives what has an id. Raises InvalidRequest."""
    if after_id is not None and before_id is not None:
        raise InvalidRequest("before_id: cannot be combined with after_id")

    async def place(name: str, item_id: str | None) -> Place | None:
        if item_id is None:
            return None
        found = await find(item_id)
        if found is None:
            raise InvalidRequest(f"{name}: `{item_id[:_SHOWN_ID]}` not found.")
        return Place(found.created_at, found.id)

    return Window(limit, await place("after_id", after_id), await place("before_id", before_id))


def not_found(kind: str, item_id: str) -> str:
    """What is said of an id that there isn't, or that is another organisation's."""
    return f"{kind} `{item_id[:_SHOWN_ID]}` not found."
