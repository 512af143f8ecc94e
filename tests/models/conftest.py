"""Fixtures of the models' tests; other rooms import ``ScriptedUpstream`` itself."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.models.scripted_upstream import ScriptedUpstream


@pytest.fixture
def upstream() -> Iterator[ScriptedUpstream]:
    """A model server on loopback that plays what the test tells it to."""
    with ScriptedUpstream() as server:
        yield server
