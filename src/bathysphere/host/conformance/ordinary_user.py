"""Becoming an ordinary user in the middle of a program, with Python where such a user could not reach it."""

from __future__ import annotations

import os
import stat
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

from bathysphere.host import syscalls


def become(uid: int) -> None:
    """Be this user from now on, for good (root only).

    What of Python lies in a folder that is closed to others, as in root's home, is shown to this process at its
    place: in a mount namespace of its own. Raises OSError.
    """
    needed = {Path(entry).resolve() for entry in (*sys.path, sys.prefix, sys.base_prefix) if entry}
    syscalls.unshare_mounts()
    _open_up(path for path in needed if path.exists())
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
    os.environ["HOME"] = "/nonexistent"
    os.chdir("/")


def _open_up(paths: Iterable[Path]) -> None:
    closed: dict[Path, list[Path]] = {}
    for path in sorted(paths):
        for folder in reversed(path.parents):
            if not folder.stat().st_mode & stat.S_IXOTH:
                closed.setdefault(folder, []).append(path)
                break
    for folder, inside in closed.items():
        with tempfile.TemporaryDirectory() as aside:
            syscalls.mount(folder, Path(aside), None, syscalls.MS_BIND | syscalls.MS_REC)
            syscalls.mount(None, folder, "tmpfs", syscalls.MS_NOSUID | syscalls.MS_NODEV, "mode=0755,size=1m")
            shown: list[Path] = []
            for path in inside:
                if any(path.is_relative_to(other) for other in shown):
                    continue
                source = Path(aside) / path.relative_to(folder)
                path.parent.mkdir(parents=True, exist_ok=True)
                if source.is_dir():
                    path.mkdir()
                else:
                    path.touch()
                syscalls.mount(source, path, None, syscalls.MS_BIND | syscalls.MS_REC)
                shown.append(path)
            syscalls.unmount(Path(aside))
