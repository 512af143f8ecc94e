"""The description of all routes for machines (OpenAPI 3.1)."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from bathysphere.api.auth import KEY_SCHEMES, Caller, ProtectedRoute

PATH = "/bathysphere/v1/openapi.json"

router = APIRouter(route_class=ProtectedRoute)


@router.get(PATH, include_in_schema=False)
async def openapi(request: Request, caller: Caller) -> JSONResponse:
    """The description; it is made once, when somebody first asks."""
    description = request.app.openapi()
    description["components"]["securitySchemes"] = KEY_SCHEMES
    return JSONResponse(description)
