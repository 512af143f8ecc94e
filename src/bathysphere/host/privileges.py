"""Giving privileges up: of the daemon all that it does not need, of the server everything.

As root, only the daemon and the keeper that starts it keep any. Whoever takes over the process that speaks HTTP
has an ordinary account that owns the database and the files, and nothing else of this machine.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import stat
from collections.abc import Iterable, Iterator
from enum import IntEnum
from pathlib import Path

from bathysphere.host import syscalls

PR_CAPBSET_DROP = 24
PR_SET_NO_NEW_PRIVS = 38
_LAST_CAPABILITY = Path("/proc/sys/kernel/cap_last_cap")
_VERSION_3 = 0x20080522


class Capability(IntEnum):
    """Capabilities of the kernel that the daemon has a use for, by their numbers."""

    CHOWN = 0
    DAC_OVERRIDE = 1
    FOWNER = 3
    KILL = 5
    SETGID = 6
    SETUID = 7
    SYS_CHROOT = 18
    SYS_PTRACE = 19
    SYS_ADMIN = 21
    SYS_RESOURCE = 24


DAEMON = frozenset(
    {
        Capability.CHOWN,  # disks belong to their sandbox's user
        Capability.DAC_OVERRIDE,  # and are removed without the leave of what is in them
        Capability.FOWNER,
        Capability.KILL,  # sandboxes run as other users
        Capability.SETGID,
        Capability.SETUID,
        Capability.SYS_ADMIN,  # mounts, in a namespace of its own
        Capability.SYS_RESOURCE,  # open files beyond the soft limit of whoever started it
    }
)
"""What the daemon keeps."""


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _Sets(ctypes.Structure):
    _fields_ = (("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32))


def keep_only(capabilities: Iterable[Capability]) -> None:
    """Give up every other capability, for this process and for all that it starts. Raises OSError."""
    kept = set(capabilities)
    bound = _own("CapBnd")
    for number in range(int(_LAST_CAPABILITY.read_text()) + 1):
        if number not in kept and bound >> number & 1:
            syscalls.prctl(PR_CAPBSET_DROP, number)
    mask = sum(1 << capability for capability in kept) & _own("CapPrm")
    sets = (_Sets * 2)()
    for word in range(2):
        sets[word].effective = sets[word].permitted = mask >> (32 * word) & 0xFFFFFFFF
    syscalls.capset(ctypes.byref(_Header(_VERSION_3, 0)), sets)


def _own(which: str) -> int:
    """One of this process's sets of capabilities, a bit for each."""
    status = Path("/proc/self/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith(f"{which}:")).split()[1], 16)


def become(uid: int) -> None:
    """Become an ordinary user for good: no groups, no capabilities, no way to gain any. Raises OSError."""
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
    keep_nothing_to_gain()


def keep_nothing_to_gain() -> None:
    """No program that this process starts can have more privileges than it has. Raises OSError."""
    syscalls.prctl(PR_SET_NO_NEW_PRIVS, 1)


def show(paths: Iterable[Path], uid: int) -> None:
    """Let ``uid`` reach ``paths`` in a mount namespace of this process, where directories above keep it out.

    Such a directory (/root, or a private data directory) is covered by an empty one that holds the way to ``paths``
    and nothing else. Paths that do not exist are left out. Raises OSError.
    """
    blocked: dict[Path, list[Path]] = {}
    for path in sorted({path.absolute() for path in paths if path.exists()}):
        wall = next((parent for parent in reversed(path.parents) if not _searchable(parent, uid)), None)
        if wall is not None:
            blocked.setdefault(wall, []).append(path)
    if not blocked:
        return
    syscalls.unshare_mounts()
    for wall, hidden in blocked.items():
        held = {path: os.open(path, os.O_PATH | os.O_CLOEXEC) for path in hidden}
        syscalls.mount(None, wall, "tmpfs", syscalls.MS_NOSUID | syscalls.MS_NODEV, "mode=0755,size=1m")
        for path, descriptor in held.items():
            if not path.exists():
                _make_way(path, stat.S_ISDIR(os.fstat(descriptor).st_mode))
                source = Path(f"/proc/self/fd/{descriptor}")
                syscalls.mount(source, path, None, syscalls.MS_BIND | syscalls.MS_REC)
            os.close(descriptor)
        flags = syscalls.MS_REMOUNT | syscalls.MS_RDONLY | syscalls.MS_NOSUID | syscalls.MS_NODEV
        syscalls.mount(None, wall, None, flags, "mode=0755,size=1m")


@contextlib.contextmanager
def acting_as_owner_of(folder: Path, paths: Iterable[Path]) -> Iterator[None]:
    """As root, have the rights of a folder's owner for a while, so that no link of theirs leads any further.

    ``paths`` are what must be within reach meanwhile. For others, and where root is the owner, nothing changes.
    """
    owner = folder.stat().st_uid if folder.is_dir() else 0
    if os.geteuid() != 0 or owner == 0:
        yield
        return
    show([folder, *paths], owner)
    os.setegid(owner)
    os.seteuid(owner)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)


def own(folder: Path, uid: int) -> None:
    """Give a folder and all in it to ``uid``, unless it is theirs already. No link is followed. Raises OSError."""
    if folder.stat().st_uid == uid:
        return
    for _path, directories, files, descriptor in os.fwalk(folder, follow_symlinks=False):
        for name in [*directories, *files]:
            os.chown(name, uid, uid, dir_fd=descriptor, follow_symlinks=False)
    os.chown(folder, uid, uid)


def _make_way(path: Path, directory: bool) -> None:
    before = os.umask(0o022)
    try:
        if directory:
            path.mkdir(parents=True)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
    finally:
        os.umask(before)


def _searchable(directory: Path, uid: int) -> bool:
    status = directory.stat()
    if status.st_uid == uid:
        return bool(status.st_mode & stat.S_IXUSR)
    if status.st_gid == uid:
        return bool(status.st_mode & stat.S_IXGRP)
    return bool(status.st_mode & stat.S_IXOTH)
