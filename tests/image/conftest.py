"""The image itself, and containers to run programs in it."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from bathysphere.containers.host import Command, OutputChunk
from bathysphere.containers.local import LocalHost
from bathysphere.image.build import build
from bathysphere.image.definition import Definition
from bathysphere.image.progress import ConsoleProgress
from bathysphere.settings import Settings
from bathysphere.wire.ids import new_id
from tests.image.likeness import make_likeness

Run = Callable[[str, str], subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def definition() -> Definition:
    return Definition.load()


@pytest.fixture
def likeness(tmp_path: Path, definition: Definition) -> Path:
    return make_likeness(tmp_path / "rootfs", definition)


@pytest.fixture(scope="session")
def image_root(definition: Definition) -> Path:
    return build(definition, progress=ConsoleProgress()).root


@pytest.fixture(scope="session")
def run_inside(image_root: Path, definition: Definition, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """Runs a program's text with an interpreter (``python3`` or ``bash -eu``), each in a new container."""
    data = tmp_path_factory.mktemp("image")
    with asyncio.Runner() as runner:
        host = LocalHost(data, Settings(), image_root, definition.environment)

        def run(interpreter: str, program: str) -> subprocess.CompletedProcess[str]:
            return runner.run(_run(host, interpreter, program.encode()))

        yield run
        runner.run(host.close(stop_host=True))


async def _run(host: LocalHost, interpreter: str, program: bytes) -> subprocess.CompletedProcess[str]:
    async def content() -> AsyncIterator[bytes]:
        yield program

    container = new_id("container")
    output = {"stdout": b"", "stderr": b""}
    await host.create(container)
    try:
        await host.place(container, "program", len(program), content())
        async for item in host.execute(container, Command("bash", f'exec {interpreter} "$INPUT_DIR/program"', 300)):
            if isinstance(item, OutputChunk):
                output[item.stream] += item.data
            else:
                code = item.return_code
    finally:
        await host.delete(container)
    return subprocess.CompletedProcess([interpreter], code, output["stdout"].decode(), output["stderr"].decode())
