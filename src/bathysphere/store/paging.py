"""Lists that are paged through by the id of an item: newest first, the id deciding within one microsecond."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

from sqlalchemy import ColumnElement, Select, literal, tuple_
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from bathysphere.store.timestamps import Moment

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Place:
    """Where an item stands in a list."""

    created_at: datetime
    id: str


@dataclass(frozen=True, slots=True)
class Window:
    """The part of a list that is asked for: from its beginning, or what follows ``after``, or stands just before."""

    limit: int
    after: Place | None = None
    before: Place | None = None


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """A part of a list, newest first; ``more``: there are others in the direction of reading."""

    items: list[T]
    more: bool


async def read(
    session: AsyncSession,
    query: Select[*tuple[Any, ...]],
    created_at: InstrumentedAttribute[datetime],
    item_id: InstrumentedAttribute[str],
    window: Window,
) -> Page[Any]:
    """The rows of this part of what ``query`` finds; ``created_at`` and ``item_id`` are its columns of that name."""
    place = tuple_(created_at, item_id)
    backwards = window.before is not None
    if window.after is not None:
        query = query.where(place < _bound(window.after))
    if window.before is not None:
        query = query.where(place > _bound(window.before))
    order: tuple[ColumnElement[Any], ...] = (
        (created_at.asc(), item_id.asc()) if backwards else (created_at.desc(), item_id.desc())
    )
    rows = list(await session.execute(query.order_by(*order).limit(window.limit + 1)))
    found = rows[: window.limit]
    return Page(found[::-1] if backwards else found, len(rows) > window.limit)


def _bound(place: Place) -> ColumnElement[Any]:
    # Bare values would be bound as a date's text, which SQLite compares with a number without complaint.
    return tuple_(literal(place.created_at, Moment()), literal(place.id))
