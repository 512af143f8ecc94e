"""A container of the usual image with our own skills in it, in which programs are run as a model would."""

from __future__ import annotations

import asyncio
import io
import itertools
import subprocess
import tarfile
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

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

OWN = Path(__file__).parents[2] / "src" / "bathysphere" / "skills" / "own"
PROGRAMS = Path(__file__).with_name("programs")
BOUNDS = Bounds(total_bytes=30_000_000, files=1000)

Shell = Callable[[str], subprocess.CompletedProcess[str]]
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    """Runs lines of bash in a folder of their own. $PPTX and $DOCX are scripts, $PROGRAMS is programs/."""
    definition = Definition.load()
    image = build(definition, progress=ConsoleProgress())
    numbers = itertools.count()
    begin = "export PPTX=/skills/pptx/scripts DOCX=/skills/docx/scripts PROGRAMS=/tmp/programs"
    with asyncio.Runner() as runner:
        host = LocalHost(tmp_path_factory.mktemp("skills"), Settings(), image.root, definition.environment)
        container = new_id("container")

        def run(lines: str) -> subprocess.CompletedProcess[str]:
            folder = f"/tmp/{next(numbers)}"
            return runner.run(_execute(host, container, f"{begin}; mkdir {folder}; cd {folder}\n{lines}"))

        runner.run(_prepare(host, container))
        prepared = run("tar --extract --file $INPUT_DIR/programs.tar --directory /tmp && ln -s /skills /tmp/skills")
        assert prepared.returncode == 0
        yield run
        runner.run(host.close(stop_host=True))


@pytest.fixture(scope="session")
def run(shell: Shell) -> Run:
    """The same, with ``check``: the exit status that the lines must have; None allows any."""

    def run(lines: str, check: int | None = 0) -> subprocess.CompletedProcess[str]:
        done = shell(lines)
        assert check is None or done.returncode == check, done.stdout + done.stderr
        return done

    return run


async def _prepare(host: LocalHost, container: str) -> None:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        tar.add(PROGRAMS, "programs", filter=lambda member: None if "__pycache__" in member.name else member)

    async def content() -> AsyncIterator[bytes]:
        yield archive.getvalue()

    await host.create(container)
    await host.set_skills(container, [_skill(folder) for folder in sorted(OWN.iterdir())])
    await host.place(container, "programs.tar", len(archive.getvalue()), content())


def _skill(folder: Path) -> SkillFolder:
    """A skill as the server gives it to a container: its files one after the other, in the order of their paths."""
    bundle = read_folder(folder, BOUNDS)
    files = sorted(bundle.files, key=lambda file: file.path)

    async def content() -> AsyncGenerator[bytes, None]:
        for file in files:
            yield file.content

    entries = tuple(SkillEntry(file.path, len(file.content), file.executable) for file in files)
    return SkillFolder(bundle.name, archived(bundle.files).digest, entries, content)


async def _execute(host: LocalHost, container: str, lines: str) -> subprocess.CompletedProcess[str]:
    output = {"stdout": b"", "stderr": b""}
    async for item in host.execute(container, Command("bash", lines, 120)):
        if isinstance(item, OutputChunk):
            output[item.stream] += item.data
        else:
            code = item.return_code
    return subprocess.CompletedProcess(lines, code, output["stdout"].decode(), output["stderr"].decode())
