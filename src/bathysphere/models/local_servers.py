"""Finds a model server that already runs on this machine, on the port that its kind usually has."""

from __future__ import annotations

import asyncio
import ipaddress
import json
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

import httpx2

LOOK_SECONDS: Final = 0.5
_ANSWER_LIMIT: Final = 1024 * 1024

USUAL_PORTS: Final = (("Ollama", 11434), ("llama.cpp", 8080), ("vLLM", 8000), ("LM Studio", 1234))


@dataclass(frozen=True, slots=True)
class Look:
    """One place that was looked at. ``models`` are the names it lists; empty when nothing usable is there."""

    kind: str
    base_url: str
    models: tuple[str, ...]
    found: str
    """What was found there, in words."""


def _listed(body: bytes) -> tuple[str, ...] | None:
    """The names in an answer to ``GET /v1/models``; None when it is no such answer."""
    try:
        data = json.loads(body)
        names = [entry["id"] for entry in data["data"]]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return tuple(names) if all(isinstance(name, str) and name for name in names) else None


async def _look(kind: str, port: int) -> Look:
    base_url = f"http://127.0.0.1:{port}/v1"
    # Proxies of the environment are for the world outside, not for this machine.
    async with httpx2.AsyncClient(timeout=LOOK_SECONDS, trust_env=False) as client:
        try:
            async with client.stream("GET", f"{base_url}/models") as answer:
                body = b""
                async for piece in answer.aiter_bytes():
                    body += piece
                    if len(body) > _ANSWER_LIMIT:
                        return Look(kind, base_url, (), "something that is no model server")
                status = answer.status_code
        except httpx2.ConnectError:
            return Look(kind, base_url, (), "nothing listens")
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            return Look(kind, base_url, (), f"no usable answer ({type(error).__name__})")
    names = _listed(body) if status == 200 else None
    if names is None:
        return Look(kind, base_url, (), f"something that is no model server (HTTP {status})")
    return Look(kind, base_url, names, f"{len(names)} model(s)" if names else "a server without any model loaded")


async def look_for_local_servers(
    ports: Collection[tuple[str, int]] = USUAL_PORTS, *, except_port: int | None = None
) -> list[Look]:
    """Look at every port at the same time, on 127.0.0.1 only; each takes half a second at most.

    ``except_port`` is our own.
    """
    return list(await asyncio.gather(*(_look(kind, port) for kind, port in ports if port != except_port)))


async def listens_if_here(base_url: str) -> bool | None:
    """Whether something listens at an address of this machine; None for an address elsewhere, which is not asked."""
    try:
        parts = urlsplit(base_url)
        host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
        if host != "localhost" and not ipaddress.ip_address(host).is_loopback:
            return None
    except ValueError:
        return None
    try:
        async with asyncio.timeout(LOOK_SECONDS):
            _, writer = await asyncio.open_connection(host, port)
    except OSError:  # a TimeoutError is one
        return False
    writer.close()
    return True
