"""A host whose containers the tests drive from outside, as the server does."""

from __future__ import annotations

import os
import socket
import subprocess
import tempfile
import time
from collections.abc import AsyncGenerator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from bathysphere.containers.host import (
    Command,
    EditorCommand,
    EditorOutcome,
    Finished,
    OutputChunk,
)
from bathysphere.containers.local import LocalHost
from bathysphere.host.configuration import Configuration
from bathysphere.image.build import build
from bathysphere.image.definition import Definition
from bathysphere.image.image import find
from bathysphere.image.progress import ConsoleProgress
from bathysphere.settings import Settings

ROOT = os.geteuid() == 0
"""Whether the strong guarantees hold; where they do not, the tests assert the weaker ones."""


@pytest.fixture(scope="session")
def image() -> Path:
    return (find() or build(Definition.load(), progress=ConsoleProgress())).root


@pytest.fixture(scope="session")
def environment() -> dict[str, str]:
    return Definition.load().environment


@dataclass(frozen=True)
class Outcome:
    stdout: str
    stderr: str
    finished: Finished

    @property
    def code(self) -> int:
        return self.finished.return_code


class Container:
    """One container, by the host's own interface."""

    def __init__(self, host: LocalHost, name: str) -> None:
        self.host = host
        self.name = name

    async def run(self, source: str, language: str = "bash", seconds: float = 60) -> Outcome:
        assert language in ("bash", "python")
        out = {"stdout": b"", "stderr": b""}
        finished = None
        command = Command("bash" if language == "bash" else "python", source, seconds)
        async for item in self.host.execute(self.name, command):
            assert finished is None
            if isinstance(item, OutputChunk):
                out[item.stream] += item.data
            else:
                finished = item
        assert finished is not None
        return Outcome(out["stdout"].decode(errors="replace"), out["stderr"].decode(errors="replace"), finished)

    async def bash(self, source: str, seconds: float = 60) -> Outcome:
        return await self.run(source, "bash", seconds)

    async def python(self, source: str, seconds: float = 60) -> Outcome:
        return await self.run(source, "python", seconds)

    async def read(self, handle: str) -> bytes:
        return b"".join([chunk async for chunk in self.host.read_output(self.name, handle)])

    async def place(self, filename: str, data: bytes) -> None:
        async def content() -> AsyncGenerator[bytes, None]:
            yield data

        await self.host.place(self.name, filename, len(data), content())

    async def view(self, path: str) -> EditorOutcome:
        return await self.host.edit(self.name, EditorCommand(command="view", path=path))


MakeHost = Callable[..., LocalHost]


def wait_for_end(data: Path) -> None:
    """Wait until no daemon serves a data directory any more: it holds the lock while it lives.

    A killed one lets go of the lock a moment before its socket.
    """
    subprocess.run(["flock", "--timeout", "60", str(data / "host" / "lock"), "true"], check=True)
    while True:
        with socket.socket(socket.AF_UNIX) as probe:
            try:
                probe.connect(str(data / "host" / "host.sock"))
            except OSError:
                return
        time.sleep(0.01)


@pytest.fixture(scope="session")
def data() -> Iterator[Path]:
    """The data directory of the daemon that most tests share."""
    with tempfile.TemporaryDirectory(prefix="bathysphere-test-") as folder:
        yield Path(folder)
        wait_for_end(Path(folder))
        assert groups_left(Path(folder)) == []
        assert processes_of(Path(folder)) == []


def settings_of(**tables: dict[str, object]) -> Settings:
    """Settings with short waits, so that a forgotten daemon ends itself soon, and with nothing started ahead."""
    tables.setdefault("host", {})
    tables["host"].setdefault("linger_seconds", 2)
    tables["host"].setdefault("pool", 0)
    return Settings.model_validate(tables)


@pytest.fixture
async def make_host(image: Path, environment: dict[str, str], tmp_path: Path) -> AsyncGenerator[MakeHost, None]:
    """Hosts with settings and a data directory of their own; their daemons end with the test."""
    made: list[LocalHost] = []

    def make(data: Path | None = None, **tables: dict[str, object]) -> LocalHost:
        host = LocalHost(data or tmp_path / "data", settings_of(**tables), image, environment)
        made.append(host)
        return host

    yield make
    for host in made:
        await host.close(stop_host=True)


@pytest.fixture
async def host(image: Path, environment: dict[str, str], data: Path) -> AsyncGenerator[LocalHost, None]:
    """A host with small limits, shared with other tests."""
    limits: dict[str, object] = {
        "memory_bytes": 256 * 1024 * 1024,
        "processes": 64,
        "captured_files": 5,
        "captured_file_bytes": 10_000_000,
        "captured_bytes": 25_000_000,
    }
    host = LocalHost(data, settings_of(sandbox=limits), image, environment)
    yield host
    await host.close()


@pytest.fixture
async def container(host: LocalHost) -> AsyncGenerator[Container, None]:
    name = f"container_{os.urandom(8).hex()}"
    await host.create(name)
    yield Container(host, name)
    await host.delete(name)


@pytest.fixture
async def other(host: LocalHost) -> AsyncGenerator[Container, None]:
    """A second container of the same host."""
    name = f"container_{os.urandom(8).hex()}"
    await host.create(name)
    yield Container(host, name)
    await host.delete(name)


def group_of(data: Path) -> str:
    """The name of a daemon's control group."""
    return Configuration(data=data, image=data, environment={}, limits=Settings().sandbox, host=Settings().host).name


def groups_left(data: Path) -> list[Path]:
    """The control groups that exist for a data directory."""
    name = group_of(data)
    # Groups of others come and go meanwhile, which this walk does not mind.
    return [Path(place, name) for place, folders, _files in os.walk("/sys/fs/cgroup") if name in folders]


def processes_of(data: Path) -> list[int]:
    """Processes, in whatever mount namespace, to which a part of the data directory is shown."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                if str(data).encode() in (entry / "mountinfo").read_bytes():
                    found.append(int(entry.name))
            except OSError:
                continue
    return found
