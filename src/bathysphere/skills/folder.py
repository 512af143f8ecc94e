"""A skill in a folder of this machine."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from bathysphere.skills.bundle import Bounds, Bundle, Raw, bundle, too_much
from bathysphere.skills.refusal import BadSkill, quoted

# Traces of working in the folder.
_PASSED_OVER: Final = frozenset({".git", "__pycache__", "__MACOSX", ".DS_Store"})
_DEPTH: Final = 32


def read_folder(folder: Path, bounds: Bounds) -> Bundle:
    """The skill in a folder, which need not have its name. Raises BadSkill and OSError."""
    left = bounds.total_bytes
    files: list[Raw] = []
    for path in _files(folder, 0):
        if len(files) == bounds.files:
            raise BadSkill(f"a skill has at most {bounds.files} files, {quoted(folder.name)} has more")
        content, executable = _content(path, left, bounds)
        left -= len(content)
        # The folder's own name stands above, so that it can serve as the skill's.
        name = path.relative_to(folder.parent).as_posix()
        files.append(Raw(name, content, executable))
    return bundle(files, bounds)


def _files(folder: Path, depth: int) -> Iterator[Path]:
    if depth > _DEPTH:
        raise BadSkill(f"{quoted(str(folder))}: lies more than {_DEPTH} folders deep")
    with os.scandir(folder) as entries:
        found = sorted(entries, key=lambda entry: entry.name)
    for entry in found:
        if entry.name in _PASSED_OVER:
            continue
        path = folder / entry.name
        if entry.is_dir(follow_symlinks=False):
            yield from _files(path, depth + 1)
        else:
            yield path


def _content(path: Path, left: int, bounds: Bounds) -> tuple[bytes, bool]:
    """What is in a file, and whether it can be carried out."""
    if path.is_symlink():
        raise BadSkill(f"{quoted(path.name)}: is a symbolic link; a skill holds files and folders only")
    # Not to wait for the other end of a pipe, and not to follow what has become a link just now.
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        state = os.fstat(descriptor)
        if not stat.S_ISREG(state.st_mode):
            raise BadSkill(f"{quoted(path.name)}: is a device, pipe or socket; a skill holds files and folders only")
        content = file.read(left + 1)
    if len(content) > left:
        raise too_much(bounds)
    return content, bool(state.st_mode & 0o111)
