"""What a request says about whether it was sent before.

The SDKs send a request again by themselves, with the same body to the byte and ``x-stainless-retry-count`` above 0:
when the connection breaks or times out before there is an answer, and after 408, 409, 429 and 5xx (WIRE j). They send
no ``Idempotency-Key``; other clients and gateways do.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final

from fastapi import Request

from bathysphere.containers.recording import Actor
from bathysphere.wire.errors import InvalidRequest

_KEY_CHARACTERS: Final = 255
_DECIDING_HEADERS: Final = ("anthropic-version", "anthropic-beta")
"""Those that change what a body means."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try of a request. ``owner`` is the API key: nobody else's tries are ever compared with it."""

    owner: str
    content: bytes
    """A digest of the body's bytes and of the headers that change their meaning."""
    idempotency_key: str | None
    retried: bool
    """Whether an SDK says that it has sent the same before."""

    @property
    def identity(self) -> tuple[str, str | bytes]:
        """What the tries of one request have in common: the key that its client gave it, else what it says."""
        return self.owner, self.content if self.idempotency_key is None else self.idempotency_key


async def attempt(request: Request, actor: Actor) -> Attempt:
    """Read it from the request. Raises InvalidRequest for an ``Idempotency-Key`` that is none."""
    digest = hashlib.sha256()
    for name in _DECIDING_HEADERS:
        for value in request.headers.getlist(name):
            digest.update(f"{name}: {value}\n".encode())
    digest.update(b"\n")
    digest.update(await request.body())
    count = request.headers.get("x-stainless-retry-count", "")
    return Attempt(
        owner=actor.api_key_id or actor.workspace_id,
        content=digest.digest(),
        idempotency_key=idempotency_key(request),
        retried=count.isascii() and count.isdigit() and len(count) < 10 and int(count) > 0,
    )


def idempotency_key(request: Request) -> str | None:
    """The header of that name. Raises InvalidRequest when it holds what cannot be one."""
    key = request.headers.get("idempotency-key")
    if key is None:
        return None
    if not key.strip() or len(key) > _KEY_CHARACTERS or not key.isprintable():
        raise InvalidRequest(
            f"Idempotency-Key: 1 to {_KEY_CHARACTERS} printable characters are wanted, best a random UUID"
        )
    return key
