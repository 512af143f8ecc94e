"""The address under which a client reaches this server, for URLs in answers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from ipaddress import ip_address, ip_network
from typing import Final

from fastapi import Request

from bathysphere.settings import BatchSettings

_HOST: Final = re.compile(r"[A-Za-z0-9._-]{1,253}(:[0-9]{1,5})?|\[[0-9A-Fa-f:.]{2,45}\](:[0-9]{1,5})?", re.ASCII)


def public_url(request: Request, path: str, settings: BatchSettings) -> str:
    """The path as an absolute URL: below ``base_url`` where that is set, else as the client came here.

    What proxies say of that (``X-Forwarded-Proto``, ``X-Forwarded-Host``) counts only from trusted ones. The path
    alone, which SDKs join to their own base URL, when the client gave no name for this server (WIRE f).
    """
    if settings.base_url is not None:
        return settings.base_url.rstrip("/") + path
    scheme = request.url.scheme
    host = request.headers.get("host", "")
    if _trusted(request, settings.trusted_proxies):
        # Each proxy on the way adds its own: the first is the one the client spoke to.
        said = request.headers.get("x-forwarded-proto", "").split(",")[0].strip().lower()
        scheme = said if said in ("http", "https") else scheme
        host = request.headers.get("x-forwarded-host", "").split(",")[0].strip() or host
    return f"{scheme}://{host}{path}" if _HOST.fullmatch(host) else path


def _trusted(request: Request, proxies: Sequence[str]) -> bool:
    try:
        peer = ip_address(request.client.host if request.client is not None else "")
    except ValueError:
        return False
    return any(peer in ip_network(network) for network in proxies)
