"""A server whose models are upstreams on loopback, played by the test."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.models.scripted_upstream import ScriptedUpstream
from tests.server import Server, running_server

BACKENDS = ("anthropic", "openai")


@dataclass(frozen=True)
class Upstreams:
    """``server`` sends the model ``via-anthropic`` and ``via-openai`` to ``upstream`` in the protocol of that name."""

    server: Server
    upstream: ScriptedUpstream


@pytest.fixture(scope="session")
def upstreams_of_the_session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Upstreams]:
    with ScriptedUpstream() as upstream:
        common = {"api_key_env": "UPSTREAM_KEY", "model": "upstream-model"}
        models = [
            {"match": "via-anthropic", "backend": "anthropic", "base_url": upstream.url, **common},
            {"match": "via-openai", "backend": "openai", "base_url": upstream.openai_url, **common},
        ]
        folder = tmp_path_factory.mktemp("upstream-server")
        with running_server(folder, models, environment={"UPSTREAM_KEY": "key-of-the-operator"}) as server:
            yield Upstreams(server, upstream)


@pytest.fixture
def upstreams(upstreams_of_the_session: Upstreams) -> Upstreams:
    """The upstreams with an empty script and no recorded requests."""
    upstreams_of_the_session.upstream.clear()
    return upstreams_of_the_session


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> str:
    """Each backend that speaks to an upstream of its own protocol."""
    name: str = request.param
    return name
