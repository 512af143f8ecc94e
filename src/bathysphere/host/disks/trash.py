"""Where disks are while they are made or removed, so that at their own place they are always whole."""

from __future__ import annotations

import errno
import logging
import os
import stat
from pathlib import Path

from bathysphere.host.processes import run

log = logging.getLogger(__name__)

_AT_ONCE_BYTES = 64 * 1024 * 1024
"""A file that takes no more than this is removed by the daemon itself: that is faster than to start a program."""


def is_full(error: OSError) -> bool:
    """Whether an operation failed for want of room."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT)


class Trash:
    """A folder beside the disks, on the same file system."""

    def __init__(self, disks: Path, *, repair_rights: bool = False) -> None:
        """``repair_rights``: containers may have taken the rights to their folders from their user, who is ours."""
        self._folder = disks.with_name(f"{disks.name}-removed")
        self._folder.mkdir(mode=0o711, parents=True, exist_ok=True)
        self._folder.chmod(0o711)
        self._repair_rights = repair_rights
        self._left = list(self._folder.iterdir())

    def place(self, container_id: str) -> Path:
        """A path in it that nothing has."""
        return self._folder / f"{container_id}.{os.urandom(8).hex()}"

    def entries(self) -> list[Path]:
        """What an earlier daemon left."""
        left, self._left = self._left, []
        return left

    def users(self) -> set[int]:
        """User ids to which an earlier daemon's leavings may still belong."""
        return {entry.lstat().st_gid for entry in self._left}

    async def burn(self, entry: Path) -> None:
        """Remove a tree or a file in it. Nothing there is no error."""
        if _removed_at_once(entry):
            return
        # rm follows no symbolic link and copes with trees of any depth, which a recursion here would not.
        if self._repair_rights:
            await run(["/bin/chmod", "-R", "u+rwX", "--", str(entry)])
        if await run(["/bin/rm", "-rf", "--one-file-system", "--", str(entry)]) != 0:
            log.error("%s could not be removed entirely", entry)


def _removed_at_once(entry: Path) -> bool:
    """Remove a small file. False when it is something else."""
    try:
        info = entry.lstat()
    except FileNotFoundError:
        return True
    if not stat.S_ISREG(info.st_mode) or info.st_blocks * 512 > _AT_ONCE_BYTES:
        return False
    entry.unlink(missing_ok=True)
    return True
