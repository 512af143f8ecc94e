"""What one client was told: containers with their files, and files of the Files API."""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.crash.content import Content, Files


@dataclass(slots=True)
class Book:
    """One container that its client knows."""

    id: str
    files: Files = field(default_factory=dict)
    doomed: bool = False
    """Its deletion was asked for and not acknowledged: it may be there or not."""


@dataclass(slots=True)
class Ledger:
    """See the module."""

    containers: dict[str, Book] = field(default_factory=dict)
    deleted: set[str] = field(default_factory=set)
    untold: list[Files] = field(default_factory=list)
    """Containers that may have been made without their client being told, with what they may hold."""
    uploads: dict[str, Content] = field(default_factory=dict)
    """Files of the Files API: id -> content."""
    doomed_uploads: set[str] = field(default_factory=set)
    deleted_uploads: set[str] = field(default_factory=set)
    violations: list[str] = field(default_factory=list)
    """What was wrong while it worked."""
    acknowledged: dict[str, int] = field(default_factory=dict)
    """Kind of work -> how often it was acknowledged."""
    unacknowledged: dict[str, int] = field(default_factory=dict)
