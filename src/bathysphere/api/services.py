"""What a running server is made of, for whoever answers a request."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends
from starlette.requests import HTTPConnection

from bathysphere.containers.containers import Containers
from bathysphere.containers.host import Host
from bathysphere.models.configured import ConfiguredModels
from bathysphere.settings import Settings
from bathysphere.store.blobs import Blobs
from bathysphere.store.database import Database


@dataclass(slots=True)
class Services:
    """Kept in ``app.state.services``."""

    settings: Settings
    database: Database
    blobs: Blobs
    host: Host
    models: ConfiguredModels
    containers: Containers


async def services(connection: HTTPConnection) -> Services:
    """The services of the application that a request came to."""
    found = connection.app.state.services
    assert isinstance(found, Services)
    return found


Serving = Annotated[Services, Depends(services)]
"""For the signature of a route: ``serving: Serving``."""
