"""The Files, Skills and Admin APIs alone, as the tests run them.

``python -m tests.api.files_server DATA SETTINGS DESCRIPTOR``
"""

from __future__ import annotations

import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated

import uvicorn
from fastapi import APIRouter, Body, FastAPI
from pydantic import BaseModel, Field
from starlette.responses import StreamingResponse

from bathysphere.api import errors, files, skill_versions, skills
from bathysphere.api.admin import api_keys, cost_report, organization, quotas, usage_report, workspaces
from bathysphere.api.auth import Caller, ProtectedRoute
from bathysphere.api.services import Storage
from bathysphere.settings import Settings
from bathysphere.store.blobs_local import LocalBlobs
from bathysphere.store.database import Database
from bathysphere.store.sweep import sweep
from bathysphere.wire.errors import Overloaded


class Block(BaseModel):
    type: str
    text: Annotated[str, Field(min_length=1)]


class Question(BaseModel):
    model_config = {"extra": "forbid"}

    max_tokens: int
    content: str | list[Block]


def application(data: Path, settings: Settings) -> FastAPI:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        database = await Database.open(data)
        blobs = await LocalBlobs.open_folder(data / "blobs")
        await sweep(database, blobs)
        app.state.services = Storage(settings, database, blobs)
        yield
        await database.close()

    app = FastAPI(lifespan=lifespan)
    admin = (organization, workspaces, api_keys, usage_report, cost_report, quotas)
    for part in (files, skills, skill_versions, *admin):
        app.include_router(part.router)
    errors.install(app)

    protected = APIRouter(route_class=ProtectedRoute)

    @protected.post("/question")
    async def question(body: Annotated[Question, Body()], caller: Caller) -> str:
        return caller.workspace_id

    app.include_router(protected)

    @app.get("/broken")
    async def broken() -> None:
        raise RuntimeError("the launch code is 0000")

    @app.get("/busy")
    async def busy() -> None:
        raise Overloaded("come back later", retry_after_seconds=1.2, should_retry=True)

    @app.get("/breaks-halfway")
    async def breaks_halfway() -> StreamingResponse:
        async def body() -> AsyncIterator[bytes]:
            yield b"begun"
            raise RuntimeError("the launch code is 0000")

        return StreamingResponse(body())

    return app


if __name__ == "__main__":
    _, data, settings, descriptor = sys.argv
    app = application(Path(data), Settings.load(Path(settings)))
    # Not ``fd=``: that takes the listener for a Unix socket, and leaves Nagle's algorithm on.
    listener = socket.socket(fileno=int(descriptor))
    uvicorn.Server(uvicorn.Config(app, log_level="warning")).run(sockets=[listener])
