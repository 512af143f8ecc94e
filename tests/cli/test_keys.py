"""``bathysphere keys``."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from bathysphere.cli.keys import keys
from bathysphere.settings import default_data_directory, store_directory
from bathysphere.store import keys as store
from bathysphere.store.database import Database
from bathysphere.store.keys import Identity


def run(*arguments: str) -> Result:
    return CliRunner().invoke(keys, arguments)


def authenticated(data: Path, secret: str) -> Identity | None:
    async def ask() -> Identity | None:
        database = await Database.open(store_directory(data))
        try:
            return await store.authenticate(database, secret)
        finally:
            await database.close()

    return asyncio.run(ask())


def test_create_prints_the_secret_alone(tmp_path: Path) -> None:
    made = run("create", "--data", str(tmp_path), "--workspace", "lab", "--name", "laptop")
    assert made.exit_code == 0
    secret = made.stdout.removesuffix("\n")
    assert authenticated(tmp_path, secret) is not None
    assert "laptop" in made.stderr
    assert "lab" in made.stderr
    assert secret not in made.stderr


def test_list_shows_keys_but_no_secrets_and_disable_closes_one(tmp_path: Path) -> None:
    secrets = [
        run("create", "--data", str(tmp_path), "--name", name).stdout.strip() for name in ("laptop", "[bold]x[/bold]")
    ]
    listed = run("list", "--data", str(tmp_path))
    lines = listed.stdout.splitlines()
    assert len(lines) == 3, "one line each, however long"
    assert "laptop" in lines[1]
    assert "[bold]x[/bold]" in lines[2]
    assert all(secret not in listed.output for secret in secrets)

    key_id = lines[1].split()[0]
    assert run("disable", "--data", str(tmp_path), key_id).exit_code == 0
    assert authenticated(tmp_path, secrets[0]) is None
    assert authenticated(tmp_path, secrets[1]) is not None
    assert run("list", "--data", str(tmp_path)).stdout.splitlines()[1].split()[-1] == "disabled"


def test_mistakes_are_explained(tmp_path: Path) -> None:
    nameless = run("create", "--data", str(tmp_path), "--name", "")
    assert (nameless.exit_code, nameless.stdout) == (1, "")
    assert "cannot be empty" in nameless.stderr
    assert "no keys yet" in run("list", "--data", str(tmp_path)).stderr
    unknown = run("disable", "--data", str(tmp_path), "apikey_unknown")
    assert (unknown.exit_code, unknown.stdout) == (1, "")
    assert "There is no key apikey_unknown" in unknown.stderr


@pytest.mark.parametrize("arguments", [("list",), ("disable", "apikey_unknown")])
def test_only_what_makes_a_key_makes_a_data_directory(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    missing = run(*arguments, "--data", str(tmp_path / "typo"))
    assert missing.exit_code == 1 and f"There is no data directory {tmp_path / 'typo'}" in missing.stderr
    other = run(*arguments, "--data", str(tmp_path))
    assert other.exit_code == 1 and f"{tmp_path} is no data directory" in other.stderr
    assert list(tmp_path.iterdir()) == []


def test_the_data_directory_is_found_in_the_usual_places(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("BATHYSPHERE_DATA", str(tmp_path / "chosen"))
    assert default_data_directory() == tmp_path / "chosen"
    monkeypatch.delenv("BATHYSPHERE_DATA")
    monkeypatch.setattr("os.geteuid", lambda: 0)
    assert default_data_directory() == Path("/var/lib/bathysphere/data")
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert default_data_directory() == tmp_path / "bathysphere" / "data"
    monkeypatch.setenv("XDG_DATA_HOME", "relative/is/ignored")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert default_data_directory() == tmp_path / "home" / ".local" / "share" / "bathysphere" / "data"


def test_an_admin_key_is_made_listed_and_disabled(tmp_path: Path) -> None:
    data = ("--data", str(tmp_path))
    made = run("create", *data, "--admin", "--name", "operations")
    assert made.stdout.startswith("sk-bathysphere-admin-")
    assert authenticated(tmp_path, made.stdout.strip()) is None, "it opens the Admin API, and nothing else"
    cells = run("list", *data).stdout.splitlines()[1].split()
    assert cells[1:4] == ["operations", "(Admin", "API)"] and cells[-1] == "active"
    assert run("disable", *data, cells[0]).exit_code == 0
    assert run("list", *data).stdout.splitlines()[1].split()[-1] == "disabled"
    others = run("create", *data, "--admin", "--organization", "Deep Sea")
    assert "of organisation Deep Sea" in others.stderr
    assert "leave out --workspace" in run("create", *data, "--admin", "--workspace", "lab").stderr
    assert "an admin key can be disabled" in run("rotate", *data, cells[0]).stderr


def test_a_key_is_closed_for_a_while_and_given_another_secret(tmp_path: Path) -> None:
    data = ("--data", str(tmp_path))
    secret = run("create", *data).stdout.strip()
    key_id = run("list", *data).stdout.splitlines()[1].split()[0]
    assert run("deactivate", *data, key_id).exit_code == 0
    assert authenticated(tmp_path, secret) is None
    assert run("list", *data).stdout.splitlines()[1].split()[-1] == "inactive"
    assert run("activate", *data, key_id).exit_code == 0
    assert authenticated(tmp_path, secret) is not None
    another = run("rotate", *data, key_id).stdout.strip()
    assert authenticated(tmp_path, secret) is None and authenticated(tmp_path, another) is not None
    assert run("disable", *data, key_id).exit_code == 0
    for change in ("activate", "deactivate", "rotate"):
        assert "for good" in run(change, *data, key_id).stderr
        assert "There is no key apikey_unknown" in run(change, *data, "apikey_unknown").stderr
