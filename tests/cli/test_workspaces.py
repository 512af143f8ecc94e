"""``bathysphere workspaces``."""

from __future__ import annotations

import asyncio
from pathlib import Path

from click.testing import CliRunner, Result

from bathysphere.cli.keys import keys
from bathysphere.cli.workspaces import workspaces
from bathysphere.settings import store_directory
from bathysphere.store import workspaces as store
from bathysphere.store.database import Database


def run(*arguments: str) -> Result:
    return CliRunner().invoke(workspaces, arguments)


def make(data: Path, name: str) -> None:
    async def work() -> None:
        database = await Database.open(store_directory(data))
        try:
            await store.named(database, name)
        finally:
            await database.close()

    asyncio.run(work())


def engines(data: Path) -> dict[str, str]:
    lines = run("list", "--data", str(data)).stdout.splitlines()[1:]
    return {line.split()[1]: line.split()[2] for line in lines}


def test_an_engine_is_chosen_and_taken_back(tmp_path: Path) -> None:
    make(tmp_path, "lab")
    make(tmp_path, "strangers")
    assert engines(tmp_path) == {"lab": "default", "strangers": "default"}
    assert run("engine", "--data", str(tmp_path), "strangers", "gvisor").exit_code == 0
    assert engines(tmp_path) == {"lab": "default", "strangers": "gvisor"}
    assert run("engine", "--data", str(tmp_path), "strangers", "default").exit_code == 0
    assert engines(tmp_path) == {"lab": "default", "strangers": "default"}


def test_what_does_not_exist_is_said(tmp_path: Path) -> None:
    assert "is no data directory" in run("list", "--data", str(tmp_path)).stderr
    make(tmp_path, "lab")
    missing = run("engine", "--data", str(tmp_path), "nowhere", "gvisor")
    assert missing.exit_code == 1
    assert "There is no workspace nowhere" in missing.stderr
    unknown = run("engine", "--data", str(tmp_path), "default", "chroot")
    assert unknown.exit_code == 2
    assert "gvisor" in unknown.stderr


def test_a_workspace_is_archived(tmp_path: Path) -> None:
    make(tmp_path, "lab")
    make(tmp_path, "default")
    data = ("--data", str(tmp_path))
    assert run("archive", *data, "lab").exit_code == 1, "nobody said yes"
    assert run("list", *data).stdout.splitlines()[2].split()[-1] == "open"
    assert run("archive", *data, "lab", "--yes").exit_code == 0
    assert run("list", *data).stdout.splitlines()[2].split()[1:] == ["lab", "default", "default", "archived"]
    assert "cannot be archived" in run("archive", *data, "default", "--yes").stderr
    assert "There is no workspace nowhere" in run("archive", *data, "nowhere", "--yes").stderr
    made = CliRunner().invoke(keys, ["create", *data, "--workspace", "lab"])
    assert made.exit_code == 1 and "has been archived" in made.stderr
