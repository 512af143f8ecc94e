"""Quotas of containers hold also for those that are asked for at the same time."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from bathysphere.containers.container import Container
from bathysphere.containers.quotas import QuotaReached
from bathysphere.store import keys, quotas, workspaces
from tests.containers.conftest import Parts


@pytest.mark.parametrize("kind", ["organization", "workspace", "key"])
async def test_containers_that_are_made_at_once_are_no_more_than_there_may_be(parts: Parts, kind: str) -> None:
    workspace = await workspaces.default(parts.database)
    key, _ = await keys.create(parts.database, workspace, "laptop")
    parts.actor = replace(parts.actor, api_key_id=key.id)
    ids = {"organization": workspace.organization_id, "workspace": workspace.id, "key": key.id}
    subject = await quotas.subject(parts.database, ids[kind])
    assert subject is not None
    await quotas.change(parts.database, subject, {"containers": 3})
    first = await parts.containers.create(parts.actor)
    made = await asyncio.gather(*(parts.containers.create(parts.actor) for _ in range(5)), return_exceptions=True)
    assert sum(isinstance(one, Container) for one in made) == 2
    assert sum(isinstance(one, QuotaReached) for one in made) == 3
    await parts.containers.delete(parts.actor, first.id)
    await parts.containers.create(parts.actor)
    with pytest.raises(QuotaReached, match="has 3 containers"):
        await parts.containers.fork(parts.actor, next(one.id for one in made if isinstance(one, Container)))
