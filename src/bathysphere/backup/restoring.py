"""Putting a backup into an empty data directory: all of it, checked, or nothing."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from bathysphere.backup.failure import BackupError
from bathysphere.backup.making import Say
from bathysphere.backup.manifest import CONFIGURATION, DATABASE, SKILLS, BackedUpContainer, Manifest
from bathysphere.backup.packing import unpack_folder, unpack_image
from bathysphere.backup.pieces import Checked, Sums
from bathysphere.backup.snapshot import Snapshot
from bathysphere.host.configuration import Configuration
from bathysphere.host.disks import filesystem
from bathysphere.host.disks.base import PLACES
from bathysphere.host.disks.images import MADE
from bathysphere.host.disks.uids import UserIds, range_of
from bathysphere.host.privileges import own
from bathysphere.host.syscalls import sync_file_system
from bathysphere.settings import Settings, skills_directory, store_directory
from bathysphere.store.database import DATABASE_FILE, DatabaseError, migrate, revisions

_BLOB: Final = re.compile(r"blobs/[0-9a-f]{2}/[0-9a-f]{30}")
_WORK: Final = ".restoring"


def check(backup: Path, say: Say) -> Manifest:
    """Read all of a backup and compare it with what was written. Raises BackupError."""
    manifest, sums = _opened(backup)
    for number, (path, digest) in enumerate(sums.digests.items()):
        Checked(backup, path, digest).finish()
        say("checking", number + 1, len(sums.digests))
    return manifest


def restore(backup: Path, data: Path, settings: Settings, say: Say) -> Manifest:
    """Put a backup into ``data``, which is empty or not there. Raises BackupError; then nothing is in it."""
    manifest, sums = _opened(backup)
    root = os.geteuid() == 0
    if not root and any(container.kind == "image" for container in manifest.containers):
        raise BackupError("The containers' disks in this backup are file systems of their own: restore it as root.")
    data = data.absolute()
    if data.is_symlink() or (data.exists() and (not data.is_dir() or any(data.iterdir()))):
        raise BackupError(f"{data} exists and is not empty. Nothing is overwritten: give another directory.")
    made = not data.exists()
    try:
        data.mkdir(mode=0o711 if root else 0o700, parents=True, exist_ok=True)
        work = data / _WORK
        with _removed_unless_done(work, data if made else None):
            work.mkdir(mode=0o700)
            Restoring(backup, work, manifest, sums, settings, data).run(say)
            data.chmod(0o711 if root else 0o700)
            for part in ("host", "skills", "store"):  # without the last it is no data directory yet
                if (work / part).exists():
                    (work / part).rename(data / part)
            work.rmdir()
            _sync(data)
    except OSError as error:
        why = f"{error.strerror or error}" + (f" ({error.filename})" if error.filename else "")
        raise BackupError(f"The backup cannot be restored: {why}. Nothing of it is in {data}.") from error
    return manifest


def _opened(backup: Path) -> tuple[Manifest, Sums]:
    manifest = Manifest.read(backup)
    if manifest.schema_revision not in revisions():
        raise BackupError(
            f"The database in {backup} was written by a newer version of bathysphere (schema "
            f"{manifest.schema_revision!r}, made by {manifest.made_by}). Restore it with that version."
        )
    sums = Sums.read(backup, manifest.sums_sha256)
    disks = {container.path for container in manifest.containers}
    rest = [path for path in sums.digests if not _BLOB.fullmatch(path) and path not in disks]
    blobs = len(sums.digests) - len(rest) - len(disks & set(sums.digests))
    if (
        not set(rest) <= {DATABASE, SKILLS, CONFIGURATION}
        or DATABASE not in rest
        or not disks <= set(sums.digests)
        or blobs != manifest.blobs
    ):
        raise BackupError(f"{backup} does not hold what its manifest says. The backup is damaged.")
    return manifest, sums


@contextlib.contextmanager
def _removed_unless_done(work: Path, also: Path | None) -> Iterator[None]:
    try:
        yield
    except BaseException:
        shutil.rmtree(work, ignore_errors=True)
        if also is not None:
            with contextlib.suppress(OSError):
                also.rmdir()
        raise


class Restoring:
    """One restore, into the folder ``work``."""

    def __init__(
        self, backup: Path, work: Path, manifest: Manifest, sums: Sums, settings: Settings, data: Path
    ) -> None:
        self._backup = backup
        self._work = work
        self._manifest = manifest
        self._sums = sums
        self._containers = {container.path: container for container in manifest.containers}
        self._server = settings.host.server_uid
        self._root = os.geteuid() == 0
        configuration = Configuration.of(data, settings, data, {})
        self._uids = UserIds(*range_of(configuration.host, configuration.name), 0)

    def run(self, say: Say) -> None:
        """Everything but its last names. Raises BackupError and OSError."""
        store, host, disks = store_directory(self._work), self._work / "host", self._work / "host" / "disks"
        for folder, mode in ((store, 0o700), (store / "blobs", 0o700), (host, 0o700), (disks, 0o711)):
            folder.mkdir()
            folder.chmod(mode)
        for number, (path, digest) in enumerate(self._sums.digests.items()):
            piece = Checked(self._backup, path, digest)
            self._put(path, piece)
            piece.finish()
            say("restoring", number + 1, len(self._sums.digests))
        self._check()
        try:
            migrate(store / DATABASE_FILE)
        except DatabaseError as error:
            raise BackupError(str(error)) from error
        if self._root:
            own(store, self._server)
            os.chown(host, 0, self._server)
            host.chmod(0o710)
        _sync(self._work)

    def _put(self, path: str, piece: Checked) -> None:
        store = store_directory(self._work)
        if path == DATABASE:
            _write(store / DATABASE_FILE, lambda file: _pour(piece, file))
        elif path == SKILLS:
            skills_directory(self._work).mkdir(mode=0o755)
            unpack_folder(piece, skills_directory(self._work))
        elif path in self._containers:
            self._put_disk(self._containers[path], piece)
        elif path != CONFIGURATION:
            shelf = store / Path(path).parent
            if not shelf.exists():
                shelf.mkdir(mode=0o700)
            _write(store / path, lambda file: _pour(piece, file))

    def _put_disk(self, container: BackedUpContainer, piece: Checked) -> None:
        place = self._work / "host" / "disks" / container.id
        if container.engine is not None:
            engines = self._work / "host" / "engines"
            engines.mkdir(mode=0o700, exist_ok=True)
            (engines / container.id).write_text(container.engine)
        if container.kind == "folder":
            place.mkdir(mode=0o710)
            unpack_folder(piece, place)
            if self._root:
                self._give_away(place)
            return
        _write(place, lambda file: unpack_image(piece, file))
        with contextlib.suppress(OSError):  # not every file system has attributes
            if container.made is not None:
                os.setxattr(place, MADE, str(container.made).encode())
            if container.usage is not None:
                os.setxattr(place, filesystem.USAGE, container.usage.encode())

    def _give_away(self, place: Path) -> None:
        """To a user of its own, of this host and this data directory: the number is noted as the folder's group."""
        uid = self._uids.take().uid
        parts = [str(place / part) for part, _mode in PLACES[:3]]
        subprocess.run(["/bin/chown", "-hR", "--", f"{uid}:{uid}", *parts], check=True, env={}, cwd="/")
        os.chown(place, 0, uid)
        place.chmod(0o710)

    def _check(self) -> None:
        """Whether the parts fit together."""
        state = Snapshot(self._work / "store", DATABASE_FILE)
        state.check()
        there = {path.removeprefix("blobs/") for path in self._sums.digests}
        missing = [blob.key for blob in state.blobs() if blob.path not in there]
        ids = {container.id for container in self._manifest.containers}
        lost = [container_id for container_id in state.containers(lost=False) if container_id not in ids]
        if missing or lost:
            raise BackupError(
                f"The backup's database names what is not in it: {len(missing)} files, {len(lost)} containers."
            )


def _write(path: Path, fill: Callable[[int], None]) -> None:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        fill(descriptor)
    finally:
        os.close(descriptor)


def _pour(piece: Checked, target: int) -> None:
    for data in piece:
        view = memoryview(data)
        while view:
            view = view[os.write(target, view) :]


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        sync_file_system(descriptor)
    finally:
        os.close(descriptor)
