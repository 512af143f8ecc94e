"""The description of all routes for machines (OpenAPI 3.1)."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from bathysphere.api.auth import KEY_SCHEMES, Caller, ProtectedRoute
from bathysphere.api.described import finish

PATH = "/bathysphere/v1/openapi.json"

router = APIRouter(route_class=ProtectedRoute)


@router.get(PATH, include_in_schema=False)
async def openapi(request: Request, caller: Caller) -> JSONResponse:
    """The description; it is made once, when somebody first asks."""
    description = request.app.openapi()
    if "securitySchemes" not in description["components"]:
        description["components"]["securitySchemes"] = KEY_SCHEMES
        finish(description)
    return JSONResponse(description)
