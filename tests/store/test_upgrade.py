"""Databases of every earlier schema, with rows in every table, are brought up to today's."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine

from bathysphere.store import audit, batches, containers, files, keys, paused_cells, skills, workspaces
from bathysphere.store.database import DATABASE_FILE, EARLIER_FILE, Database, migrate, revisions
from bathysphere.store.schema import Base

SECRET = "sk-bathysphere-of-long-ago"
NOW = 1_790_000_000_000_000
"""Microseconds since 1970."""

JSON_LIST = json.dumps([{"id": "file_1", "name": "a.txt", "size_bytes": 3}])

ROWS: dict[str, list[dict[str, Any]]] = {
    "organizations": [{"id": "org_1", "name": "ours"}],
    "workspaces": [
        {"id": "wrkspc_1", "organization_id": "org_1", "name": "default", "engine": "gvisor", "archived_at": None},
        {"id": "wrkspc_2", "organization_id": "org_1", "name": "ünicöde", "engine": None, "archived_at": None},
    ],
    "api_keys": [
        {"id": "apikey_1", "secret_sha256": hashlib.sha256(SECRET.encode()).hexdigest(), "disabled_at": None},
        {"id": "apikey_2", "workspace_id": "wrkspc_2", "disabled_at": NOW, "last_used_at": NOW},
    ],
    "containers": [
        {"id": "container_1", "deleted_at": None, "lost_at": None, "forked_from": None, "expires_at": NOW * 2},
        {"id": "container_2", "deleted_at": NOW, "lost_at": NOW, "forked_from": "container_1"},
    ],
    "container_files": [{"container_id": "container_1", "file_id": "file_1", "filename": "a.txt"}],
    "container_calls": [
        {"number": 7, "container_id": "container_1", "workspace_id": "wrkspc_1", "action": "bash", "files": JSON_LIST,
         "outcome": "finished", "subject": "echo 1"},
        {"number": 9, "container_id": "container_2", "workspace_id": "wrkspc_1", "action": "cell", "files": "[]",
         "outcome": "failed", "subject": None, "error": "it was so"},
    ],
    "paused_cells": [{"id": "cell_1", "container_id": "container_1", "files": JSON_LIST}],
    "files": [
        {"id": "file_1", "filename": "a.txt", "size_bytes": 3, "expires_at": None, "blob_key": "0" * 32,
         "container_id": "container_1"},
        {"id": "file_2", "filename": "b.txt", "size_bytes": 0, "expires_at": NOW, "blob_key": None,
         "container_id": None},
    ],
    "message_batches": [
        {"id": "msgbatch_1", "requests": 2, "succeeded": 1, "errored": 1, "canceled": 0, "expired": 0, "ready": 1,
         "deleted": 0, "headers": json.dumps({"anthropic-version": "2023-06-01"}), "cancel_initiated_at": None,
         "archived_at": None, "ended_at": NOW},
    ],
    "batch_requests": [
        {"number": 1, "batch_id": "msgbatch_1", "custom_id": "one", "state": "succeeded", "worker_id": None,
         "params": None, "result": json.dumps({"type": "succeeded"})},
        {"number": 2, "batch_id": "msgbatch_1", "custom_id": "two", "state": "errored", "worker_id": None,
         "params": None, "result": json.dumps({"type": "errored"})},
    ],
    "batch_workers": [{"id": "worker_1"}],
    "skills": [{"id": "skill_1", "source": "custom", "latest_version_id": "skillver_1", "display_title": "One"}],
    "skill_versions": [
        {"id": "skillver_1", "skill_id": "skill_1", "version": "1", "name": "one", "blob_key": "1" * 32,
         "files": json.dumps([["SKILL.md", 3, False]])},
    ],
}  # fmt: skip
"""What matters of them; the rest is filled in. A table of a later revision gets a row that is filled in altogether."""


def fill(path: Path) -> dict[str, list[dict[str, Any]]]:
    """Put rows into every table that there is; which."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA foreign_keys=ON")
        tables = set(tables_of(connection))
        ordered = [table.name for table in Base.metadata.sorted_tables if table.name in tables]
        assert set(ordered) == tables, "every table of every revision is known to today's schema"
        put: dict[str, list[dict[str, Any]]] = {}
        for table in ordered:
            columns = connection.execute(f"PRAGMA table_info({table})").fetchall()
            references = {row[3]: row[2] for row in connection.execute(f"PRAGMA foreign_key_list({table})")}
            put[table] = []
            for number, given in enumerate(ROWS.get(table, [{}])):
                row: dict[str, Any] = {}
                for _place, name, kind, required, _default, _key in columns:
                    if name in given:
                        row[name] = given[name]
                    elif table in ROWS and number == 0 and not required:
                        row[name] = None  # what a later revision adds means nothing for what was there before
                    elif name in references:
                        row[name] = put[references[name]][0]["id"]
                    elif kind in {"BIGINT", "INTEGER"}:
                        row[name] = NOW + number
                    else:
                        row[name] = {"BOOLEAN": 1, "FLOAT": 0.5, "JSON": "[]"}.get(kind, f"{table} {name} {number}")
                marks = ", ".join(f":{name}" for name in row)
                connection.execute(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({marks})", row)
                put[table].append(row)
    return put


def tables_of(connection: sqlite3.Connection) -> list[str]:
    query = (
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' AND name <> 'alembic_version'"
    )
    return [name for (name,) in connection.execute(query)]


def shape(path: Path) -> dict[str, Any]:
    """All of a schema, but for the order of columns."""
    with closing(sqlite3.connect(path)) as connection:
        others = "SELECT type, name, sql FROM sqlite_master WHERE type <> 'table' AND sql IS NOT NULL"
        return {
            "others": sorted((kind, name, " ".join(sql.split())) for kind, name, sql in connection.execute(others)),
            "tables": {
                table: (
                    sorted(row[1:] for row in connection.execute(f"PRAGMA table_info({table})")),
                    sorted(row[2:] for row in connection.execute(f"PRAGMA foreign_key_list({table})")),
                )
                for table in tables_of(connection)
            },
        }


@pytest.mark.parametrize("revision", revisions())
async def test_every_row_of_every_earlier_schema_is_there_and_usable(tmp_path: Path, revision: str) -> None:
    path = tmp_path / DATABASE_FILE
    migrate(path, revision)
    rows = fill(path)

    await (await Database.open(tmp_path)).close()

    fresh = tmp_path / "fresh"
    migrate(fresh)
    assert shape(path) == shape(fresh)
    engine = create_engine(f"sqlite:///{path}")
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), Base.metadata) == []
    engine.dispose()
    with closing(sqlite3.connect(path)) as connection:
        connection.row_factory = sqlite3.Row
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        for table, put in rows.items():
            found = [dict(row) for row in connection.execute(f"SELECT {', '.join(put[0])} FROM {table}")]
            assert sorted(map(str, found)) == sorted(map(str, put)), table

    database = await Database.open(tmp_path)
    try:
        await usable(database, rows)
    finally:
        await database.close()


