"""``GET /health``: the process answers. ``GET /ready``: it can do its work, so a load balancer may send it some.

Neither asks for a key (docs/observing.md).
"""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import JSONResponse

from bathysphere.api.services import Serving

router = APIRouter()


@router.get("/health")
async def health() -> dict[str, str]:
    """Whether the server answers."""
    return {"status": "ok"}


@router.get("/ready", responses={503: {"description": "It cannot work now, or is ending; `checks` says why."}})
async def ready(serving: Serving) -> JSONResponse:
    """Whether the server can do its work."""
    return await serving.readiness.answer()
