"""Fixtures of the whole suite."""

from tests.server import server

__all__ = ["server"]
