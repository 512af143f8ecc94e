"""The examples run against a real server."""

from tests.server import server

__all__ = ["server"]
