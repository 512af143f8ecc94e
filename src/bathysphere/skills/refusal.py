"""Why something is no skill."""

from __future__ import annotations

from typing import Final

_SHOWN: Final = 120


class BadSkill(Exception):
    """It cannot be used as a skill; ``str(error)`` names the file, the line where there is one, and what is wrong."""


def quoted(text: str) -> str:
    """Text of unknown origin, for a message: in quotes, without what could break out of a line, and not too long."""
    shown = text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"
    return ascii(shown) if any(not c.isprintable() for c in shown) else f"'{shown}'"
