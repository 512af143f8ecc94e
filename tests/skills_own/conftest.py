"""One container with our own skills, in which the tests of this folder run programs as a model would."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import AsyncGenerator, Callable, Iterator

import pytest

from bathysphere.api.own_skills import BROUGHT_ALONG
from bathysphere.containers.host import Command, OutputChunk, SkillEntry, SkillFolder
from bathysphere.containers.local import LocalHost
from bathysphere.image.build import build
from bathysphere.image.definition import Definition
from bathysphere.image.progress import ConsoleProgress
from bathysphere.settings import Settings
from bathysphere.skills.archive import archived
from bathysphere.skills.bundle import Bounds
from bathysphere.skills.folder import read_folder
from bathysphere.wire.ids import new_id

Run = Callable[..., subprocess.CompletedProcess[str]]
BOUNDS = Bounds(total_bytes=30_000_000, files=1000)


def skill(name: str) -> SkillFolder:
    """One of our skills, as the server gives it to a container."""
    bundle = read_folder(BROUGHT_ALONG / name, BOUNDS)
    files = sorted(bundle.files, key=lambda file: file.path)

    async def content() -> AsyncGenerator[bytes, None]:
        for file in files:
            yield file.content

    entries = tuple(SkillEntry(file.path, len(file.content), file.executable) for file in files)
    return SkillFolder(name, archived(files).digest, entries, content)


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """Runs a bash command in the container. ``check=0`` is the exit status that it must have; None allows any."""
    definition = Definition.load()
    root = build(definition, progress=ConsoleProgress()).root
    with asyncio.Runner() as runner:
        host = LocalHost(tmp_path_factory.mktemp("own-skills"), Settings(), root, definition.environment)
        container = new_id("container")

        async def start() -> None:
            await host.create(container)
            await host.set_skills(container, [skill(path.name) for path in sorted(BROUGHT_ALONG.iterdir())])

        async def execute(command: str) -> subprocess.CompletedProcess[str]:
            output = {"stdout": b"", "stderr": b""}
            async for item in host.execute(container, Command("bash", command, 120)):
                if isinstance(item, OutputChunk):
                    output[item.stream] += item.data
                else:
                    code = item.return_code
            return subprocess.CompletedProcess(command, code, output["stdout"].decode(), output["stderr"].decode())

        def run(command: str, check: int | None = 0) -> subprocess.CompletedProcess[str]:
            done = runner.run(execute(command))
            assert check is None or done.returncode == check, done.stdout + done.stderr
            return done

        runner.run(start())
        yield run
        runner.run(host.close(stop_host=True))
