"""Copying a file with holes in it, as fast as the file system below can."""

from __future__ import annotations

import errno
import fcntl
import os

_FICLONE = 0x40049409
_PIECE = 1 << 30


def copy_sparse(source: int, target: int) -> None:
    """Make an empty open file a copy of another one, holes included. Raises OSError."""
    size = os.fstat(source).st_size
    try:
        fcntl.ioctl(target, _FICLONE, source)
        return
    except OSError as error:
        if error.errno not in (errno.EOPNOTSUPP, errno.EXDEV, errno.EINVAL, errno.ENOTTY, errno.ENOSYS):
            raise
    os.ftruncate(target, size)
    start = 0
    while start < size:
        try:
            start = os.lseek(source, start, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:
                return  # only a hole is left
            raise
        end = os.lseek(source, start, os.SEEK_HOLE)
        while start < end:
            copied = os.copy_file_range(source, target, min(_PIECE, end - start), start, start)
            if copied == 0:
                raise OSError(errno.EIO, "the file became shorter while it was copied")
            start += copied
