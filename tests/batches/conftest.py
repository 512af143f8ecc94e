"""Servers for batches."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients.conftest import Upstreams, serving
from tests.server import Server, running_server


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One with the demo model, and small limits of what comes in."""
    tables = {"batches": {"requests": 50, "waiting_requests": 60}, "limits": {"request_bytes": 100_000}}
    with running_server(tmp_path_factory.mktemp("batches"), tables=tables) as running:
        yield running


@pytest.fixture(scope="session")
def taking(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One without workers: what comes in stays as it is."""
    tables = {"batches": {"workers": 0, "requests": 100_000, "request_bytes": 1_000_000}}
    with running_server(tmp_path_factory.mktemp("taking"), tables=tables) as running:
        yield running


@pytest.fixture
def upstreams(tmp_path: Path) -> Iterator[Upstreams]:
    """A scripted upstream; one worker, so that its answers come in order, and two samplings for a request."""
    with serving(tmp_path, {"batches": {"workers": 1, "max_iterations": 2}, "turn": {"max_iterations": 1}}) as running:
        yield running