async def usable(database: Database, rows: dict[str, list[dict[str, Any]]]) -> None:
    assert {workspace.name for workspace in await workspaces.list_all(database)} >= {"default", "ünicöde"}
    key = await keys.authenticate(database, SECRET)
    assert key is not None and key.workspace_id == "wrkspc_1"
    found = await files.get(database, "wrkspc_1", "file_1")
    assert found is not None and (found.filename, found.blob_key) == ("a.txt", "0" * 32)
    container = await containers.get(database, "wrkspc_1", "container_1")
    assert container is not None and container.deleted_at is None
    assert await containers.placed(database, "container_1") == {"file_1": "a.txt"}
    if "container_calls" in rows:
        (call,) = await audit.latest(database, "container_1", 10)
        assert (call.number, call.files[0].name) == (7, "a.txt")
    if "paused_cells" in rows:
        cell = paused_cells.get(database, "cell_1")
        assert cell is not None and cell.files is not None and cell.files[0].id == "file_1"
    if "message_batches" in rows:
        batch = await batches.get(database, "wrkspc_1", "msgbatch_1")
        assert batch is not None and batch.ended_at is not None
        states = [result.state for result in await batches.results(database, batch.id, 0, 10)]
        assert states == ["succeeded", "errored"]
    if "skills" in rows:
        version = await skills.get_version(database, "wrkspc_1", "skill_1", "1")
        assert version is not None and version.files[0].path == "SKILL.md"


async def test_the_database_is_copied_before_its_schema_changes(tmp_path: Path) -> None:
    path, copy = tmp_path / DATABASE_FILE, tmp_path / EARLIER_FILE
    await (await Database.open(tmp_path)).close()
    assert not copy.exists(), "there was nothing before"
    path.unlink()
    for revision in revisions()[-3:-1]:
        path.unlink(missing_ok=True)
        migrate(path, revision)
        rows = fill(path)
        await (await Database.open(tmp_path)).close()
        with closing(sqlite3.connect(copy)) as connection:
            assert connection.execute("SELECT version_num FROM alembic_version").fetchone() == (revision,)
            assert connection.execute("SELECT count(*) FROM files").fetchone() == (len(rows["files"]),)
        assert copy.stat().st_mode & 0o777 == 0o600
    before = copy.stat().st_mtime_ns
    await (await Database.open(tmp_path)).close()
    assert copy.stat().st_mtime_ns == before, "today's schema needs none"
