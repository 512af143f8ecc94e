"""A new home directory's first content, as the image has it in /etc/skel."""

import os

from . import paths

SOURCE = "/etc/skel"


def fill_home(source: str = SOURCE, target: str = paths.HOME) -> None:
    """Copy the tree, with times, because caches in it are valid by them. Raises OSError; no skeleton is no error."""
    try:
        entries = list(os.scandir(source))
    except FileNotFoundError:
        return
    for entry in entries:
        copy = os.path.join(target, entry.name)
        info = entry.stat(follow_symlinks=False)
        if entry.is_symlink():
            os.symlink(os.readlink(entry.path), copy)
            continue
        if entry.is_dir():
            os.makedirs(copy, exist_ok=True)
            fill_home(entry.path, copy)
        else:
            with open(entry.path, "rb") as reading, open(copy, "wb") as writing:
                while data := reading.read(1024 * 1024):
                    writing.write(data)
        os.utime(copy, ns=(info.st_atime_ns, info.st_mtime_ns))
