"""How reports are asked, and cut into buckets and pages (WIRE i)."""

from __future__ import annotations

import base64
import binascii
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Final, Protocol, TypeVar

import anyio.to_thread
from fastapi import Request
from fastapi.responses import Response
from pydantic import BaseModel, SerializeAsAny, ValidationError

from bathysphere.api.errors import invalid_request
from bathysphere.store.usage_report import Stretch
from bathysphere.wire.errors import InvalidRequest
from bathysphere.wire.reports import WIDTHS, Bucket, Report, ReportQuery, moment_text

Q = TypeVar("Q", bound=ReportQuery)
ROWS: Final = 50_000
"""How many results a page has at most."""

_PAGE: Final = "page_"
_LIST: Final = "[]"
_NO_PAGE: Final = "page: not a page of this report; use the `next_page` of the page before, and the same parameters"


class Summed(Protocol):
    """A row of a report: of the bucket that begins at ``start``."""

    @property
    def start(self) -> int:
        """Seconds since 1970."""


def read(request: Request, kind: type[Q]) -> Q:
    """The parameters of a request for a report. Lists may be written ``models[]=a`` or ``models=a``.

    Raises InvalidRequest.
    """
    values: dict[str, Any] = {}
    lists = {name for name, field in kind.model_fields.items() if isinstance(field.default, list)}
    for name, value in request.query_params.multi_items():
        bare = name.removesuffix(_LIST)
        if bare in lists:
            values[bare] = [*values.get(bare, ()), value]
        elif name not in kind.model_fields:
            # A filter that is not heeded would be a wrong sum.
            raise InvalidRequest(f"{name[:100]}: Extra inputs are not permitted")
        elif name in values:
            raise InvalidRequest(f"{name}: given more than once")
        else:
            values[name] = value
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        raise invalid_request(error.errors(include_url=False)) from error


def stretch_of(query: ReportQuery, now: datetime | None = None) -> tuple[Stretch, bool]:
    """The buckets of the page that is asked for, and whether others follow.

    They begin with the one that holds ``starting_at`` and end with the last whole one before ``ending_at``, or with
    the one that holds the present moment. Raises InvalidRequest.
    """
    width, usual, most = WIDTHS[query.bucket_width]
    limit = usual if query.limit is None else query.limit
    if limit < 1:
        raise InvalidRequest("limit: Input should be greater than or equal to 1")
    if limit > most:
        raise InvalidRequest(
            f"limit: Input should be less than or equal to {most}, with the bucket_width {query.bucket_width}"
        )
    start = _bucket(query.starting_at, width)
    end = _bucket(now or datetime.now(UTC), width) + width
    if query.ending_at is not None:
        if query.ending_at <= query.starting_at:
            raise InvalidRequest("ending_at: Input should be after starting_at")
        end = min(end, _bucket(query.ending_at, width))
    if query.page is not None:
        at = _read_token(query.page)
        if at % width or not start <= at < end:
            raise InvalidRequest(_NO_PAGE)
        start = at
    last = max(start, min(end, start + limit * width))
    return Stretch(start, last, width), last < end


async def answer(
    query: ReportQuery, rows: Callable[[Stretch], Awaitable[Sequence[Summed]]], shown: Callable[[Any], BaseModel]
) -> Response:
    """The page that is asked for: each row, as ``shown`` makes it, in its bucket. Raises InvalidRequest.

    ``rows`` gives those of the page, at most ``ROWS`` + 1. They are put together in a thread: thousands take a while.
    """
    stretch, more = stretch_of(query)
    found = await rows(stretch)
    if len(found) > ROWS:
        raise InvalidRequest(
            f"group_by: this page would have more than {ROWS} results. Ask for fewer buckets with `limit`, filter, or "
            "group by less."
        )
    return Response(
        await anyio.to_thread.run_sync(_written, stretch, more, found, shown), media_type="application/json"
    )


def _written(stretch: Stretch, more: bool, rows: Sequence[Summed], shown: Callable[[Any], BaseModel]) -> str:
    found: dict[int, list[BaseModel]] = defaultdict(list)
    for row in rows:
        found[row.start].append(shown(row))
    report = Report[SerializeAsAny[BaseModel]](
        data=[
            Bucket(starting_at=_moment(start), ending_at=_moment(start + stretch.width), results=found[start])
            for start in range(stretch.start, stretch.end, stretch.width)
        ],
        has_more=more,
        next_page=_token(stretch.end) if more else None,
    )
    return report.model_dump_json()


def _bucket(moment: datetime, width: int) -> int:
    """The first second of the bucket that holds a moment: minutes, hours and days begin with UTC's."""
    seconds = int(moment.timestamp())
    return seconds - seconds % width


def _moment(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _token(start: int) -> str:
    return _PAGE + base64.urlsafe_b64encode(moment_text(_moment(start)).encode()).decode()


def _read_token(page: str) -> int:
    try:
        text = base64.b64decode(page.removeprefix(_PAGE), altchars=b"-_", validate=True).decode("ascii")
        start = int(datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC).timestamp())
    except (binascii.Error, ValueError) as error:
        raise InvalidRequest(_NO_PAGE) from error
    if _token(start) != page:
        raise InvalidRequest(_NO_PAGE)
    return start
