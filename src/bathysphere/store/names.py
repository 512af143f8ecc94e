"""Names that people give to organisations, workspaces and keys."""

from __future__ import annotations

from typing import Final

_CHARACTERS: Final = 200


class UnusableName(ValueError):
    """A name that is empty, too long or not printable; the message says which."""


def check_name(name: str) -> None:
    """Raises UnusableName for what cannot name any of them."""
    if not name.strip():
        raise UnusableName("a name cannot be empty")
    if len(name) > _CHARACTERS:
        raise UnusableName(f"a name has at most {_CHARACTERS} characters, this one has {len(name)}")
    if not name.isprintable():
        raise UnusableName("a name holds printable characters only")
