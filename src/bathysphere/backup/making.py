"""Making a backup: database, blobs, containers' disks, skills; the manifest last, and then the name."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import os
import shutil
import stat
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from bathysphere import __version__
from bathysphere.backup import snapshot
from bathysphere.backup.disks import DiskCopies
from bathysphere.backup.failure import BackupError
from bathysphere.backup.manifest import (
    CONFIGURATION,
    DATABASE,
    FORMAT,
    SKILLS,
    BackedUpContainer,
    ImageNamed,
    Manifest,
)
from bathysphere.backup.packing import pack_folder
from bathysphere.backup.pieces import CHUNK, Piece, Sums, add
from bathysphere.host.disks.trash import is_full
from bathysphere.host.syscalls import sync_file_system
from bathysphere.settings import skills_directory, store_directory

Say = Callable[[str, int, int], None]
"""What is being copied, how many of it are, and how many there are."""

_PARTIAL: Final = ".partial-"
_AT_ONCE: Final = 4
"""Disks that are copied beside each other: each waits for the call that runs in its container."""

_TIMES: Final = 3
"""So often the operator's skills are read anew when they change meanwhile."""


@dataclass(frozen=True, slots=True)
class Source:
    """What is to be backed up."""

    data: Path
    image: ImageNamed
    configuration: Path | None
    """The file with the settings, if there is one."""


def make(source: Source, destination: Path, say: Say, previous: Path | None = None) -> Manifest:
    """Make a backup: ``destination`` is there afterwards, whole, or not at all.

    Blobs that ``previous`` has, a backup on the same file system, are shared with it by hard links. Raises BackupError.
    """
    destination = destination.absolute()
    if destination.resolve().is_relative_to(source.data.resolve()):
        raise BackupError(f"{destination} lies in the data directory itself. Choose another place, on another disk.")
    if destination.is_symlink() or (destination.exists() and (not destination.is_dir() or any(destination.iterdir()))):
        raise BackupError(f"{destination} exists. A backup makes its own directory; give a name that is free.")
    if not destination.parent.is_dir():
        raise BackupError(f"There is no directory {destination.parent}. Make it, or mount what is to be there.")
    try:
        with _partial(destination) as folder:
            manifest = _fill(source, folder, say, previous)
            if destination.is_dir():
                destination.rmdir()
            folder.rename(destination)
        _sync(destination.parent)
    except OSError as error:
        raise BackupError(_why(error, destination)) from error
    return manifest


def _why(error: OSError, destination: Path) -> str:
    said = f"The backup cannot be made: {error.strerror or error}" + (f" ({error.filename})" if error.filename else "")
    if is_full(error):
        return f"{said}. Make room for {destination}; nothing of it is left there."
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"{said}. Run it as root, or as the user whom the server runs as."
    return f"{said}."


@contextlib.contextmanager
def _partial(destination: Path) -> Iterator[Path]:
    """A folder beside it that is removed unless it gets another name; those of killed backups are removed too."""
    for left in destination.parent.glob(f".*{_PARTIAL}*"):
        with contextlib.suppress(OSError), _locked(left):
            shutil.rmtree(left)
    folder = destination.with_name(f".{destination.name}{_PARTIAL}{os.urandom(6).hex()}")
    folder.mkdir(mode=0o700)
    try:
        with _locked(folder):
            yield folder
    finally:
        if folder.exists():
            shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold a folder; the kernel lets go of what a killed process held. Raises BlockingIOError when another has it."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)


