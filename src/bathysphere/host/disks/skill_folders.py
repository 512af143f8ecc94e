"""The folder ``skills`` of a container's disk: what the sandbox sees at /skills, and what is about to be seen there.

No sandbox can write here, and no other process of ours does: so nothing here is anybody's trap, and what is named
is what was put there. Still every step is one from an open directory, and follows no link. A skill is made in
``new`` and gets to ``shown`` by a change of name, so nobody ever sees a part of one. ``set`` tells what is shown; it is
taken away before the first change and written when the last is on the disk for good, so it is true or not there.

All of this may block for long; a worker does it.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Callable, Iterator

from bathysphere.host.syscalls import files_as

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_SET = "set"
_LARGEST_SET = 64 * 1024


@contextlib.contextmanager
def _opened(name: str, around: int | None = None) -> Iterator[int]:
    descriptor = os.open(name, _FOLDER, dir_fd=around)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _names(folder: int) -> list[str]:
    with os.scandir(folder) as entries:
        return [entry.name for entry in entries]


def shown(place: str) -> dict[str, str] | None:
    """The skills that are there, name -> digest; None when that is not known. Raises OSError."""
    with _opened(place) as skills:
        try:
            marker = os.open(_SET, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=skills)
        except FileNotFoundError:
            with _opened("shown", skills) as folder:
                return None if _names(folder) else {}
        with os.fdopen(marker, "rb") as file:
            text = file.read(_LARGEST_SET)
        try:
            noted = json.loads(text)
        except ValueError:
            return None  # power was lost before it was safe
        return {str(name): str(digest) for name, digest in noted.items()} if isinstance(noted, dict) else None


def write(place: str, owner: int | None, name: str, length: int, content: int) -> None:
    """Make a skill's folder in ``new``. Raises OSError; nothing of it is left then.

    ``content`` is an open file: ``length`` bytes of JSON, a list of path, size in bytes and whether it is a program for
    each file, whose bytes follow in that order. All of it has been checked.
    """
    files = json.loads(os.pread(content, length, 0))
    with _opened(place) as skills, files_as(owner), _opened("new", skills) as new:
        _remove(new, name)
        try:
            os.mkdir(name, dir_fd=new)
            with _opened(name, new) as folder:
                os.fchmod(folder, 0o755)
                offset = length
                for path, size, executable in files:
                    _write_file(folder, path.split("/"), 0o755 if executable else 0o644, content, offset, size)
                    offset += size
        except BaseException:
            _remove(new, name)
            raise


def _write_file(folder: int, path: list[str], mode: int, content: int, offset: int, size: int) -> None:
    with contextlib.ExitStack() as folders:
        for part in path[:-1]:
            with contextlib.suppress(FileExistsError):
                os.mkdir(part, dir_fd=folder)
            folder = folders.enter_context(_opened(part, folder))
            os.fchmod(folder, 0o755)
        file = os.open(path[-1], _NEW_FILE, 0o600, dir_fd=folder)
        try:
            end = offset + size
            while offset < end:
                offset += os.sendfile(file, content, offset, end - offset)
            os.fchmod(file, mode)
        finally:
            os.close(file)


def show(place: str, owner: int | None, wanted: list[str], written: list[str]) -> None:
    """Have exactly the ``wanted`` skills shown, of which those ``written`` lie in ``new``. Raises OSError."""
    with (
        _opened(place) as skills,
        files_as(owner),
        _opened("new", skills) as new,
        _opened("shown", skills) as seen,
    ):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(_SET, dir_fd=skills)
        there = _names(seen)
        for name in there:
            if name in written or name not in wanted:
                _remove(new, f".{name}")
                os.rename(name, f".{name}", src_dir_fd=seen, dst_dir_fd=new)
            if name in written:
                os.rename(name, name, src_dir_fd=new, dst_dir_fd=seen)
        for name in written:
            if name not in there:
                os.rename(name, name, src_dir_fd=new, dst_dir_fd=seen)
        _clear(new)


def note(place: str, owner: int | None, wanted: dict[str, str]) -> None:
    """Tell what is shown, name -> digest, which is on the disk for good by now. Raises OSError."""
    with _opened(place) as skills, files_as(owner), _opened("new", skills) as new:
        _remove(new, _SET)
        with os.fdopen(os.open(_SET, _NEW_FILE, 0o600, dir_fd=new), "wb") as file:
            file.write(json.dumps(wanted).encode())
        os.rename(_SET, _SET, src_dir_fd=new, dst_dir_fd=skills)


def clear(place: str, owner: int | None) -> None:
    """Remove what was made and is not going to be shown. Raises OSError."""
    with _opened(place) as skills, files_as(owner), _opened("new", skills) as new:
        _clear(new)


def _clear(folder: int) -> None:
    for name in _names(folder):
        _remove(folder, name)


def _remove(folder: int, name: str) -> None:
    """Remove a file or a tree; nothing there is no error."""
    try:
        shutil.rmtree(name, dir_fd=folder)
    except FileNotFoundError:
        return
    except NotADirectoryError:
        os.unlink(name, dir_fd=folder)


OPERATIONS: dict[str, Callable[..., object]] = {
    "shown": shown,
    "write": write,
    "show": show,
    "note": note,
    "clear": clear,
}
"""For a ``Worker``."""
