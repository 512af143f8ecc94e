"""A disk's file system: made once as a template, mounted from a file, let go of.

All of this may block for long; a worker does it.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import shutil
import struct
import subprocess
import tempfile
import threading
import time
from pathlib import Path

from bathysphere.host import loop, syscalls
from bathysphere.host.disks.base import PLACES, Usage, make_skill_places
from bathysphere.host.disks.copying import copy_sparse
from bathysphere.host.processes import Identity

OWNER = 1000
"""Who owns the files on every disk. Mounted, they belong to the sandbox's own user id."""

SKILLS_OWNER = OWNER + 1
"""Who owns what the sandbox must not change. Mounted, it belongs to the keeper of the sandbox."""

BLOCK = 4096

LOCK_SECONDS = 30.0
"""How long a file may still be in use by the last mount of it."""

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_CHECK_SECONDS = 300.0
_REPAIRED = 1
"""Bit of e2fsck's status: errors were there and are mended. 0: there were none."""

_FITRIM = 0xC0185879
USAGE = "user.bathysphere.usage"
"""Attribute of a disk's file: what of it was in use when it was last detached."""

_FULL = 256 * 1024
"""A disk with less room than this counts as full."""

_WORTH_TRIMMING = 16 * 1024 * 1024

_OPTIONS = {
    # Inode tables are zero because the file began as a hole; writing zeros would only fill it.
    "noinit_itable": None,
    "errors": "remount-ro",
}

_namespaces: dict[int, int] = {}
"""User ids -> open user namespaces that map ``OWNER`` to them. They take a few milliseconds each to make."""
_making = threading.Lock()

_DAMAGED = {errno.EUCLEAN, errno.EINVAL, errno.EIO, errno.EBADMSG, errno.EFBIG, errno.ENXIO}


def _program(name: str) -> str:
    found = shutil.which(name, path=_PATH)
    if found is None:
        raise OSError(errno.ENOENT, f"{name} is not installed; install it (apt install e2fsprogs)")
    return found


def make_template(path: Path, size_bytes: int) -> None:
    """Make a file with an empty disk of that size, whole or not at all. Raises OSError."""
    journal = 4 if size_bytes < 1 << 30 else 8  # mebibytes
    features = "root_owner=0:0,assume_storage_prezeroed=1,packed_meta_blocks=1,nodiscard"
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f"{path.name}.") as folder:
        tree = Path(folder) / "tree"
        tree.mkdir()
        for place, mode in PLACES:
            (tree / place).mkdir()
            (tree / place).chmod(mode)
            os.chown(tree / place, OWNER, OWNER)
        descriptor = os.open(tree, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            make_skill_places(descriptor, SKILLS_OWNER)
        finally:
            os.close(descriptor)
        new = Path(folder) / "disk"
        with new.open("xb") as file:
            os.fchmod(file.fileno(), 0o600)
            file.truncate(size_bytes - size_bytes % BLOCK)
            made = subprocess.run(
                [
                    _program("mkfs.ext4"), "-q", "-F", "-b", str(BLOCK), "-m", "0", "-O", "^resize_inode", "-L",
                    "bathysphere", "-J", f"size={journal}", "-E", features, "-d", str(tree), str(new),
                ],
                capture_output=True, text=True, check=False, env={}, cwd="/",
            )  # fmt: skip
            if made.returncode != 0:
                raise OSError(errno.EIO, f"mkfs.ext4 failed: {made.stderr.strip()[:500]}")
            os.fsync(file.fileno())
        new.rename(path)


def lock(image: Path) -> int:
    """Open a disk's file for oneself alone; raises OSError.

    A mount of it has it locked until the kernel has let go of it entirely, whatever became of who mounted it. So a
    file is never mounted twice, nor copied while somebody writes.
    """
    descriptor = os.open(image, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    deadline = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return descriptor
        except BlockingIOError:
            if time.monotonic() > deadline:
                os.close(descriptor)
                raise OSError(errno.EBUSY, "the disk's file is still in use") from None
            time.sleep(0.001)


def mount(image: Path, target: Path, user: int) -> None:
    """Mount a disk's file, whose files belong to ``user`` then. Raises OSError.

    What a loss of power left in the journal is replayed; a file system that cannot be mounted is checked and mended
    once, as far as that goes without a decision of a person.
    """
    descriptor = lock(image)
    try:
        try:
            _mount(descriptor, image, target, user)
        except OSError as error:
            if error.errno not in _DAMAGED:
                raise
            checked = subprocess.run(
                [_program("e2fsck"), "-p", str(image)], capture_output=True, check=False, env={}, cwd="/",
                timeout=_CHECK_SECONDS, pass_fds=[descriptor],  # it stays locked if only we are killed
            )  # fmt: skip
            if checked.returncode & ~_REPAIRED:
                raise
            _mount(descriptor, image, target, user)
    finally:
        os.close(descriptor)


def _mount(descriptor: int, image: Path, target: Path, user: int) -> None:
    device, path = loop.bind(descriptor, image.name)
    try:
        # Before owners are mapped: only then the owner of the disk's root, who is root, is anybody.
        syscalls.mount_as(
            path, "ext4", target, _OPTIONS, _namespace(user), lambda disk: make_skill_places(disk, SKILLS_OWNER)
        )
    finally:
        os.close(device)


def usage(mounted: Path) -> Usage:
    """What of a mounted disk is in use."""
    info = os.statvfs(mounted)
    full = info.f_bavail * info.f_frsize < _FULL or info.f_favail == 0
    return Usage((info.f_blocks - info.f_bfree) * info.f_frsize, full)


def _namespace(user: int) -> int:
    with _making:
        if user not in _namespaces:
            # The keeper makes files on the sandbox's behalf and gives them to it at once.
            keeper = Identity(user, user).keeper
            _namespaces[user] = syscalls.user_namespace({OWNER: user, SKILLS_OWNER: keeper})
        return _namespaces[user]


def sync(mounted: Path, folder: Path | None) -> None:
    """Write back a mounted disk, and the directory that holds its file if it is given. Raises OSError."""
    descriptor = os.open(mounted, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        syscalls.sync_file_system(descriptor)
    finally:
        os.close(descriptor)
    if folder is not None:
        keep(folder)


def keep(folder: Path) -> None:
    """Make the names in a directory safe. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def copy(source: Path, new: Path) -> None:
    """Make a file that is a copy of a disk's, on the disk for good. Raises OSError; a part of it may be left."""
    held = lock(source)
    try:
        with new.open("xb") as writing:
            os.fchmod(writing.fileno(), 0o600)
            copy_sparse(held, writing.fileno())
            os.fsync(writing.fileno())
    finally:
        os.close(held)


def unmount(image: Path, target: Path) -> None:
    """Give what was freed on the disk back to the host if it is worth it, write all back, unmount. Raises OSError."""
    taken = image.stat().st_blocks * 512
    now = usage(target)
    used = now.used_bytes or 0
    with contextlib.suppress(OSError):
        os.setxattr(image, USAGE, now.text())
    if taken - used > max(_WORTH_TRIMMING, used // 4):
        root = os.open(target, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.ioctl(root, _FITRIM, struct.pack("=3Q", 0, (1 << 64) - 1, 0))
        except OSError as error:
            if error.errno not in (errno.EOPNOTSUPP, errno.EROFS, errno.EUCLEAN):
                raise
        finally:
            os.close(root)
    syscalls.unmount(target)
