"""The SQL database: opened, migrated, and lent out one transaction at a time.

SQLite in WAL. ``synchronous=FULL``: a commit survives a power cut, not only a killed process. See
docs/decisions/database-durability.md.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Final, TypeVar

import alembic.command
import alembic.config
import alembic.util
import anyio
import anyio.to_thread
from alembic.script import ScriptDirectory
from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine

from bathysphere.store.prepared import Prepared

T = TypeVar("T")

_BUSY_SECONDS: Final = 30
# The second is what a full disk looks like where the write-ahead log's index cannot grow.
_FULL: Final = frozenset((sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_SHMSIZE, sqlite3.SQLITE_IOERR_WRITE))
_FULL_DISK: Final = "The disk of the data directory is full; make room on it."
_MIGRATIONS: Final = Path(__file__).parent / "migrations"
DATABASE_FILE: Final = "bathysphere.sqlite3"
EARLIER_FILE: Final = "bathysphere.before-upgrade.sqlite3"
"""The database as it was before the last change of its schema."""


class DatabaseError(Exception):
    """The database cannot be used; the message says what, why and what to do."""


class DatabaseFull(DatabaseError):
    """The disk has no room for what was to be written; nothing of it was."""


class RuleBroken(DatabaseError):
    """What was to be written breaks a rule of the schema, such as a reference to a row that is not there."""


class Database:
    """An open database. Safe to share between all tasks of one event loop, and the file between processes."""

    def __init__(self, engine: AsyncEngine, reader: sqlite3.Connection, writer: sqlite3.Connection, data: Path) -> None:
        self.data = data
        self._engine = engine
        self._writing = engine.execution_options(sqlite_begin="BEGIN IMMEDIATE")
        self._reader = reader
        self._writer = writer
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="database")
        # SQLite lets one writer in at a time and makes the others poll. Our own tasks queue here instead.
        self._write_lock = asyncio.Lock()
        self.deleted = asyncio.Event()
        """Set when rows were deleted whose content is to leave the files too: see ``erasing``."""

    @classmethod
    async def open(cls, data: Path) -> Database:
        """Open the database in the data directory ``data``; both are made when they are not there.

        Brings the schema up to date first; when several processes start at once, one does it and the others wait.
        Raises DatabaseError when the directory or the file cannot be used.
        """
        path = data / DATABASE_FILE
        await anyio.to_thread.run_sync(_prepare, data, path)
        engine = create_async_engine(URL.create("sqlite+aiosqlite", database=str(path)))
        _speak_sqlite(engine.sync_engine)
        return cls(engine, _connection(path), _connection(path), data)

    async def close(self) -> None:
        """Close every connection."""
        self._thread.shutdown()
        self._writer.close()
        self._reader.close()
        await self._engine.dispose()

    def one(self, query: Prepared, **values: object) -> Any | None:
        """The first row, read at once on the event loop: for a single row by an indexed column, and nothing else.

        The way through a thread takes ten times as long as such a read, and every request begins with two.
        """
        return query.first(self._reader, values)

    def all(self, query: Prepared, **values: object) -> list[Any]:
        """The same for the few rows that an indexed column leads to."""
        return query.all(self._reader, values)

    async def write(self, *steps: tuple[Prepared, Iterable[Mapping[str, object]]]) -> None:
        """Carry out statements, each for all of its values, in one transaction. Otherwise as ``transaction``."""

        def work(connection: sqlite3.Connection) -> None:
            for statement, many in steps:
                statement.each(connection, many)

        await self.transaction(work)

    async def transaction(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """What ``work`` does with SQLite's own driver, in a thread, in one transaction: committed, durably, or undone.

        It is as ``writing`` at a fraction of the cost. When the task is cancelled it ends only after the transaction,
        which by then is most likely committed.

        Raises DatabaseFull and RuleBroken.
        """
        async with self._write_lock:
            future = asyncio.get_running_loop().run_in_executor(self._thread, self._carry_out, work)
            cancelled: asyncio.CancelledError | None = None
            with anyio.CancelScope(shield=True):
                while not future.done():
                    try:
                        await asyncio.wait((future,))
                    except asyncio.CancelledError as error:
                        cancelled = error
            failure = future.exception()
            if cancelled is not None:
                raise cancelled
            if failure is not None:
                raise failure
            return future.result()

    def _carry_out(self, work: Callable[[sqlite3.Connection], T]) -> T:
        try:
            self._writer.execute("BEGIN IMMEDIATE")
            try:
                result = work(self._writer)
                self._writer.execute("COMMIT")
            except BaseException:
                # Some failures, as that of a full disk, have ended the transaction already.
                if self._writer.in_transaction:
                    self._writer.execute("ROLLBACK")
                raise
            return result
        except sqlite3.IntegrityError as error:
            raise RuleBroken(f"The database refuses what was to be written: {error}.") from error
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode in _FULL:
                raise DatabaseFull(_FULL_DISK) from error
            raise

    async def erase(self) -> bool:
        """Have what was deleted leave the database's files, at once; False when somebody reads what was before.

        In its pages it was overwritten when it was deleted (``secure_delete``). What is left of it is in pages that
        wait in the write-ahead log, and in the older ones that these are going to replace.
        """
        return await anyio.to_thread.run_sync(_empty_log, self.data / DATABASE_FILE)

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncSession]:
        """A consistent view of the database; nothing written in it is kept."""
        with anyio.CancelScope(shield=True):
            async with AsyncSession(self._engine, expire_on_commit=False) as session:
                yield session

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncSession]:
        """The only writer. Committed, durably, when the block ends; undone when it raises.

        Once begun it is finished, also when the request that it serves is cancelled: a transaction that nobody
        ends would keep every other writer out. So nothing slow belongs into the block.
        """
        async with self._write_lock:
            with anyio.CancelScope(shield=True):
                try:
                    async with AsyncSession(self._writing, expire_on_commit=False) as session, session.begin():
                        yield session
                except OperationalError as error:
                    if getattr(error.orig, "sqlite_errorcode", None) in _FULL:
                        raise DatabaseFull(_FULL_DISK) from error
                    raise


def _prepare(data: Path, path: Path) -> None:
    """Everything that must happen once, before anybody reads: directory, file, journal mode, migrations."""
    try:
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        # A directory that holds other things may be somebody else's, or /tmp: it keeps its mode.
        if not any(data.iterdir()):
            data.chmod(0o700)
        # SQLite gives the file's mode to its journal as well, so it has to be right from the first byte on.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        path.chmod(0o600)
        with _alone(data / "start.lock"):
            _use_wal(path)
            copied = _copy_before_migrating(path)
            migrate(path)
        _give_to_the_owner_of(data, path, data / "start.lock", *copied)
    except OSError as error:
        raise DatabaseError(
            f"The data directory {data} cannot be used: {error.strerror} ({error.filename}). "
            "Choose a directory that this user may write to with --data or BATHYSPHERE_DATA."
        ) from error
    except sqlite3.DatabaseError as error:
        raise DatabaseError(
            f"{path} cannot be used: {error}. If it is damaged, put back a backup; "
            "the directory must be on a local disk, not on a network file system."
        ) from error


def _give_to_the_owner_of(data: Path, *paths: Path) -> None:
    """What root makes in the server's directory must be the server's; SQLite sees to its own further files."""
    owner = data.stat()
    if os.geteuid() == 0 and owner.st_uid != 0:
        for path in paths:
            os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    """Wait until no other process is inside; the kernel lets go of the lock of a process that dies."""
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _use_wal(path: Path) -> None:
    connection = sqlite3.connect(path, timeout=_BUSY_SECONDS)
    try:
        (mode,) = connection.execute("PRAGMA journal_mode=WAL").fetchone()
    finally:
        connection.close()
    if mode != "wal":
        raise sqlite3.DatabaseError(f"this file system does not allow a write-ahead log (journal mode {mode})")


def _empty_log(path: Path) -> bool:
    connection = _connection(path)
    try:
        # Whoever reads need not be waited for: writers would have to wait with us.
        connection.execute("PRAGMA busy_timeout=100")
        blocked, _pages, _written = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    finally:
        connection.close()
    return not blocked


def _alembic() -> alembic.config.Config:
    config = alembic.config.Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


def revisions() -> list[str]:
    """Every revision of the schema that this version knows, oldest first."""
    known = ScriptDirectory.from_config(_alembic()).walk_revisions()
    return [script.revision for script in known][::-1]


def _copy_before_migrating(path: Path) -> list[Path]:
    """Keep the database as it is, beside it, if it has rows and is about to get another schema; the copy.

    There is one such copy at a time; ``erasing`` removes it after some days.
    """
    connection = _connection(path)
    try:
        versions = "SELECT name FROM sqlite_master WHERE name = 'alembic_version'"
        if connection.execute(versions).fetchone() is None:
            return []
        found = connection.execute("SELECT version_num FROM alembic_version").fetchone()
        known = revisions()
        if found is None or found[0] not in known[:-1]:
            return []  # it is of today; or newer, which is refused
        copy, new = path.with_name(EARLIER_FILE), path.with_name(f"{EARLIER_FILE}.new")
        new.unlink(missing_ok=True)
        os.close(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        target = sqlite3.connect(new)
        try:
            connection.backup(target)
            target.execute("PRAGMA journal_mode=DELETE")
        finally:
            target.close()
        new.rename(copy)
    finally:
        connection.close()
    return [copy]


def migrate(path: Path, revision: str = "head") -> None:
    """Bring the database file up to a schema, today's if none is given, in one transaction.

    Raises DatabaseError for a newer one.
    """
    engine = create_engine(
        URL.create("sqlite", database=str(path)), execution_options={"sqlite_begin": "BEGIN IMMEDIATE"}
    )
    _speak_sqlite(engine)
    config = _alembic()
    try:
        with engine.begin() as connection:
            config.attributes["connection"] = connection
            alembic.command.upgrade(config, revision)
    except alembic.util.CommandError as error:
        raise DatabaseError(
            f"{path} was written by a newer version of bathysphere: {error}. Use that version, or another directory."
        ) from error
    finally:
        engine.dispose()


def _connection(path: Path) -> sqlite3.Connection:
    """A connection of SQLite's own driver, which begins no transaction by itself."""
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    _set_up(connection)
    return connection


def _set_up(connection: Any) -> None:
    cursor = connection.cursor()
    # secure_delete: what is deleted is overwritten with zeros, not only forgotten (docs/operating.md, "What is kept").
    for pragma in ("foreign_keys=ON", f"busy_timeout={_BUSY_SECONDS * 1000}", "synchronous=FULL", "secure_delete=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _speak_sqlite(engine: Engine) -> None:
    """Set up each connection, and begin transactions ourselves: the driver's own way leaves schema changes outside."""

    @event.listens_for(engine, "connect")
    def _(connection: Any, _record: object) -> None:
        connection.isolation_level = None
        _set_up(connection)

    @event.listens_for(engine, "begin")
    def _(connection: Connection) -> None:
        # A reader that turns into a writer halfway would fail at once when another has written in between, so
        # writers say so from the beginning.
        connection.exec_driver_sql(connection.get_execution_options().get("sqlite_begin", "BEGIN"))
