"""The ``anthropic-beta`` header: repeated, joined by commas, or both (WIRE 0.4). Unknown ones are ignored."""

from __future__ import annotations

from starlette.datastructures import Headers


def betas(headers: Headers) -> frozenset[str]:
    """The betas that a request asks for."""
    return frozenset(
        name for line in headers.getlist("anthropic-beta") for part in line.split(",") if (name := part.strip())
    )
