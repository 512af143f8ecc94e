"""``GET /v1/organizations/usage_report/messages`` (WIRE i)."""

from __future__ import annotations

from fastapi import APIRouter, Request

from bathysphere.api.admin.administrator import PREFIX, Admin, AdminRoute
from bathysphere.api.admin.report_pages import read, report, stretch_of
from bathysphere.api.described import failures
from bathysphere.api.services import Storing
from bathysphere.store.usage_report import Usage, usage
from bathysphere.wire.reports import CacheCreation, Report, UsageQuery, UsageResult, parameters

router = APIRouter(prefix=PREFIX, tags=["admin"], route_class=AdminRoute, responses=failures())


@router.get("/usage_report/messages", openapi_extra={"parameters": parameters(UsageQuery)})
async def messages_usage_report(request: Request, admin: Admin, storing: Storing) -> Report[UsageResult]:
    """The tokens that the organisation's turns have used."""
    query = read(request, UsageQuery)
    stretch, more = stretch_of(query)
    rows = await usage(storing.database, admin.organization_id, stretch, query.dimensions, query.filters)
    return report(stretch, more, rows, _shown)


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
