"""A container of the usual image with our own skills in it, in which scripts are run."""

from __future__ import annotations

import asyncio
import io
import itertools
import subprocess
import tarfile
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

OWN = Path(__file__).parents[2] / "src" / "bathysphere" / "skills" / "own"
PROGRAMS = Path(__file__).with_name("programs")

Shell = Callable[[str], subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    """Runs lines of bash in a folder of their own. $PPTX and $DOCX are scripts, $PROGRAMS is programs/."""
    definition = Definition.load()
    image = build(definition, progress=ConsoleProgress())
    numbers = itertools.count()
    begin = "export PPTX=/tmp/skills/pptx/scripts DOCX=/tmp/skills/docx/scripts PROGRAMS=/tmp/programs"
    with asyncio.Runner() as runner:
        host = LocalHost(tmp_path_factory.mktemp("skills"), Settings(), image.root, definition.environment)
        container = new_id("container")

        def run(lines: str) -> subprocess.CompletedProcess[str]:
            folder = f"/tmp/{next(numbers)}"
            return runner.run(_execute(host, container, f"{begin}; mkdir {folder}; cd {folder}\n{lines}"))

        runner.run(_prepare(host, container))
        assert run("tar --extract --file $INPUT_DIR/own.tar --directory /tmp").returncode == 0
        yield run
        runner.run(host.close(stop_host=True))


async def _prepare(host: LocalHost, container: str) -> None:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        tar.add(OWN, "skills", filter=lambda member: None if "__pycache__" in member.name else member)
        tar.add(PROGRAMS, "programs", filter=lambda member: None if "__pycache__" in member.name else member)

    async def content() -> AsyncIterator[bytes]:
        yield archive.getvalue()

    await host.create(container)
    await host.place(container, "own.tar", len(archive.getvalue()), content())


async def _execute(host: LocalHost, container: str, lines: str) -> subprocess.CompletedProcess[str]:
    output = {"stdout": b"", "stderr": b""}
    async for item in host.execute(container, Command("bash", lines, 120)):
        if isinstance(item, OutputChunk):
            output[item.stream] += item.data
        else:
            code = item.return_code
    return subprocess.CompletedProcess(lines, code, output["stdout"].decode(), output["stderr"].decode())
