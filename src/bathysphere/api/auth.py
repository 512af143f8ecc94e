"""Who asks. A key comes in ``x-api-key`` or as a Bearer token; if both come, ``x-api-key`` wins (WIRE 0.1)."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Annotated, Any, Final

from fastapi import Depends, Request
from fastapi.responses import Response
from fastapi.routing import APIRoute
from starlette.datastructures import Headers

from bathysphere.api.services import Storing, storage
from bathysphere.store import keys
from bathysphere.store.admin_keys import PREFIX as ADMIN_PREFIX
from bathysphere.store.keys import Identity
from bathysphere.wire.errors import AuthenticationFailed, InvalidRequest

_HOW: Final = "Send a key of this server in the x-api-key header, or as Authorization: Bearer <key>."

API_VERSIONS: Final = ("2023-06-01", "2026-10-21")
"""Values of ``anthropic-version`` (WIRE 0)."""

_HEADERS: Final[list[dict[str, Any]]] = [
    {
        "name": "anthropic-version",
        "in": "header",
        "required": False,
        "description": "Without it, the older one.",
        "schema": {"type": "string", "enum": list(API_VERSIONS)},
    },
    {
        "name": "anthropic-beta",
        "in": "header",
        "required": False,
        "description": "Betas, joined by commas. Unknown ones are ignored.",
        "schema": {"type": "string"},
    },
]

KEY_SCHEMES: Final = {
    "key": {"type": "apiKey", "in": "header", "name": "x-api-key"},
    "bearer": {"type": "http", "scheme": "bearer"},
}
"""The ways to show a key, as OpenAPI describes them. Either will do."""


async def authenticate(request: Request, storing: Storing) -> Identity:
    """Whose key the request carries. The answer, whatever it will be, names the organisation and workspace (WIRE j).

    Raises AuthenticationFailed.
    """
    state = request.scope["state"]
    known = state.get("identity")
    if isinstance(known, Identity):
        return known
    secret = presented_secret(request.headers)
    identity = await keys.authenticate(storing.database, secret)
    if identity is None and secret.startswith(ADMIN_PREFIX):
        raise AuthenticationFailed(
            "invalid x-api-key: this is an admin key, which opens /v1/organizations and nothing else. "
            "Send an API key of a workspace here: `bathysphere keys create`."
        )
    if identity is None:
        raise AuthenticationFailed(
            "invalid x-api-key: the key is not known to this server, or has been disabled. "
            "Make one with `bathysphere keys create`."
        )
    state["identity"] = identity
    state.setdefault("response_headers", {}).update(
        {
            "anthropic-organization-id": identity.organization_id,
            "anthropic-workspace-id": identity.workspace_id,
        }
    )
    return identity


Caller = Annotated[Identity, Depends(authenticate)]
"""For the signature of a route: ``caller: Caller``. It is also what protects the route."""


class ProtectedRoute(APIRoute):
    """A route that asks for the key before anything else; ``APIRouter(route_class=ProtectedRoute)``.

    FastAPI reads and parses a request's body before it looks at the dependencies, so that with ``Caller`` alone
    strangers could have megabytes of JSON parsed, and be told what is wrong with them.
    """

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        more = options.get("openapi_extra") or {}
        options["openapi_extra"] = {
            "security": [{name: []} for name in KEY_SCHEMES],
            **more,
            "parameters": [*_HEADERS, *more.get("parameters", ())],
        }
        super().__init__(path, endpoint, **options)

    async def admit(self, request: Request) -> None:
        """Whether who asks may come in. Raises AuthenticationFailed."""
        await authenticate(request, await storage(request))

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """FastAPI's handler, behind the key."""
        handler = super().get_route_handler()

        async def protected(request: Request) -> Response:
            await self.admit(request)
            check_version(request.headers)
            return await handler(request)

        return protected


def check_version(headers: Headers) -> None:
    """Raises InvalidRequest for an ``anthropic-version`` that there isn't. Without the header it is the older one.

    The OpenAPI document of the real API does not require the header, and nothing here depends on it.
    """
    version = headers.get("anthropic-version")
    if version is not None and version.strip() not in API_VERSIONS:
        raise InvalidRequest(
            f'anthropic-version: "{version[:100]}" is not a valid version; this server has {" and ".join(API_VERSIONS)}'
        )


def presented_secret(headers: Headers) -> str:
    """The key in a request's headers. Raises AuthenticationFailed when there is none."""
    secret = headers.get("x-api-key")
    if secret is not None:
        if secret.strip():
            return secret.strip()
        raise AuthenticationFailed(f"x-api-key is empty. {_HOW}")
    authorization = headers.get("authorization")
    if authorization is None:
        raise AuthenticationFailed(f"x-api-key header is required. {_HOW}")
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise AuthenticationFailed(f"The Authorization header holds no Bearer token. {_HOW}")
    return token.strip()
