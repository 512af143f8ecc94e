"""What is put right in a tree from outside, after it was built or brought in.

Nothing in it is trusted: a path that leads through a symbolic link is refused, never followed.
"""

from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path

from bathysphere.image.definition import Definition
from bathysphere.image.errors import ImageError


def settle(root: Path, definition: Definition) -> None:
    """Empty the mount points, write the few files that name the machine, and make every mode fit a sandbox.

    A sandbox sees the tree read-only under an arbitrary uid, so everything must be readable by others, and
    nothing may be setuid. Raises ``ImageError`` if a path of the definition is a link or a plain file.
    """
    for mount_point in definition.mount_points:
        _empty_directory(root, mount_point)
    _write(root, "/etc/hosts", "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n")
    _write(root, "/etc/hostname", definition.hostname + "\n")
    _write(root, "/etc/resolv.conf", "")
    _write(root, "/etc/machine-id", "")
    _settle_modes(root)


def _real(root: Path, path: str) -> Path:
    """The place of an image path on this machine, after a check that no part of it is a symbolic link."""
    place = root
    for part in Path(path).relative_to("/").parts:
        place = place / part
        if place.is_symlink():
            raise ImageError(f"{place} is a symbolic link where the image needs a real {path}; build it anew.")
    return place


def _empty_directory(root: Path, path: str) -> None:
    parent = _real(root, str(Path(path).parent))
    place = parent / Path(path).name
    if place.is_symlink():
        place.unlink()
    elif place.exists():
        shutil.rmtree(place)
    place.mkdir(parents=True, mode=0o755)


def _write(root: Path, path: str, text: str) -> None:
    place = _real(root, str(Path(path).parent)) / Path(path).name
    place.unlink(missing_ok=True)
    with os.fdopen(os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o644), "w") as file:
        file.write(text)


def _settle_modes(root: Path) -> None:
    for parent, directories, files in os.walk(root):
        for name in [*directories, *files]:
            path = os.path.join(parent, name)  # noqa: PTH118 - 60 000 of them
            status = os.lstat(path)
            mode = stat.S_IMODE(status.st_mode)
            if stat.S_ISLNK(status.st_mode):
                continue
            if not (stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)):
                os.unlink(path)  # noqa: PTH108 - device nodes, sockets and pipes have no place in an image
                continue
            wanted = (mode & ~(stat.S_ISUID | stat.S_ISGID | stat.S_IWGRP | stat.S_IWOTH)) | 0o444
            if stat.S_ISDIR(status.st_mode) or mode & 0o111:
                wanted |= 0o111
            if wanted != mode:
                os.chmod(path, wanted)  # noqa: PTH101
            if "security.capability" in os.listxattr(path, follow_symlinks=False):
                os.removexattr(path, "security.capability", follow_symlinks=False)
    root.chmod(0o755)
