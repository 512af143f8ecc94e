"""Who asks the Admin API: an admin key, which belongs to an organisation."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import Depends, Request

from bathysphere.api.auth import ProtectedRoute, presented_secret
from bathysphere.api.request_id import answer_headers
from bathysphere.api.services import Storing, storage
from bathysphere.store import admin_keys, keys
from bathysphere.store.admin_keys import Administrator
from bathysphere.wire.errors import AuthenticationFailed

PREFIX: Final = "/v1/organizations"

_MAKE: Final = "Make one with `bathysphere keys create --admin`."


async def authenticate(request: Request, storing: Storing) -> Administrator:
    """Whose admin key the request carries; the answer, whatever it will be, names the organisation (WIRE j).

    Raises AuthenticationFailed.
    """
    state = request.scope["state"]
    known = state.get("administrator")
    if isinstance(known, Administrator):
        return known
    secret = presented_secret(request.headers)
    administrator = await admin_keys.authenticate(storing.database, secret)
    if administrator is None:
        if secret.startswith(keys.PREFIX) and not secret.startswith(admin_keys.PREFIX):
            raise AuthenticationFailed(
                f"invalid x-api-key: {PREFIX} takes admin keys ({admin_keys.PREFIX}...), and this is the API key of a "
                f"workspace. {_MAKE}"
            )
        raise AuthenticationFailed(
            f"invalid x-api-key: the admin key is not known to this server, or has been disabled. {_MAKE}"
        )
    state["administrator"] = administrator
    answer_headers(request.scope)["anthropic-organization-id"] = administrator.organization_id
    return administrator


Admin = Annotated[Administrator, Depends(authenticate)]
"""For the signature of a route: ``admin: Admin``."""


class AdminRoute(ProtectedRoute):
    """A route that asks for an admin key before anything else."""

    async def admit(self, request: Request) -> None:
        """Whether who asks may come in. Raises AuthenticationFailed."""
        await authenticate(request, await storage(request))
