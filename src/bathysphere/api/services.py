"""What a running server is made of, for whoever answers a request."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import anyio
from fastapi import Depends
from starlette.requests import HTTPConnection

from bathysphere.api.draining import Draining
from bathysphere.api.own_skills import Loaded
from bathysphere.api.rate_limits import RateLimits
from bathysphere.api.readiness import Readiness
from bathysphere.api.retries import Retries
from bathysphere.containers.containers import Containers
from bathysphere.containers.host import Host
from bathysphere.models.configured import ConfiguredModels
from bathysphere.settings import Settings
from bathysphere.store.blobs import Blobs
from bathysphere.store.database import Database
from bathysphere.telemetry.tracing import Tracing


@dataclass(slots=True)
class Storage:
    """What files, batches and keys need, and all that they need."""

    settings: Settings
    database: Database
    blobs: Blobs
    batches_waiting: asyncio.Event = field(default_factory=asyncio.Event, kw_only=True)
    """Set when a batch has come in."""
    draining: Draining = field(default_factory=Draining, kw_only=True)
    """How the server ends."""
    skill_checks: anyio.CapacityLimiter = field(default_factory=lambda: anyio.CapacityLimiter(4), kw_only=True)
    """How many skills are unpacked and checked at a time: each may take a hundred megabytes meanwhile."""


@dataclass(slots=True)
class Services(Storage):
    """Everything. Kept in ``app.state.services``."""

    host: Host
    models: ConfiguredModels
    containers: Containers
    retries: Retries
    rate_limits: RateLimits
    readiness: Readiness = field(kw_only=True)
    store: Path = field(kw_only=True)
    """The server's part of the data directory."""
    tracing: Tracing | None = field(default=None, kw_only=True)
    """None when nobody has said where traces should go."""
    own_skills: Loaded = field(default_factory=Loaded, kw_only=True)
    """Those that come with the server, as they were loaded at its start."""
    operators_skills: Loaded = field(default_factory=Loaded, kw_only=True)
    """Those in the operator's folder."""


async def storage(connection: HTTPConnection) -> Storage:
    """The storage of the application that a request came to."""
    found = connection.app.state.services
    assert isinstance(found, Storage)
    return found


async def services(connection: HTTPConnection) -> Services:
    """The services of the application that a request came to."""
    found = connection.app.state.services
    assert isinstance(found, Services)
    return found


Storing = Annotated[Storage, Depends(storage)]
"""For the signature of a route: ``storing: Storing``."""

Serving = Annotated[Services, Depends(services)]
"""For the signature of a route: ``serving: Serving``."""
