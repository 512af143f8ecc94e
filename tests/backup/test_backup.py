"""Backups: the short form of the drill, and what is refused."""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
import stat
import subprocess
import sys
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from bathysphere.backup import series
from bathysphere.backup.failure import BackupError
from bathysphere.backup.making import Source, make
from bathysphere.backup.manifest import ImageNamed, Manifest
from bathysphere.backup.restoring import check, restore
from bathysphere.settings import Settings, store_directory
from bathysphere.store import containers, files, keys, workspaces
from bathysphere.store.blobs_local import LocalBlobs
from bathysphere.store.database import DATABASE_FILE, Database, migrate, revisions
from bathysphere.store.schema import Base
from tests.backup.drill import Outcome, drill

IMAGE = ImageNamed(digest="0123", office=False, rebuild="bathysphere image build")


def silent(_what: str, _done: int, _total: int) -> None:
    pass


def test_a_backup_under_load_and_a_killed_one(tmp_path: Path) -> None:
    """`make backup-drill` is the long form."""
    tmp_path.chmod(0o755)
    outcome = Outcome()
    drill(tmp_path, clients=2, seconds=2, kills=1, seed=7, outcome=outcome, say=print, restored=1)
    assert outcome.violations == []
    assert outcome.killed == {"backup": 1}
    for kind in ("uploads", "containers", "skills of the operator"):
        assert outcome.found[kind] > 0, outcome.found


@dataclass
class Kept:
    """A data directory without a server, with a file and a container that is a folder."""

    data: Path
    secret: str
    file_id: str
    blob: Path
    container_id: str


@pytest.fixture
async def kept(tmp_path: Path) -> Kept:
    data = tmp_path / "data"
    database = await Database.open(store_directory(data))
    blobs = await LocalBlobs.open_folder(store_directory(data) / "blobs")
    workspace = await workspaces.default(database)
    _, secret = await keys.create(database, workspace, "first")
    async with blobs.writer() as writer:
        await writer.write(b"content" * 1000)
        key = await writer.commit()
    file = await files.add(
        database, blobs, workspace_id=workspace.id, filename="a.txt", mime_type="text/plain", blob_key=key,
        size_bytes=7000, downloadable=True, storage_bytes=1 << 40,
    )  # fmt: skip
    container = await containers.create(database, workspace.id, timedelta(days=30))
    await database.close()
    disk = data / "host" / "disks" / container.id
    (disk / "home").mkdir(parents=True)
    (disk / "tmp").mkdir()
    (disk / "files").mkdir()
    (disk / "home" / "kept.txt").write_text("kept")
    (disk / "home" / "outside").symlink_to("/etc/passwd")
    return Kept(data, secret, file.id, store_directory(data) / "blobs" / key[:2] / key[2:], container.id)


def made(kept: Kept, name: str = "backup", previous: Path | None = None) -> tuple[Path, Manifest]:
    place = kept.data.parent / name
    return place, make(Source(kept.data, IMAGE, None), place, silent, previous)


async def test_what_is_restored_is_usable_and_private(kept: Kept) -> None:
    place, manifest = await asyncio.to_thread(made, kept)
    assert (manifest.blobs, manifest.counts["api_keys"]) == (1, 1)
    assert stat.S_IMODE(place.stat().st_mode) == 0o700, "it holds everybody's files"
    assert {stat.S_IMODE(path.stat().st_mode) for path in place.rglob("*") if path.is_file()} <= {0o600, 0o644}
    assert subprocess.run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=place, check=False).returncode == 0
    assert check(place, silent) == manifest
    target = kept.data.parent / "elsewhere" / "data"
    await asyncio.to_thread(restore, place, target, Settings(), silent)
    database = await Database.open(store_directory(target))
    blobs = await LocalBlobs.open_folder(store_directory(target) / "blobs")
    key = await keys.authenticate(database, kept.secret)
    assert key is not None
    file = await files.get(database, key.workspace_id, kept.file_id)
    assert file is not None and file.blob_key is not None
    opened = await blobs.open(file.blob_key)
    assert b"".join([chunk async for chunk in opened]) == b"content" * 1000
    container = await containers.get(database, key.workspace_id, kept.container_id)
    assert container is not None and container.deleted_at is None and container.lost_at is None
    await database.close()
    disk = target / "host" / "disks" / kept.container_id
    assert (disk / "home" / "kept.txt").read_text() == "kept"
    assert (disk / "home" / "outside").is_symlink()
    if os.geteuid() == 0:
        uid = disk.stat().st_gid
        assert (disk / "home" / "kept.txt").stat().st_uid == uid >= Settings().host.first_uid
        assert store_directory(target).stat().st_uid == Settings().host.server_uid


def test_what_is_deleted_meanwhile_is_deleted_in_the_backup_too(kept: Kept) -> None:
    live = store_directory(kept.data) / DATABASE_FILE

    def meanwhile(what: str, done: int, _total: int) -> None:
        if (what, done) == ("database", 1):
            kept.blob.unlink()
            shutil.rmtree(kept.data / "host" / "disks" / kept.container_id)
            with sqlite3.connect(live) as connection:
                connection.execute("DELETE FROM files")
                connection.execute("UPDATE containers SET deleted_at = 4711")

    manifest = make(Source(kept.data, IMAGE, None), kept.data.parent / "backup", meanwhile)
    assert (manifest.vanished.files, manifest.vanished.containers, manifest.containers) == (1, 1, [])
    target = kept.data.parent / "elsewhere"
    restore(kept.data.parent / "backup", target, Settings(), silent)
    with sqlite3.connect(store_directory(target) / DATABASE_FILE) as connection:
        assert connection.execute("SELECT count(*) FROM files").fetchone() == (0,)
        assert connection.execute("SELECT deleted_at, lost_at FROM containers").fetchone() == (4711, None)


