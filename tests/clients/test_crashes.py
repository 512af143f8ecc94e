"""Processes that are killed in the middle of work: nothing of a container is lost, nothing is left behind."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.clients.asking import ask, post, question
from tests.seeds import expectations
from tests.server import Server, running_server, start_again

# Written with a name that no other process of the machine has on its command line.
LONG = "touch begun; sleep 54321; echo late > late.txt"


@pytest.fixture
def lingering(tmp_path: Path) -> Iterator[Server]:
    """A server whose host daemon outlives it for a while."""
    with running_server(tmp_path, tables={"host": {"linger_seconds": 120}}) as server:
        yield server


def bash(command: str) -> str:
    return f"```bash\n{command}\n```"


def kept_container(server: Server) -> str:
    message = ask(server, bash("echo kept > kept.txt"))
    name: str = message["container"]["id"]
    return name


def read_back(server: Server, container: str) -> str:
    message = ask(server, bash("cat kept.txt; ls"), container=container)
    return expectations.output(message)


def sleeping(server: Server) -> int:
    """The pid of the long command, as soon as it runs."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        for pid, command in server.processes().items():
            if command.startswith("sleep 54321"):
                return pid
        time.sleep(0.02)
    raise AssertionError("the command did not start")


def gone(server: Server, pid: int) -> bool:
    deadline = time.monotonic() + 60
    while pid in server.processes():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


class InBackground(threading.Thread):
    """A request that is under way."""

    def __init__(self, server: Server, body: dict[str, Any]) -> None:
        super().__init__(daemon=True)
        self.outcome: Any = None
        self._server, self._body = server, body
        self.start()

    def run(self) -> None:
        try:
            self.outcome = post(self._server, "/v1/messages", self._body)
        except Exception as error:
            self.outcome = error

    def result(self) -> Any:
        self.join(120)
        assert not self.is_alive(), "the request has no end"
        return self.outcome


def test_a_killed_server_comes_back_to_its_containers(lingering: Server) -> None:
    container = kept_container(lingering)
    daemon = lingering.daemon_pid()
    request = InBackground(lingering, question(bash(LONG), container=container))
    sleeper = sleeping(lingering)

    lingering.kill()
    assert isinstance(request.result(), OSError)
    assert gone(lingering, sleeper), "a command that nobody waits for is ended"
    assert daemon in lingering.processes(), "the host lives on"

    start_again(lingering)
    assert lingering.daemon_pid() == daemon, "the running host was adopted"
    assert read_back(lingering, container).splitlines() == ["kept", "begun", "kept.txt"]


def test_a_killed_host_is_told_and_its_containers_come_back(lingering: Server) -> None:
    container = kept_container(lingering)
    daemon = lingering.daemon_pid()
    request = InBackground(lingering, question(bash(LONG), container=container))
    sleeper = sleeping(lingering)

    os.kill(daemon, signal.SIGKILL)
    answer = request.result()
    assert answer.status == 200
    (result,) = expectations.results(answer.json())
    assert result == {"type": "bash_code_execution_tool_result_error", "error_code": "unavailable"}
    assert gone(lingering, sleeper), "no sandbox outlives its host"

    assert read_back(lingering, container).splitlines() == ["kept", "begun", "kept.txt"]
    assert lingering.daemon_pid() != daemon


def test_a_killed_sandbox_is_told_and_comes_back(lingering: Server) -> None:
    container = kept_container(lingering)
    request = InBackground(lingering, question(bash(LONG), container=container))
    sleeping(lingering)
    guest = next(
        pid for pid, command in lingering.processes().items() if "/guest/" in command and "bwrap" not in command
    )

    os.kill(guest, signal.SIGKILL)
    (result,) = expectations.results(request.result().json())
    assert result["error_code"] == "unavailable"
    assert read_back(lingering, container).splitlines() == ["kept", "begun", "kept.txt"]


def test_a_killed_server_leaves_a_host_that_ends_by_itself(tmp_path: Path) -> None:
    with running_server(tmp_path) as server:
        kept_container(server)
        daemon = server.daemon_pid()
        server.kill()
        assert gone(server, daemon)
        assert server.processes() == {}
        start_again(server)
