"""The application: what a server is made of, put together."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from bathysphere import __version__
from bathysphere.api import (
    batches,
    container_files,
    container_run,
    containers,
    count_tokens,
    files,
    health,
    messages,
    models,
    openapi,
    skill_versions,
    skills,
)
from bathysphere.api.admin import api_keys, cost_report, organization, quotas, usage_report, workspaces
from bathysphere.api.body_encoding import BodyEncoding
from bathysphere.api.body_limit import BodyLimit
from bathysphere.api.errors import install
from bathysphere.api.services import Services


def create_app(services: Services) -> FastAPI:
    """The ASGI application over services that the caller has opened, and closes after it.

    It answers the Messages, Message Batches, Models, Files, Skills and Containers APIs, and ``GET /health`` and
    ``GET /ready`` without a key.
    It answers the Messages, Message Batches, Models, Files, Skills, Containers and Admin APIs, and ``GET /health``
    without a key.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.services = services
        yield

    # No pages without a key: those of FastAPI also load scripts from elsewhere.
    app = FastAPI(
        title="bathysphere",
        version=__version__,
        lifespan=lifespan,
        openapi_url=None,
        generate_unique_id_function=lambda route: route.name,
    )
    app.state.services = services
    # Looked through in this order for each request; where a model answers, the time for that is nothing.
    for part in (
        container_run,
        containers,
        container_files,
        files,
        skills,
        skill_versions,
        messages,
        batches,
        count_tokens,
        models,
        openapi,
        health,
        organization,
        workspaces,
        api_keys,
        usage_report,
        cost_report,
        quotas,
    ):
        app.include_router(part.router)
    # The one that is added last comes first: what is received is bounded, and what it is inflated to.
    for bound in (BodyEncoding, BodyLimit):
        app.add_middleware(
            bound,
            limit_bytes=services.settings.limits.request_bytes,
            streamed=f"/v1/files|{batches.PREFIX}|{container_files.STREAMED}|{skills.STREAMED}",
        )
    install(app, services.tracing)
    return app