def test_a_disk_that_was_lost_before_is_marked_as_lost(kept: Kept) -> None:
    shutil.rmtree(kept.data / "host" / "disks" / kept.container_id)
    place, manifest = made(kept)
    assert manifest.vanished.containers == 1
    with sqlite3.connect(place / "database.sqlite3") as connection:
        (deleted_at, lost_at) = connection.execute("SELECT deleted_at, lost_at FROM containers").fetchone()
    assert deleted_at is None and lost_at is not None


@pytest.mark.parametrize("what", ["database.sqlite3", "blobs/*/*", "disks/*", "SHA256SUMS", "manifest.json"])
@pytest.mark.parametrize("how", ["changed at its end", "cut off", "missing"])
def test_damage_is_found_before_anything_is_in_place(kept: Kept, what: str, how: str) -> None:
    place, _manifest = made(kept)
    (piece,) = place.glob(what)
    content = bytearray(piece.read_bytes())
    content[-3] ^= 0x40  # of the manifest, the hash of all hashes
    if how == "missing":
        piece.unlink()
    else:
        piece.write_bytes(content if how == "changed at its end" else content[: len(content) // 2])
    target = kept.data.parent / "elsewhere"
    with pytest.raises(BackupError):
        restore(place, target, Settings(), silent)
    assert not target.exists()
    with pytest.raises(BackupError):
        check(place, silent)


def test_what_is_refused(kept: Kept) -> None:
    place, manifest = made(kept)
    with pytest.raises(BackupError, match="not empty"):
        restore(place, kept.data, Settings(), silent)
    with pytest.raises(BackupError, match="a name that is free"):
        made(kept)
    with pytest.raises(BackupError, match="data directory itself"):
        make(Source(kept.data, IMAGE, None), kept.data / "store" / "backup", silent)
    with pytest.raises(BackupError, match="no backup of bathysphere"):
        restore(kept.data, kept.data.parent / "elsewhere", Settings(), silent)
    newer = manifest.model_copy(update={"schema_revision": "9999"})
    (place / "manifest.json").write_text(newer.model_dump_json())
    with pytest.raises(BackupError, match="newer version"):
        restore(place, kept.data.parent / "elsewhere", Settings(), silent)
    assert not (kept.data.parent / "elsewhere").exists()


def test_a_full_destination_leaves_nothing_half_written(kept: Kept) -> None:
    program = (
        "mount -t tmpfs -o size=400k tmpfs $0 && cd / && "
        f"{sys.executable} -m bathysphere backup $0/backup --data $1; echo status $?; ls -A $0"
    )
    place = kept.data.parent / "small"
    place.mkdir()
    (kept.blob).write_bytes(os.urandom(600_000))
    alone = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--mount", "--map-root-user"]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [*alone, "sh", "-c", program, str(place), str(kept.data)],
        capture_output=True, text=True, check=True, env=environment,
    )  # fmt: skip
    assert done.stdout == "status 1\n", done.stdout + done.stderr
    assert "No space left" in done.stderr and "nothing of it is left" in done.stderr


def test_a_series_shares_what_has_not_changed_and_keeps_the_newest(kept: Kept) -> None:
    folder = kept.data.parent / "series"
    folder.mkdir()
    places: list[Path] = []
    for number in range(3):
        place = folder / f"2026010{number + 1}T000000Z"
        make(Source(kept.data, IMAGE, None), place, silent, places[-1] if places else None)
        places.append(place)
    (folder / "20260109T000000Z").mkdir()  # no backup: it is left alone
    assert series.backups(folder) == places
    (blob,) = places[2].glob("blobs/*/*")
    assert blob.stat().st_nlink == 3
    assert series.remove_old(folder, 2) == places[:1]
    assert sorted(path.name for path in folder.iterdir()) == [
        "20260102T000000Z",
        "20260103T000000Z",
        "20260109T000000Z",
    ]
    check(places[2], silent)


def test_an_older_schema_is_backed_up_as_it_is_and_restored_as_todays(tmp_path: Path) -> None:
    data = tmp_path / "data"
    store_directory(data).mkdir(parents=True)
    migrate(store_directory(data) / DATABASE_FILE, revisions()[0])
    manifest = make(Source(data, IMAGE, None), tmp_path / "backup", silent)
    assert manifest.schema_revision == revisions()[0]
    restore(tmp_path / "backup", tmp_path / "restored", Settings(), silent)
    with sqlite3.connect(store_directory(tmp_path / "restored") / DATABASE_FILE) as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchone() == (revisions()[-1],)


def test_every_column_that_names_a_blob_is_known() -> None:
    """Another one would have to be copied too: see snapshot.Snapshot.blobs and without."""
    named = {table.name for table in Base.metadata.tables.values() if "blob_key" in table.columns}
    assert named == {"files", "skill_versions"}
