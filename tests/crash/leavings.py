"""What a server and its host have on a machine, and what they left."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import subprocess
import time
from pathlib import Path

from bathysphere.host.cgroups import Hierarchies
from bathysphere.host.configuration import Configuration
from bathysphere.host.warm_pool import PREFIX
from bathysphere.image.definition import Definition
from bathysphere.image.image import find
from bathysphere.settings import Settings, store_directory
from bathysphere.store.database import DATABASE_FILE
from tests.crash.processes import family
from tests.server import Server

_LONG_AGO = 2 * 3600.0
"""Seconds: what is as old as that and belongs to nobody is removed when a server starts."""


def configuration(server: Server) -> Configuration:
    """The one of the server's daemon."""
    image = find()
    assert image is not None
    return Configuration.of(
        server.data, Settings.load(server.data.parent / "bathysphere.toml"), image.root, Definition.load().environment
    )


def loop_devices(server: Server) -> list[str]:
    """Those over a file below the data directory, also over a removed one."""
    found = []
    for backing in Path("/sys/block").glob("loop*/loop/backing_file"):
        try:
            file = backing.read_text().strip()
        except OSError:
            continue  # taken away at this moment
        if file.startswith(f"{server.data}/"):
            found.append(f"{backing.parts[3]} over {file}")
    return found


def mounts(server: Server, process: int | str = "self") -> list[str]:
    """Mount points, as a process sees them, of something that lies below the data directory or in a loop device."""
    found = []
    for line in Path(f"/proc/{process}/mountinfo").read_text().splitlines():
        before, _, after = line.partition(" - ")
        root, point = before.split()[3:5]
        source = after.split()[1]
        if str(server.data) in (root + point) or source.startswith("/dev/loop"):
            found.append(f"{source} {root} at {point}")
    return found


def groups(server: Server, ended: bool = False) -> list[str]:
    """Control groups of the daemon's sandboxes; when it has ended, its own too."""
    name = configuration(server).name
    bases = {root / name for root in Hierarchies.find().roots.values()}
    found = {path for base in bases if base.is_dir() for path in base.glob("*/")}
    return sorted(str(path) for path in (found | {base for base in bases if base.is_dir()} if ended else found))


def sandbox_processes(server: Server) -> list[str]:
    """Processes with a user id of a sandbox; without root, those of bubblewrap and below.

    What has ended and waits for the system's first process to take leave of it is nobody's any more.
    """
    processes = family(server)
    found = {pid for role in ("monitor", "guest", "program") for pid in processes[role]}
    for folder in Path("/proc").iterdir():
        with contextlib.suppress(OSError, ValueError):
            if folder.name.isdigit() and folder.stat().st_uid in server.uids:
                found.add(int(folder.name))
    return [f"process {pid}: {said}" for pid in sorted(found) if (said := _alive(pid))]


def _alive(pid: int) -> str:
    """A process's state and command; nothing when it has ended."""
    try:
        name, _, fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")
        command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""
    state, parent = fields.split()[:2]
    return "" if state in "ZX" else f"{state}, child of {parent}, {command[:200] or name.partition('(')[2]}"


def half_made(server: Server) -> list[str]:
    """Disks, templates and blobs that are being made or removed."""
    folders = (server.data / "host" / "disks-removed", server.data / "store" / "blobs" / ".unfinished")
    found = [str(entry) for folder in folders if folder.is_dir() for entry in folder.iterdir()]
    return found + [str(entry) for entry in (server.data / "host").glob("disks-template-*.*")]


def disks(server: Server) -> set[str]:
    """The containers that have a disk. Those that are kept ready are nobody's yet."""
    return {entry.name for entry in (server.data / "host" / "disks").iterdir() if not entry.name.startswith(PREFIX)}


def age(server: Server) -> None:
    """Make every disk and every blob look as if it had been made long ago."""
    then = time.time() - _LONG_AGO
    for disk in (server.data / "host" / "disks").iterdir():
        if disk.is_file():
            os.setxattr(disk, "user.bathysphere.made", str(then).encode())
        else:
            os.utime(disk, (then, then))
    for blob in _blobs(server).values():
        os.utime(blob, (then, then))


def _blobs(server: Server) -> dict[str, Path]:
    return {path.parent.name + path.name: path for path in (store_directory(server.data) / "blobs").glob("??/*")}


def damaged(server: Server) -> list[str]:
    """Disks of an ended server whose file systems are not as they should be."""
    found = []
    for disk in sorted((server.data / "host" / "disks").iterdir()):
        if disk.is_file():
            checked = subprocess.run(["e2fsck", "-fn", str(disk)], capture_output=True, text=True, check=False)
            if checked.returncode != 0:
                found.append(f"{disk.name}: {checked.stdout[-500:]}")
    return found


def stored_files(server: Server) -> tuple[dict[str, Path], set[str]]:
    """Of an ended server: the files of the Files API by id, and what lies in the folder beside them or is missing."""
    blobs = _blobs(server)
    database = sqlite3.connect(f"file:{store_directory(server.data) / DATABASE_FILE}?mode=ro", uri=True)
    try:
        rows = dict(database.execute("select id, blob_key from files where blob_key is not null").fetchall())
        keys = {*rows.values(), *(key for (key,) in database.execute("select blob_key from skill_versions"))}
    finally:
        database.close()
    return {file_id: blobs[key] for file_id, key in rows.items() if key in blobs}, keys ^ set(blobs)
