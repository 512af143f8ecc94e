"""Quotas of containers hold also for those that are asked for at the same time."""

from __future__ import annotations

import asyncio

import pytest

from bathysphere.containers.container import Container
from bathysphere.containers.quotas import QuotaReached
from bathysphere.store import quotas
from tests.containers.conftest import Parts


async def test_containers_that_are_made_at_once_are_no_more_than_there_may_be(parts: Parts) -> None:
    workspace = await quotas.subject(parts.database, parts.actor.workspace_id)
    assert workspace is not None
    await quotas.change(parts.database, workspace, {"containers": 3})
    first = await parts.containers.create(parts.actor)
    made = await asyncio.gather(*(parts.containers.create(parts.actor) for _ in range(5)), return_exceptions=True)
    assert sum(isinstance(one, Container) for one in made) == 2
    assert sum(isinstance(one, QuotaReached) for one in made) == 3
    await parts.containers.delete(parts.actor, first.id)
    await parts.containers.create(parts.actor)
    with pytest.raises(QuotaReached, match="has 3 containers"):
        await parts.containers.fork(parts.actor, next(one.id for one in made if isinstance(one, Container)))
