"""Opening the database: migrations, durability, who may read it."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import stat
import subprocess
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path

import anyio
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import bindparam, create_engine, insert, select, text, update
from sqlalchemy.exc import IntegrityError

from bathysphere.store.database import DATABASE_FILE, Database, DatabaseError, RuleBroken, migrate
from bathysphere.store.prepared import Prepared
from bathysphere.store.schema import Base, ContainerFileRow, OrganizationRow

OPEN = """
import asyncio, sys
from pathlib import Path
from bathysphere.store import workspaces
from bathysphere.store.database import Database
async def main():
    database = await Database.open(Path(sys.argv[1]))
    print((await workspaces.default(database)).id)
    await database.close()
asyncio.run(main())
"""


async def test_what_was_written_is_there_after_opening_again(tmp_path: Path) -> None:
    for _ in range(2):
        database = await Database.open(tmp_path)
        async with database.writing() as session:
            await session.execute(
                text("INSERT INTO organizations VALUES (:id, 'x', 0)"), {"id": f"org_{os.urandom(4).hex()}"}
            )
        async with database.reading() as session:
            count = await session.scalar(text("SELECT count(*) FROM organizations"))
        await database.close()
    assert count == 2


def test_the_migrations_make_exactly_the_schema(tmp_path: Path) -> None:
    path = tmp_path / "db"
    migrate(path)
    migrate(path)
    engine = create_engine(f"sqlite:///{path}")
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), Base.metadata) == []
    engine.dispose()


def test_several_processes_may_start_at_once(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    processes = [
        subprocess.Popen([sys.executable, "-c", OPEN, str(tmp_path / "data")], stdout=subprocess.PIPE, env=environment)
        for _ in range(4)
    ]
    printed = [process.communicate()[0] for process in processes]
    assert [process.returncode for process in processes] == [0] * 4
    assert len(set(printed)) == 1, "all of them see one default workspace"


async def test_an_undone_transaction_leaves_nothing(database: Database) -> None:
    with pytest.raises(RuntimeError):
        async with database.writing() as session:
            await session.execute(text("INSERT INTO organizations VALUES ('org_1', 'x', 0)"))
            raise RuntimeError
    async with database.reading() as session:
        assert await session.scalar(text("SELECT count(*) FROM organizations")) == 0


async def test_commits_are_durable_and_references_are_checked(database: Database) -> None:
    async with database.reading() as session:
        assert await session.scalar(text("PRAGMA journal_mode")) == "wal"
        assert await session.scalar(text("PRAGMA synchronous")) == 2
    with pytest.raises(IntegrityError):
        async with database.writing() as session:
            await session.execute(
                text("INSERT INTO container_files VALUES ('container_nowhere', 'file_1', 'a', 0)"),
            )
    assert ContainerFileRow.__tablename__ == "container_files"


async def test_a_reader_is_not_disturbed_by_a_writer(database: Database) -> None:
    async with database.reading() as reader:
        assert await reader.scalar(text("SELECT count(*) FROM organizations")) == 0
        async with database.writing() as writer:
            await writer.execute(text("INSERT INTO organizations VALUES ('org_1', 'x', 0)"))
        assert await reader.scalar(text("SELECT count(*) FROM organizations")) == 0
    async with database.reading() as reader:
        assert await reader.scalar(text("SELECT count(*) FROM organizations")) == 1


async def test_only_the_owner_may_read_the_data(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir(mode=0o755)
    database = await Database.open(data)
    async with database.writing() as session:
        await session.execute(text("INSERT INTO organizations VALUES ('org_1', 'x', 0)"))
    assert stat.S_IMODE(data.stat().st_mode) == 0o700
    names = {path.name: stat.S_IMODE(path.stat().st_mode) for path in data.iterdir()}
    assert f"{DATABASE_FILE}-wal" in names
    assert set(names.values()) == {0o600}
    await database.close()


async def test_a_directory_that_holds_other_things_keeps_its_mode(tmp_path: Path) -> None:
    data = tmp_path / "shared"
    data.mkdir(mode=0o755)
    (data / "diary.txt").write_text("")
    await (await Database.open(data)).close()
    assert stat.S_IMODE(data.stat().st_mode) == 0o755
    assert stat.S_IMODE((data / DATABASE_FILE).stat().st_mode) == 0o600


async def test_any_directory_name_will_do(tmp_path: Path) -> None:
    data = tmp_path / "a?b=c#d %20 é;e&f"
    await (await Database.open(data)).close()
    assert (data / DATABASE_FILE).exists()


async def test_a_cancelled_request_finishes_its_transaction_and_keeps_nobody_out(database: Database) -> None:
    async def write(name: str) -> None:
        async with database.writing() as session:
            for n in range(5):
                await session.execute(text("INSERT INTO organizations VALUES (:id, 'x', 0)"), {"id": f"{name}_{n}"})

    async with anyio.create_task_group() as tasks:
        for name in "abcdef":
            tasks.start_soon(write, name)
        await anyio.sleep(0)
        tasks.cancel_scope.cancel()
    native = asyncio.create_task(write("native"))
    await asyncio.sleep(0)
    native.cancel()
    await asyncio.wait([native])
    await write("z")
    async with database.reading() as session:
        counts = await session.scalars(text("SELECT count(*) FROM organizations GROUP BY substr(id, 1, 1)"))
    assert set(counts) == {5}, "each transaction is there as a whole or not at all"


ORGANIZATION = Prepared(insert(Base.metadata.tables["organizations"]), ["id", "name", "created_at"])
NAMED = Prepared(select(OrganizationRow).where(OrganizationRow.id == bindparam("id")))
RENAMED = Prepared(
    update(Base.metadata.tables["organizations"])
    .where(OrganizationRow.id == bindparam("which"))
    .values(name=bindparam("to"))
)
NOW = datetime(2026, 11, 22, 1, 2, 3, 456789, tzinfo=UTC)


def organization(number: int) -> dict[str, object]:
    return {"id": f"org_{number}", "name": "ünïcode", "created_at": NOW}


async def test_prepared_statements_write_and_read_what_the_types_of_the_schema_say(database: Database) -> None:
    await database.write(
        (ORGANIZATION, [organization(1), organization(2)]), (RENAMED, [{"which": "org_2", "to": "renamed"}])
    )
    assert database.one(NAMED, id="org_1") == ("org_1", "ünïcode", NOW)
    found = database.one(NAMED, id="org_2")
    assert found is not None
    assert (found.name, found.created_at) == ("renamed", NOW)
    assert database.one(NAMED, id="org_3") is None
    async with database.reading() as session:
        (row,) = await session.scalars(select(OrganizationRow).where(OrganizationRow.id == "org_1"))
        assert (row.name, row.created_at) == ("ünïcode", NOW), "both ways write the same"


async def test_what_is_written_together_is_there_as_a_whole_or_not_at_all(database: Database) -> None:
    with pytest.raises(RuleBroken, match="UNIQUE"):
        await database.write((ORGANIZATION, [organization(1), organization(2)]), (ORGANIZATION, [organization(1)]))
    assert database.one(NAMED, id="org_2") is None
    await database.write((ORGANIZATION, [organization(1)]))
    assert database.one(NAMED, id="org_1") is not None, "the one that failed is out of the way"


async def test_the_writers_connection_is_durable_and_checks_references(database: Database) -> None:
    for connection in (database._reader, database._writer):
        assert connection.execute("PRAGMA synchronous").fetchone() == (2,)
        assert connection.execute("PRAGMA foreign_keys").fetchone() == (1,)
    lying = Prepared(
        insert(Base.metadata.tables["container_files"]), ["container_id", "file_id", "filename", "placed_at"]
    )
    with pytest.raises(RuleBroken, match="FOREIGN KEY"):
        await database.write(
            (lying, [{"container_id": "container_nowhere", "file_id": "f", "filename": "a", "placed_at": NOW}])
        )


async def test_both_ways_to_write_take_turns(database: Database) -> None:
    async def slowly(number: int) -> None:
        async with database.writing() as session:
            await session.execute(text("INSERT INTO organizations VALUES (:id, 'x', 0)"), {"id": f"slow_{number}"})
            await asyncio.sleep(0)

    await asyncio.gather(
        *(slowly(number) for number in range(20)),
        *(database.write((ORGANIZATION, [organization(number)])) for number in range(20)),
    )
    async with database.reading() as session:
        assert await session.scalar(text("SELECT count(*) FROM organizations")) == 40


async def test_a_cancelled_writer_ends_after_its_transaction(database: Database) -> None:
    """By then it is known what is there, and nobody else is kept out."""
    held = threading.Event()
    database._thread.submit(held.wait)
    writing = asyncio.create_task(database.write((ORGANIZATION, [organization(1)])))
    await asyncio.sleep(0)
    for _ in range(3):
        writing.cancel()
        await asyncio.sleep(0)
    assert not writing.done()
    held.set()
    await asyncio.wait([writing])
    assert writing.cancelled()
    assert database.one(NAMED, id="org_1") is not None
    await database.write((ORGANIZATION, [organization(2)]))


async def test_a_read_leaves_nothing_open(database: Database) -> None:
    """An open one would keep the write-ahead log from being cleared, which then grows without end."""
    await database.write((ORGANIZATION, [organization(number) for number in range(3)]))
    everything = Prepared(select(OrganizationRow))
    assert database.one(everything) is not None
    async with database.reading() as session:
        blocked, pages, cleared = (await session.execute(text("PRAGMA wal_checkpoint(TRUNCATE)"))).one()
    assert (blocked, pages, cleared) == (0, 0, 0)


async def test_a_database_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    await (await Database.open(tmp_path)).close()
    connection = sqlite3.connect(tmp_path / DATABASE_FILE)
    connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.commit()
    connection.close()
    with pytest.raises(DatabaseError, match="newer version"):
        await Database.open(tmp_path)


async def test_what_is_no_database_is_refused_with_a_reason(tmp_path: Path) -> None:
    (tmp_path / DATABASE_FILE).write_bytes(b"this is a shopping list, not a database" * 100)
    with pytest.raises(DatabaseError, match="not a database"):
        await Database.open(tmp_path)


async def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DatabaseError, match=r"--data"):
        await Database.open(tmp_path / "file" / "data")
