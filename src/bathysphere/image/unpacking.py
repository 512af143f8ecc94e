"""Unpacking the tar file of a root file system that somebody else may have made.

``tarfile``'s own filters are not used: they came with Python 3.11.4, Debian 12 has 3.11.2, and they let a hard
link point outside.
"""

from __future__ import annotations

import os
import tarfile
from collections.abc import Iterator
from pathlib import Path

from bathysphere.image.errors import ImageError


def unpack(archive: tarfile.TarFile, root: Path) -> None:
    """Unpack a root file system below ``root``, which is made. Nothing is written outside it.

    Device nodes, pipes and setuid bits are left out. Raises ``ImageError`` for a member that points outside,
    and ``tarfile.ReadError`` when the file is cut off.
    """
    root.mkdir(parents=True, exist_ok=True)
    # Members are checked one by one between the writing of one and the next, so links made before are seen.
    archive.extraction_filter = lambda member, _: member
    try:
        archive.extractall(root, members=_checked(archive, root), numeric_owner=True)  # noqa: S202 - checked, each one
    except (KeyError, EOFError) as error:
        raise ImageError(f"The tar file cannot be used as an image: {error}") from error


def _checked(archive: tarfile.TarFile, root: Path) -> Iterator[tarfile.TarInfo]:
    real_root = os.path.realpath(root)
    for member in archive:
        if not (member.isreg() or member.isdir() or member.issym() or member.islnk()):
            continue
        member.name = member.name.lstrip("/") or "."
        _check_inside(real_root, member.name, member.name)
        if member.islnk():
            # A hard link outside would give the tree a file of this machine.
            member.linkname = member.linkname.lstrip("/")
            _check_inside(real_root, member.linkname, member.name)
        # No setuid, setgid or sticky bit, no writing for others.
        member.mode &= 0o755
        if member.isdir():
            member.mode |= 0o700
        yield member


def _check_inside(real_root: str, name: str, member: str) -> None:
    place = os.path.realpath(os.path.join(real_root, name))  # noqa: PTH118 - realpath of what may not exist
    if os.path.commonpath([place, real_root]) != real_root:
        raise ImageError(f"The tar file cannot be used as an image: {member!r} leads outside of it.")
