"""``GET /v1/organizations/usage_report/messages`` (WIRE i)."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import Response

from bathysphere.api.admin.administrator import PREFIX, Admin, AdminRoute
from bathysphere.api.admin.report_pages import ROWS, answer, read
from bathysphere.api.described import failures
from bathysphere.api.services import Storing
from bathysphere.store.usage_report import Stretch, Usage, usage
from bathysphere.wire.reports import CacheCreation, Report, UsageQuery, UsageResult, parameters

router = APIRouter(prefix=PREFIX, tags=["admin"], route_class=AdminRoute, responses=failures())


@router.get(
    "/usage_report/messages",
    response_model=Report[UsageResult],
    openapi_extra={"parameters": parameters(UsageQuery)},
)
async def messages_usage_report(request: Request, admin: Admin, storing: Storing) -> Response:
    """The tokens that the organisation's turns have used."""
    query = read(request, UsageQuery)

    async def rows(stretch: Stretch) -> list[Usage]:
        return await usage(
            storing.database, admin.organization_id, stretch, query.dimensions, query.filters, limit=ROWS + 1
        )

    return await answer(query, rows, _shown)


def _shown(row: Usage) -> UsageResult:
    return UsageResult.model_validate(
        {
            **row.by,
            "uncached_input_tokens": row.uncached_input_tokens,
            "cache_read_input_tokens": row.cache_read_input_tokens,
            "cache_creation": CacheCreation(
                ephemeral_1h_input_tokens=row.cache_creation_1h_tokens,
                ephemeral_5m_input_tokens=row.cache_creation_5m_tokens,
            ),
            "output_tokens": row.output_tokens,
        }
    )
