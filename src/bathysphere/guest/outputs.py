"""The files that a call produced: found, opened at once, and read by handle from then on.

Taken are regular files at the top level of the call's output directory, and those that the call created or
changed at the top level of the working directory (no hidden ones there). A file is opened without following a
symbolic link and stays open until the next call, so what is read later is what was looked at.
"""

import os
import stat

from . import paths
from .failures import Failure, of_os_error

REPORTED = 100
"""Left-out files that are named; more are counted."""

SCANNED = 100_000
"""Directory entries that are looked at in one place."""

Stamp = tuple[int, int, int, int]
"""What changes when a file does: inode, size, times of change of content and of the rest."""


def _stamp(info: os.stat_result) -> Stamp:
    return info.st_ino, info.st_size, info.st_mtime_ns, info.st_ctime_ns


def printable(name: str) -> bool:
    """Whether a file name can be shown: UTF-8 without control characters, 1 to 255 bytes."""
    try:
        size = len(name.encode())
    except UnicodeEncodeError:
        return False  # bytes that are no UTF-8 arrive as lone surrogates
    return 0 < size <= 255 and name.isprintable()


class Outputs:
    """The output directory of the running call, and the files held open from the last one."""

    def __init__(self, max_files: int, max_bytes: int) -> None:
        """``max_files`` are returned at most, each of ``max_bytes`` at most."""
        self._max_files = max_files
        self._max_bytes = max_bytes
        self._held: dict[str, tuple[int, int]] = {}
        self._before: dict[str, Stamp] = {}
        self.directory = paths.OUTPUT

    def begin(self) -> list[str]:
        """Start a call: let go of the last one's files and make a fresh directory. Returns notes."""
        self.release()
        notes = []
        self.directory = f"{paths.OUTPUT}/{os.urandom(8).hex()}"
        try:
            paths.ensure_directory(paths.OUTPUT)
            os.mkdir(self.directory)
        except OSError as error:
            # A full disk must not keep anyone from the command that makes room.
            notes.append(f"$OUTPUT_DIR could not be made for this call: {error.strerror}.")
        self._before = {name: _stamp(info) for name, info in self._files(paths.HOME)}
        return notes

    def collect(self) -> dict[str, object]:
        """End a call: ``files`` as [handle, name, size], ``left_out`` as [name, size, reason, in output directory]."""
        files: list[list[object]] = []
        left_out: list[list[object]] = []
        more = 0
        for directory, in_output in ((self.directory, True), (paths.HOME, False)):
            for name, info in sorted(self._files(directory), key=lambda entry: entry[0]):
                if not in_output and (name.startswith(".") or self._before.get(name) == _stamp(info)):
                    continue
                held = self._hold(directory, name, full=len(files) >= self._max_files)
                if held is None:
                    continue
                size, outcome, opened = held
                if opened:
                    files.append([outcome, name, size])
                elif len(left_out) < REPORTED:
                    left_out.append([name.encode(errors="replace").decode()[:255], size, outcome, in_output])
                else:
                    more += 1
        return {"files": files, "left_out": left_out, "left_out_more": more}

    def _files(self, directory: str) -> list[tuple[str, os.stat_result]]:
        """The regular files at the top level of a directory; none when it cannot be read."""
        found = []
        try:
            with os.scandir(directory) as entries:
                for _, entry in zip(range(SCANNED), entries, strict=False):
                    try:
                        info = entry.stat(follow_symlinks=False)
                    except OSError:
                        continue  # gone meanwhile
                    if stat.S_ISREG(info.st_mode):
                        found.append((entry.name, info))
        except OSError:
            return []
        return found

    def _hold(self, directory: str, name: str, full: bool) -> tuple[int, str, bool] | None:
        """Open a file: its size, then its handle and True, or the reason why not and False. None: no regular file."""
        try:
            descriptor = os.open(f"{directory}/{name}", os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY)
        except PermissionError:
            return 0, "unreadable", False
        except OSError:
            return None
        info = os.fstat(descriptor)
        reason = None
        if not stat.S_ISREG(info.st_mode):
            os.close(descriptor)
            return None
        if not printable(name):
            reason = "unreadable_name"
        elif info.st_size > self._max_bytes:
            reason = "too_large"
        elif full:
            reason = "too_many"
        if reason is not None:
            os.close(descriptor)
            return info.st_size, reason, False
        handle = os.urandom(8).hex()
        self._held[handle] = (descriptor, info.st_size)
        return info.st_size, handle, True

    def read(self, handle: str, offset: int, length: int) -> bytes:
        """Up to ``length`` bytes from ``offset`` on, never past the size at capture.

        Raises Failure: output_gone for an unknown handle, failed when the file shrank.
        """
        try:
            descriptor, size = self._held[handle]
        except KeyError:
            raise Failure("output_gone", "This output is not held any more: a later command took its place.") from None
        wanted = max(0, min(length, size - offset))
        try:
            data = os.pread(descriptor, wanted, offset)
        except OSError as error:
            raise of_os_error("Reading an output file", error) from error
        if wanted and not data:
            raise Failure("failed", "The output file became shorter after the command ended.")
        return data

    def release(self) -> None:
        """Close every held file."""
        for descriptor, _size in self._held.values():
            os.close(descriptor)
        self._held.clear()