def _fill(source: Source, folder: Path, say: Say, previous: Path | None) -> Manifest:
    began = time.monotonic()
    store = store_directory(source.data)
    sums = Sums()
    at = datetime.now(UTC)
    say("database", 0, 1)
    snapshot.take(store, folder)
    state = snapshot.Snapshot(folder)
    say("database", 1, 1)
    wanted = state.blobs()
    gone_blobs = _copy_blobs(store / "blobs", folder, wanted, sums, say, previous)
    ids = state.containers()
    containers, gone_ids = asyncio.run(_copy_disks(source.data, folder, ids, sums, say))
    vanished = state.without(gone_blobs, snapshot.deletions(store, gone_ids))
    state.check()
    add(folder, DATABASE, sums)
    _copy_skills(skills_directory(source.data), folder, sums)
    if source.configuration is not None:
        with Piece(folder, CONFIGURATION, sums) as piece:
            piece.write(source.configuration.read_bytes())
    say("writing back", 0, 1)
    digest = sums.write(folder)
    _sync(folder)
    manifest = Manifest(
        format=FORMAT,
        made_by=__version__,
        schema_revision=state.revision(),
        at=at,
        privileged=os.geteuid() == 0,
        image=source.image,
        counts=state.counts(),
        blobs=len(wanted) - len(gone_blobs),
        containers=containers,
        vanished=vanished,
        bytes=sums.bytes,
        seconds=round(time.monotonic() - began, 3),
        sums_sha256=digest,
    )
    manifest.write(folder)
    _sync(folder)
    say("writing back", 1, 1)
    return manifest


def _copy_blobs(
    blobs: Path, folder: Path, wanted: list[snapshot.Blob], sums: Sums, say: Say, previous: Path | None
) -> list[str]:
    """Copy them; the keys of those that have been deleted meanwhile."""
    known = {} if previous is None else Sums.read(previous, Manifest.read(previous).sums_sha256).digests
    gone = []
    for number, blob in enumerate(wanted):
        path = f"blobs/{blob.path}"
        if previous is not None and path in known and _linked(previous / path, folder / path):
            # What has this key has had these bytes ever since.
            sums.add(path, known[path], (folder / path).stat().st_size)
        elif not _copy_blob(blobs, blob, folder, path, sums):
            gone.append(blob.key)
        say("files", number + 1, len(wanted))
    return gone


def _linked(old: Path, new: Path) -> bool:
    new.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        os.link(old, new, follow_symlinks=False)
    except OSError:
        return False
    return True


def _copy_blob(blobs: Path, blob: snapshot.Blob, folder: Path, path: str, sums: Sums) -> bool:
    """False when it is not there. The folder is the server's: no link in there is followed."""
    shelf, name = blob.path.split("/")
    try:
        inside = os.open(blobs / shelf, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=inside)
    except FileNotFoundError:
        return False
    finally:
        os.close(inside)
    with os.fdopen(descriptor, "rb", 0) as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise BackupError(f"{blobs / blob.path} is no file. Something has changed the data directory by hand.")
        with Piece(folder, path, sums) as piece:
            while data := file.read(CHUNK):
                piece.write(data)
    return True


async def _copy_disks(
    data: Path, folder: Path, ids: list[str], sums: Sums, say: Say
) -> tuple[list[BackedUpContainer], list[str]]:
    """Copies of the containers' disks; and the containers that have none any more."""
    copied: dict[str, BackedUpContainer | None] = {}
    copies = DiskCopies(data, folder, sums)
    room = asyncio.Semaphore(_AT_ONCE)

    async def copy(container_id: str) -> None:
        async with room:
            copied[container_id] = await copies.copy(container_id)
        say("containers", len(copied), len(ids))

    failures: tuple[BaseException, ...] = ()
    try:
        async with asyncio.TaskGroup() as tasks:
            for container_id in ids:
                tasks.create_task(copy(container_id))
    except* (BackupError, OSError) as failed:
        failures = failed.exceptions
    finally:
        await copies.close()
    if failures:
        raise failures[0]  # the others were cancelled for it
    found = [copied[container_id] for container_id in ids]
    return [disk for disk in found if disk is not None], [name for name in ids if copied[name] is None]


def _copy_skills(skills: Path, folder: Path, sums: Sums) -> None:
    if not skills.is_dir():
        return
    for attempt in range(1, _TIMES + 1):
        try:
            pack_folder(skills, lambda: Piece(folder, SKILLS, sums))
            return
        except OSError as error:
            if is_full(error) or attempt == _TIMES:
                raise


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        sync_file_system(descriptor)
    finally:
        os.close(descriptor)
