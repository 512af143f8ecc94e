"""A server whose models are upstreams on loopback, played by the test."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.models.scripted_upstream import ScriptedUpstream
from tests.server import Server, running_server

BACKENDS = ("anthropic", "openai")


@dataclass(frozen=True)
class Upstreams:
    """``server`` sends the model ``via-anthropic`` and ``via-openai`` to ``upstream`` in the protocol of that name."""

    server: Server
    upstream: ScriptedUpstream


@contextmanager
def serving(
    folder: Path,
    tables: Mapping[str, Mapping[str, Any]] | None = None,
    more: Sequence[Mapping[str, Any]] = (),
) -> Iterator[Upstreams]:
    """A server with upstreams, and ``tables`` and ``more`` models in its configuration."""
    with ScriptedUpstream() as upstream:
        common = {"api_key_env": "UPSTREAM_KEY", "model": "upstream-model"}
        models = [
            {"match": "via-anthropic", "backend": "anthropic", "base_url": upstream.url, **common},
            {"match": "via-openai", "backend": "openai", "base_url": upstream.openai_url, **common},
        ]
        with running_server(
            folder, [*models, *more], tables, environment={"UPSTREAM_KEY": "key-of-the-operator"}
        ) as server:
            yield Upstreams(server, upstream)


@pytest.fixture(scope="session")
def upstreams_of_the_session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Upstreams]:
    with serving(tmp_path_factory.mktemp("upstream-server")) as upstreams:
        yield upstreams


@pytest.fixture
def upstreams(upstreams_of_the_session: Upstreams) -> Upstreams:
    """The upstreams with an empty script and no recorded requests."""
    upstream = upstreams_of_the_session.upstream
    upstream.requests.clear()
    upstream.respond = None
    upstream.clear()
    return upstreams_of_the_session


@pytest.fixture
def upstreams_with_short_limit(tmp_path: Path) -> Iterator[Upstreams]:
    """Calls may run five seconds and take 512 MiB."""
    with serving(tmp_path, {"sandbox": {"command_seconds": 5, "memory_bytes": 512 * 1024 * 1024}}) as upstreams:
        yield upstreams


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> str:
    """Each backend that speaks to an upstream of its own protocol."""
    name: str = request.param
    return name
