"""What the processes of a server may do: as root only the keeper and the daemon keep privileges, and few."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from bathysphere.host.privileges import DAEMON
from bathysphere.settings import HostSettings
from tests.server import Server, running_server, start_again

ROOT = os.geteuid() == 0


def status(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[Server]:
    with running_server(tmp_path) as server:
        yield server


def ask(server: Server, command: str, container: str | None = None) -> tuple[str, str]:
    """Run a command through the demo model: the container, and what it printed."""
    answer = httpx2.post(
        f"{server.base_url}/v1/messages",
        headers={"x-api-key": server.key},
        json={
            "model": "demo",
            "max_tokens": 1000,
            "container": container,
            "tools": [{"type": "code_execution_20250825", "name": "code_execution"}],
            "messages": [{"role": "user", "content": f"```bash\n{command}\n```"}],
        },
        timeout=60,
    ).raise_for_status()
    message = answer.json()
    (result,) = (b for b in message["content"] if b["type"] == "bash_code_execution_tool_result")
    return message["container"]["id"], result["content"]["stdout"]


def test_who_speaks_http_is_nobody(server: Server) -> None:
    own = status(server.pid)
    uid = str(HostSettings().server_uid if ROOT else os.geteuid())
    assert own["Uid"].split() == [uid] * 4
    assert own["CapEff"] == own["CapPrm"] == own["CapInh"] == "0" * 16
    if ROOT:
        assert own["Gid"].split() == [uid] * 4
        assert own["Groups"] == ""
        assert own["NoNewPrivs"] == "1"


def test_the_others_keep_what_they_need(server: Server) -> None:
    allowed = sum(1 << capability for capability in DAEMON) if ROOT else 0
    for pid in (server.process.pid, server.daemon_pid()):
        assert int(status(pid)["CapEff"], 16) & ~allowed == 0
        if ROOT:
            assert int(status(pid)["CapBnd"], 16) & ~allowed == 0


def test_it_can_read_and_write_its_own_part_alone(server: Server) -> None:
    owners = {path.name: path.stat().st_uid for path in server.data.iterdir()}
    uid = HostSettings().server_uid if ROOT else os.geteuid()
    assert owners == {"store": uid, "host": 0 if ROOT else uid}
    # Also what root made after the server had started: the fixture's keys.
    assert {path.stat().st_uid for path in (server.data / "store").rglob("*")} == {uid}


def test_a_killed_daemon_is_started_again_for_it(own_server: Server) -> None:
    container, _ = ask(own_server, "echo kept > kept.txt")
    os.kill(own_server.daemon_pid(), signal.SIGKILL)
    assert ask(own_server, "cat kept.txt", container)[1] == "kept\n"


def test_it_ends_with_its_keeper(own_server: Server) -> None:
    pid = own_server.pid
    own_server.process.kill()
    own_server.process.wait()
    subprocess.run(["timeout", "60", "tail", f"--pid={pid}", "-f", "/dev/null"], check=True)
    start_again(own_server)
    assert ask(own_server, "echo again")[1] == "again\n"
