"""The database of a backup: one consistent state of the live one, in which nothing is named that is not there."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from bathysphere.backup.failure import BackupError
from bathysphere.backup.manifest import DATABASE, Vanished
from bathysphere.backup.ownership import as_owner_of
from bathysphere.store.database import DATABASE_FILE

_BUSY_SECONDS: Final = 60
_IDS: Final = 500


@dataclass(frozen=True, slots=True)
class Blob:
    """A blob that the snapshot names."""

    key: str
    path: str
    """Below the folder of blobs, in the backup as in the store."""


def take(store: Path, folder: Path) -> None:
    """Write ``folder/database.sqlite3``: the state of the live database at one moment. Raises BackupError.

    Nobody has to wait for it. ``folder`` is ours and empty of it.
    """
    place = folder / "database"
    place.mkdir(mode=0o700)
    if os.geteuid() == 0:
        owner = store.stat()
        os.chown(place, owner.st_uid, owner.st_gid)
    as_owner_of(store, [place], lambda: _copy(store / DATABASE_FILE, place / DATABASE))
    if os.geteuid() == 0:
        os.chown(place, 0, 0)
        os.chown(place / DATABASE, 0, 0, follow_symlinks=False)
    (place / DATABASE).rename(folder / DATABASE)
    for left in place.iterdir():
        left.unlink()
    place.rmdir()


def _copy(live: Path, copy: Path) -> None:
    os.close(os.open(copy, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    try:
        with (
            closing(sqlite3.connect(live.as_uri() + "?mode=rw", uri=True, timeout=_BUSY_SECONDS)) as source,
            closing(sqlite3.connect(copy, isolation_level=None)) as target,
        ):
            target.execute("PRAGMA synchronous=OFF")  # the whole backup is written back at its end
            # All pages in one step: one read transaction, which holds up no writer and sees none.
            source.backup(target)
            target.execute("PRAGMA journal_mode=DELETE")
    except sqlite3.Error as error:
        full = "full" in str(error)
        raise BackupError(
            f"The database {live} cannot be copied: {error}."
            + (" Make room where the backup is to be." if full else "")
        ) from error


class Snapshot:
    """The copy. It is not of our making: nothing in it is run but what its schema needs."""

    def __init__(self, folder: Path, name: str = DATABASE) -> None:
        self._path = folder / name

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        try:
            with closing(sqlite3.connect(self._path, isolation_level=None)) as connection:
                connection.execute("PRAGMA trusted_schema=OFF")
                connection.execute("PRAGMA secure_delete=ON")
                connection.execute("PRAGMA synchronous=OFF")
                yield connection
        except sqlite3.Error as error:
            raise BackupError(f"The copy of the database cannot be used: {error}.") from error

    def check(self) -> None:
        """Raises BackupError when it is damaged."""
        with self._open() as connection:
            (said,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        if said != "ok":
            raise BackupError(f"The database is damaged: {said}. Put back an earlier backup.")

    def revision(self) -> str:
        """The revision of its schema."""
        with self._open() as connection:
            found = connection.execute("SELECT version_num FROM alembic_version").fetchone()
        return "" if found is None else str(found[0])

    def counts(self) -> dict[str, int]:
        """Rows of each table."""
        with self._open() as connection:
            return {
                table: connection.execute(f'SELECT count(*) FROM "{table}"').fetchone()[0]  # noqa: S608 - SQLite's own list
                for table in sorted(_tables(connection))
            }

    def blobs(self) -> list[Blob]:
        """All that it names."""
        with self._open() as connection:
            there = _tables(connection)
            keys = [
                str(key)
                for table in ("files", "skill_versions")
                if table in there
                for (key,) in connection.execute(f"SELECT blob_key FROM {table} WHERE blob_key IS NOT NULL")  # noqa: S608
            ]
        return [Blob(key, f"{key[:2]}/{key[2:]}") for key in keys]

    def containers(self, lost: bool = True) -> list[str]:
        """Those that are not deleted: they have a disk, unless they are ``lost``."""
        also = "" if lost else "AND lost_at IS NULL "
        with self._open() as connection:
            # The column is of the second revision.
            columns = {row[1] for row in connection.execute("PRAGMA table_info(containers)")}
            query = "SELECT id FROM containers WHERE deleted_at IS NULL "
            rows = connection.execute(query + (also if "lost_at" in columns else "") + "ORDER BY created_at, id")
            return [str(container_id) for (container_id,) in rows]

    def without(self, blobs: Iterable[str], containers: dict[str, int | None]) -> Vanished:
        """Have it say what became of what is not in the backup.

        ``containers``: id -> when it was deleted, in microseconds since 1970; None: its disk is lost.
        """
        now = time.time_ns() // 1000
        files = versions = gone = 0
        with self._open() as connection:
            connection.execute("BEGIN IMMEDIATE")
            for key in blobs:
                expired = "blob_key = ? AND expires_at IS NOT NULL AND expires_at <= ?"
                changed = connection.execute(f"UPDATE files SET blob_key = NULL WHERE {expired}", (key, now)).rowcount  # noqa: S608
                changed += connection.execute("DELETE FROM files WHERE blob_key = ?", (key,)).rowcount
                files += changed
                if not changed:
                    versions += _without_version(connection, key)
            for container_id, deleted_at in containers.items():
                column, moment = ("lost_at", now) if deleted_at is None else ("deleted_at", deleted_at)
                gone += connection.execute(
                    f"UPDATE containers SET {column} = ? WHERE id = ? AND {column} IS NULL",  # noqa: S608 - one of two
                    (moment, container_id),
                ).rowcount
            connection.execute("COMMIT")
        return Vanished(files=files, skill_versions=versions, containers=gone)


def deletions(store: Path, container_ids: list[str]) -> dict[str, int | None]:
    """When containers were deleted by now, as the live database says; None of those that were not."""

    def look() -> dict[str, int | None]:
        live = (store / DATABASE_FILE).as_uri() + "?mode=rw"
        found: dict[str, int | None] = dict.fromkeys(container_ids, time.time_ns() // 1000)
        with closing(sqlite3.connect(live, uri=True, timeout=_BUSY_SECONDS)) as connection:
            for start in range(0, len(container_ids), _IDS):
                some = container_ids[start : start + _IDS]
                marks = ",".join("?" * len(some))
                found.update(connection.execute(f"SELECT id, deleted_at FROM containers WHERE id IN ({marks})", some))  # noqa: S608
        return found

    return dict(as_owner_of(store, [], look)) if container_ids else {}


def _without_version(connection: sqlite3.Connection, key: str) -> int:
    row: Any = connection.execute("SELECT id, skill_id FROM skill_versions WHERE blob_key = ?", (key,)).fetchone()
    if row is None:
        return 0
    version_id, skill_id = row
    connection.execute("DELETE FROM skill_versions WHERE id = ?", (version_id,))
    connection.execute(
        "UPDATE skills SET latest_version_id = (SELECT id FROM skill_versions WHERE skill_id = skills.id "
        "ORDER BY created_at DESC, id DESC LIMIT 1) WHERE id = ? AND latest_version_id = ?",
        (skill_id, version_id),
    )
    return 1


def _tables(connection: sqlite3.Connection) -> set[str]:
    rows = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
    return {str(name) for (name,) in rows}
