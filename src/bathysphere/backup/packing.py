"""A container's disk as one file without holes, which any program can copy without filling them.

An image (root) becomes its written parts, each with its place; a folder (without root) becomes a tar archive.
"""

from __future__ import annotations

import errno
import os
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Final

from bathysphere.backup.failure import BackupError
from bathysphere.backup.pieces import CHUNK, Checked, Piece

_MAGIC: Final = b"bathysphere disk 1\n"
_SIZE: Final = struct.Struct("!Q")
_PART: Final = struct.Struct("!QQ")
_LARGEST: Final = 1 << 50
_ZEROS: Final = bytes(CHUNK)


def pack_image(source: int, piece: Piece) -> None:
    """Write an open image. Raises OSError."""
    size = os.fstat(source).st_size
    piece.write(_MAGIC + _SIZE.pack(size))
    end = 0
    while end < size:
        try:
            start = os.lseek(source, end, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:
                break  # only a hole is left
            raise
        end = os.lseek(source, start, os.SEEK_HOLE)
        while start < end:
            data = os.pread(source, min(CHUNK, end - start), start)
            if not data:
                raise OSError(errno.EIO, "the disk's file became shorter while it was copied")
            if data != _ZEROS[: len(data)]:
                piece.write(_PART.pack(start, len(data)))
                piece.write(data)
            start += len(data)
    piece.write(_PART.pack(size, 0))


def unpack_image(piece: Checked, target: int) -> None:
    """Fill an empty open file with an image. Raises BackupError and OSError."""
    if _exactly(piece, len(_MAGIC)) != _MAGIC:
        raise BackupError("A disk in the backup is none, or of a newer version of bathysphere.")
    (size,) = _SIZE.unpack(_exactly(piece, _SIZE.size))
    if size > _LARGEST:
        raise BackupError("A disk in the backup is larger than any disk.")
    os.ftruncate(target, size)
    end = 0
    while True:
        start, length = _PART.unpack(_exactly(piece, _PART.size))
        if length == 0:
            return
        if start < end or length > CHUNK or start + length > size:
            raise BackupError("A disk in the backup has parts outside of it.")
        end = start + length
        view = memoryview(_exactly(piece, length))
        while view:
            written = os.pwrite(target, view, start)
            start, view = start + written, view[written:]


def _exactly(piece: Checked, size: int) -> bytes:
    data = piece.read(size)
    if len(data) != size:
        raise BackupError("A disk in the backup ends in the middle.")
    return data


def pack_folder(source: Path, anew: Callable[[], Piece]) -> None:
    """Write a folder. Links are not followed, sockets are left out. Raises OSError.

    ``anew`` gives the piece; it is asked for another one when the first attempt came to nothing.
    """
    packing = [
        "/bin/tar", "--create", "--sparse", "--format=posix", "--pax-option=delete=atime,delete=ctime",
        "--numeric-owner", "--one-file-system", "--warning=no-file-ignored", "--directory", str(source), "--", ".",
    ]  # fmt: skip
    complaint = _piped(packing, anew)
    if complaint and os.geteuid() != 0:
        # Code may have taken the rights to its files from its user, who is ours. In a user namespace of our own that
        # user passes for root, whom the kernel lets read what belongs to it all the same.
        complaint = _piped(["/usr/bin/unshare", "--user", "--map-root-user", "--", *packing], anew)
    if complaint:
        raise OSError(errno.EIO, f"it cannot be read entirely: {complaint}")


def _piped(command: list[str], anew: Callable[[], Piece]) -> str:
    """Run a program into a piece; what it complains of when it fails."""
    try:
        with anew() as piece, _started(command, stdout=subprocess.PIPE) as running:
            assert running.stdout is not None and running.stderr is not None
            try:
                while data := running.stdout.read(CHUNK):
                    piece.write(data)
            except BaseException:
                running.kill()
                raise
            said = running.stderr.read(2000).decode(errors="replace").strip()
            if running.wait() != 0:
                raise _Failed(said or f"{command[0]} ended with {running.returncode}")
    except _Failed as failed:
        return str(failed)
    return ""


class _Failed(Exception):
    pass


def unpack_folder(piece: Checked, target: Path) -> None:
    """Fill an empty folder. Raises BackupError and OSError."""
    owner = "--same-owner" if os.geteuid() == 0 else "--no-same-owner"
    command = ["/bin/tar", "--extract", "--numeric-owner", owner, "--preserve-permissions", "--directory", str(target)]
    with _started(command, stdin=subprocess.PIPE) as running:
        assert running.stdin is not None and running.stderr is not None
        try:
            for data in piece:
                running.stdin.write(data)
            running.stdin.close()
        except BrokenPipeError:
            pass  # it says why
        except BaseException:
            running.kill()
            raise
        said = running.stderr.read(2000).decode(errors="replace").strip()
        if running.wait() != 0:
            raise OSError(errno.EIO, f"{target} cannot be unpacked: {said}")


def _started(command: list[str], stdin: int | None = None, stdout: int | None = None) -> subprocess.Popen[bytes]:
    null = subprocess.DEVNULL
    return subprocess.Popen(
        command, stdin=stdin or null, stdout=stdout or null, stderr=subprocess.PIPE, env={"LC_ALL": "C.UTF-8"}, cwd="/"
    )
