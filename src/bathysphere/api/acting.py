"""On whose behalf a request uses containers."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request

from bathysphere.api.auth import authenticate
from bathysphere.api.request_id import request_id
from bathysphere.api.services import storage
from bathysphere.containers.recording import Actor


async def acting(request: Request) -> Actor:
    """The workspace and key of the request, and its id. Raises AuthenticationFailed."""
    # Called rather than depended on: each step that FastAPI resolves costs more than what it does here.
    caller = await authenticate(request, await storage(request))
    return Actor(caller.workspace_id, caller.api_key_id, request_id(request.scope))


Acting = Annotated[Actor, Depends(acting)]
"""For the signature of a route: ``acting: Acting``. As ``Caller``, it also protects the route."""
