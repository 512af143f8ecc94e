"""Unpacking the tar file of a root file system that somebody else may have made."""

from __future__ import annotations

import os
import tarfile
from pathlib import Path

from bathysphere.image.errors import ImageError


def unpack(archive: tarfile.TarFile, root: Path) -> None:
    """Unpack a root file system below ``root``, which is made. Nothing is written outside it.

    Device nodes, pipes and setuid bits are left out. Raises ``ImageError`` for a member that points outside,
    and ``tarfile.ReadError`` when the file is cut off.
    """
    root.mkdir(parents=True, exist_ok=True)
    try:
        archive.extractall(root, filter=_checked, numeric_owner=True)  # noqa: S202 - checked, each one
    except (tarfile.FilterError, KeyError, EOFError) as error:
        raise ImageError(f"The tar file cannot be used as an image: {error}") from error


def _checked(member: tarfile.TarInfo, destination: str) -> tarfile.TarInfo | None:
    if not (member.isreg() or member.isdir() or member.issym() or member.islnk()):
        return None
    # Refuses names that lead out of the destination, also through links unpacked before; clears setuid bits.
    member = tarfile.tar_filter(member, destination)
    if member.islnk():
        # What tar_filter does not look at: a hard link would give the tree a file of this machine.
        target = os.path.realpath(Path(destination, member.linkname.lstrip("/")))
        if os.path.commonpath([target, os.path.realpath(destination)]) != os.path.realpath(destination):
            raise tarfile.LinkOutsideDestinationError(member, target)
        member = member.replace(linkname=member.linkname.lstrip("/"), deep=False)
    if member.isdir():
        member = member.replace(mode=(member.mode or 0) | 0o700, deep=False)
    return member
