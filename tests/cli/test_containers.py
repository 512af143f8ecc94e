"""``bathysphere containers``, beside a running server and without one."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from bathysphere.cli.columns import columns, size
from bathysphere.cli.containers import containers
from tests.clients.asking import get, post
from tests.server import COMMAND, Server, running_server, start_again, stop

ROOT = "/bathysphere/v1/containers"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running_server(tmp_path_factory.mktemp("containers-cli")) as server:
        yield server


@dataclass(frozen=True)
class Done:
    exit_code: int
    stdout: str
    stderr: str

    @property
    def output(self) -> str:
        return self.stdout + self.stderr


def call(server: Server, *arguments: str) -> Done:
    """In a process of its own: root takes on the rights of the data's owner for it."""
    name, *rest = arguments
    command = [*COMMAND, "containers", name, "--data", str(server.data), *rest]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=server.environment)
    return Done(done.returncode, done.stdout, done.stderr)


def printed(server: Server, *arguments: str) -> str:
    done = call(server, *arguments)
    assert done.exit_code == 0, done.output
    return done.stdout


def parsed(server: Server, *arguments: str) -> Any:
    return json.loads(printed(server, *arguments, "--json"))


def make(server: Server, key: str | None = None) -> str:
    container = str(post(server, ROOT, b"", key).json()["id"])
    settle(server, container, key)
    return container


def settle(server: Server, container: str, key: str | None = None) -> None:
    """Records are written a moment after their calls; who asks the server for them need not wait."""
    assert get(server, f"{ROOT}/{container}/calls", key).status == 200


def run(server: Server, container: str, source: str) -> None:
    assert post(server, f"{ROOT}/{container}/run", {"source": source}).status == 200
    settle(server, container)


def test_the_list_has_a_line_for_each_container_of_each_workspace(running: Server) -> None:
    mine, others = make(running), make(running, running.other_key)
    lines = printed(running, "list").splitlines()
    assert lines[0].split()[:4] == ["ID", "WORKSPACE", "STATE", "DISK"]
    cells = {line.split()[0]: line.split()[1:3] for line in lines[1:]}
    assert cells[mine] == ["default", "idle"]
    assert cells[others] == ["other", "idle"]
    only = parsed(running, "list", "--workspace", "other")
    assert [entry["workspace"] for entry in only] == ["other"] * len(only)
    assert others in [entry["id"] for entry in only]
    assert "no workspace" in call(running, "list", "--workspace", "nowhere").stderr


def test_show_says_what_the_api_says(running: Server) -> None:
    container = make(running)
    told = get(running, f"{ROOT}/{container}").json()
    shown = parsed(running, "show", container)
    assert {name: shown[name] for name in told} == told
    assert shown["workspace"] == "default"
    text = printed(running, "show", container)
    assert container in text
    assert "idle" in text


def test_the_log_shows_each_call_on_a_line_and_steers_no_terminal(running: Server) -> None:
    container = make(running)
    run(running, container, "printf '\\033[2J'; #\n\033[31mred\necho x > $OUTPUT_DIR/made.txt; exit 5")
    run(running, container, "x" * 5000)
    lines = printed(running, "log", container).splitlines()
    assert len(lines) == 4, "headings, the making, two commands"
    assert "\033" not in "".join(lines)
    assert "exit 5" in lines[2]
    assert "made.txt (2 B, file_" in lines[2]
    entries = parsed(running, "log", container)
    assert [entry["action"] for entry in entries] == ["create", "bash", "bash"]
    assert entries[1]["subject"].startswith("printf")
    assert (len(entries[2]["subject"]), entries[2]["subject_bytes"]) == (4096, 5000)
    assert [entry["number"] for entry in parsed(running, "log", container, "--limit", "1")] == [entries[2]["number"]]


def test_delete_beside_a_running_server(running: Server) -> None:
    container = make(running)
    assert "is deleted." in call(running, "delete", container).stderr
    assert parsed(running, "show", container)["state"] == "deleted"
    assert container not in printed(running, "list")
    assert container in printed(running, "list", "--deleted")
    assert post(running, f"{ROOT}/{container}/run", {"source": "true"}).status == 404
    assert [entry["api_key_id"] for entry in parsed(running, "log", container)][1:] == [None], "the operator"
    assert parsed(running, "delete", container) == [{"id": container, "disk_removed": True}], "twice is no error"


def test_a_mistyped_id_changes_nothing(running: Server) -> None:
    container = make(running)
    done = call(running, "delete", container, "container_mistyped")
    assert done.exit_code != 0
    assert "container_mistyped" in done.stderr
    assert parsed(running, "show", container)["state"] == "idle"
    assert "There is no container" in call(running, "log", "x\033[2J").stderr


def test_delete_without_a_server(tmp_path: Path) -> None:
    with running_server(tmp_path) as server:
        gone, kept = make(server), make(server)
        run(server, kept, "echo kept > file.txt")
        stop(server)
        assert {entry["id"]: entry["state"] for entry in parsed(server, "list")} == {
            gone: "suspended",
            kept: "suspended",
        }
        assert parsed(server, "delete", gone) == [{"id": gone, "disk_removed": False}]
        start_again(server)
        while (server.data / "host" / "disks" / gone).exists():  # the next server removes it
            time.sleep(0.02)
        assert post(server, f"{ROOT}/{gone}/run", {"source": "true"}).status == 404
        read = post(server, f"{ROOT}/{kept}/run", {"source": "cat file.txt"}).json()
        assert read["stdout"] == "kept\n"


def test_a_directory_without_data_is_said_and_not_made(tmp_path: Path) -> None:
    done = CliRunner().invoke(containers, ["list", "--data", str(tmp_path / "nothing")])
    assert done.exit_code != 0
    assert "no data directory" in done.stderr
    assert not (tmp_path / "nothing").exists()


def test_tables_fold_nothing_and_escape_what_is_not_text() -> None:
    wide = "x" * 300
    assert columns(("A", "B"), [("é", wide), ("日本", "a\nb\033[0m\u202e")]).splitlines() == [
        "A     B",
        f"é     {wide}",
        "日本  a\\nb\\x1b[0m\\u202e",
    ]


@pytest.mark.parametrize(
    ("count", "text"),
    [(None, "-"), (0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (5 << 30, "5.0 GiB"), (3 << 50, "3072.0 TiB")],
)
def test_sizes(count: int | None, text: str) -> None:
    assert size(count) == text
