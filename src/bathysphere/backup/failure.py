"""What can go wrong, in words for an operator."""

from __future__ import annotations


class BackupError(Exception):
    """A backup cannot be made or restored; the message says why and what to do. Nothing half-made is left."""
