"""The Files API alone, as the tests run it: ``python -m tests.api.files_server DATA SETTINGS DESCRIPTOR``."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated

import uvicorn
from fastapi import Body, FastAPI
from pydantic import BaseModel, Field
from starlette.responses import StreamingResponse

from bathysphere.api import errors, files
from bathysphere.api.auth import Caller
from bathysphere.api.services import Services
from bathysphere.containers.containers import Containers
from bathysphere.containers.local import LocalHost
from bathysphere.models.configured import ConfiguredModels
from bathysphere.settings import ModelSettings, Settings
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
        # A host that is never called is never started.
        host = LocalHost(data, settings, data / "image")
        models = await ConfiguredModels.open((ModelSettings(backend="demo"),))
        containers = Containers(database, blobs, host, settings)
        app.state.services = Services(settings, database, blobs, host, models, containers)
        yield
        await database.close()

    app = FastAPI(lifespan=lifespan)
    app.include_router(files.router)
    errors.install(app)

    @app.post("/question")
    async def question(body: Annotated[Question, Body()], caller: Caller) -> str:
        return "fine"

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
    uvicorn.run(app, fd=int(descriptor), log_level="warning")
