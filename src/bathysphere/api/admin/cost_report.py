"""``GET /v1/organizations/cost_report`` (WIRE i), and the execution time that costs: ``execution_report``, ours."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from fastapi import APIRouter, Request
from fastapi.responses import Response

from bathysphere.api.admin.administrator import PREFIX, Admin, AdminRoute
from bathysphere.api.admin.report_pages import ROWS, answer, read
from bathysphere.api.described import failures
from bathysphere.api.services import Storing
from bathysphere.metering.tariff import cents
from bathysphere.store.execution_report import ExecutionTime, execution_time
from bathysphere.store.usage_report import Stretch
from bathysphere.wire.reports import CostQuery, CostResult, ExecutionQuery, ExecutionResult, Report, parameters

router = APIRouter(prefix=PREFIX, tags=["admin"], route_class=AdminRoute, responses=failures())

_DESCRIPTION: Final = "Code Execution Usage"


@router.get("/cost_report", response_model=Report[CostResult], openapi_extra={"parameters": parameters(CostQuery)})
async def cost_report(request: Request, admin: Admin, storing: Storing) -> Response:
    """What the organisation's execution time costs. Tokens are paid to whoever runs the models."""
    query = read(request, CostQuery)
    by = [name for name in query.dimensions if name == "workspace_id"]
    described = "description" in query.dimensions

    async def rows(stretch: Stretch) -> list[ExecutionTime]:
        return await execution_time(storing.database, admin.organization_id, stretch, by, limit=ROWS + 1)

    def shown(row: ExecutionTime) -> CostResult:
        return CostResult(
            amount=_amount(row),
            cost_type="code_execution" if described else None,
            description=_DESCRIPTION if described else None,
            workspace_id=row.by.get("workspace_id"),
        )

    return await answer(query, rows, shown)


@router.get(
    "/execution_report",
    response_model=Report[ExecutionResult],
    openapi_extra={"parameters": parameters(ExecutionQuery)},
)
async def execution_report(request: Request, admin: Admin, storing: Storing) -> Response:
    """How long the organisation's containers were used, and what of it costs."""
    query = read(request, ExecutionQuery)

    async def rows(stretch: Stretch) -> list[ExecutionTime]:
        return await execution_time(
            storing.database, admin.organization_id, stretch, query.dimensions, query.filters, limit=ROWS + 1
        )

    return await answer(query, rows, _execution)


def _execution(row: ExecutionTime) -> ExecutionResult:
    return ExecutionResult(
        api_key_id=row.by.get("api_key_id"),
        container_id=row.by.get("container_id"),
        workspace_id=row.by.get("workspace_id"),
        execution_seconds=row.seconds,
        paid_seconds=row.paid_seconds,
        amount=_amount(row),
    )


def _amount(row: ExecutionTime) -> str:
    """A decimal number in cents, without an exponent and without zeros at its end."""
    value: Decimal = cents(row.microdollar_seconds)
    return format(value.normalize(), "f") if value else "0"
