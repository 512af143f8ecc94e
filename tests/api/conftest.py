"""A real server over the routes under test, on a free port of the loopback."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest

from bathysphere.store import keys, workspaces
from bathysphere.store.database import Database


@dataclass
class Server:
    """A running server, its process, its data directory and a key."""

    url: str
    pid: int
    data: Path
    key: str
    process: subprocess.Popen[bytes]

    def client(self, key: str | None = None, beta: str | None = None) -> httpx2.Client:
        """A client with a key; of the older shape with ``beta``."""
        headers = {"x-api-key": key or self.key}
        if beta is not None:
            headers["anthropic-beta"] = beta
        # Plain HTTP: loading the certificates of the world takes longer than most tests.
        return httpx2.Client(base_url=self.url, headers=headers, timeout=60, verify=False)

    def new_key(self, workspace: str) -> str:
        """A key of a workspace, made while the server runs."""
        return make_key(self.data, workspace)


def make_key(data: Path, workspace: str) -> str:
    async def make() -> str:
        database = await Database.open(data)
        try:
            _, secret = await keys.create(database, await workspaces.named(database, workspace), "test")
        finally:
            await database.close()
        return secret

    return asyncio.run(make())


class Start:
    """Starts servers; all of them end with the stack."""

    def __init__(self, stack: ExitStack, directories: pytest.TempPathFactory) -> None:
        self._stack = stack
        self._directories = directories

    def __call__(self, data: Path | None = None, file_size_limit: int | None = None, **limits: int) -> Server:
        """A server of its own, on ``data`` if given; ``limits`` are those of the settings.

        ``file_size_limit``: no file of the process may grow beyond it, in bytes; to the server that is a full disk.
        """
        data = data or self._directories.mktemp("data")
        key = make_key(data, "default")
        listener = socket.create_server(("127.0.0.1", 0))
        port = listener.getsockname()[1]
        settings = data / "test.toml"
        settings.write_text("[limits]\n" + "".join(f"{name} = {value}\n" for name, value in limits.items()))
        command = [sys.executable, "-m", "tests.api.files_server", str(data), str(settings), str(listener.fileno())]
        if file_size_limit is not None:
            command = ["prlimit", f"--fsize={file_size_limit}", *command]
        process = subprocess.Popen(
            command,
            pass_fds=[listener.fileno()],
            cwd=Path(__file__).parents[2],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        listener.close()
        self._stack.callback(process.wait)
        self._stack.callback(process.kill)
        server = Server(f"http://127.0.0.1:{port}", process.pid, data, key, process)
        wait_until_ready(server)
        return server


@pytest.fixture
def start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    """For tests that need a server of their own; it ends with the test."""
    with ExitStack() as stack:
        yield Start(stack, tmp_path_factory)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One for all tests that leave others alone."""
    with ExitStack() as stack:
        yield Start(stack, tmp_path_factory)()


def wait_until_ready(server: Server) -> None:
    """The listener is open from the start, so the first request simply waits; a dead server refuses it."""
    while True:
        assert server.process.poll() is None, "the server ended"
        try:
            httpx2.get(f"{server.url}/ready", timeout=30)
            return
        except httpx2.TransportError:
            time.sleep(0.05)
