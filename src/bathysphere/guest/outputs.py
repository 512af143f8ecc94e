"""The files that a call produced: found, opened at once, and read by handle from then on.

Taken are regular files at the top level of the call's output directory, and those that the call created or
changed at the top level of the working directory (no hidden ones there). A file is opened without following a
symbolic link, of the directories above it too, and stays open until the next call, so what is read later is what was
looked at.
"""

import errno
import os
import stat

from . import paths
from .failures import Failure, of_os_error

REPORTED = 100
"""Left-out files that are named; more are counted."""

_MODE = 0o755
"""Of a new output directory; the guest's umask leaves it as it is."""

SCANNED = 100_000
"""Directory entries that are looked at in one place."""

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW

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


def _open(path: str) -> int | None:
    """Open a directory below a mount point, step by step, so that no symbolic link is followed. None: there is none."""
    directory = None
    for part in path[1:].split("/"):
        above = directory
        try:
            directory = os.open(part if above is not None else f"/{part}", _DIRECTORY, dir_fd=above)
        except OSError:
            return None
        finally:
            if above is not None:
                os.close(above)
    return directory


def _as_new(path: str) -> bool:
    """Whether it is a directory as it was made, with nothing in it, reached by no symbolic link."""
    directory = _open(path)
    if directory is None:
        return False
    try:
        if stat.S_IMODE(os.fstat(directory).st_mode) != _MODE:
            return False
        with os.scandir(directory) as entries:
            return next(entries, None) is None
    except OSError:
        return False
    finally:
        os.close(directory)


def _files(directory: int) -> tuple[list[tuple[str, os.stat_result]], bool]:
    """The regular files at the top level of a directory, and whether all of it was looked at."""
    found: list[tuple[str, os.stat_result]] = []
    try:
        with os.scandir(directory) as entries:
            for number, entry in enumerate(entries):
                if number >= SCANNED:
                    return found, False
                try:
                    info = entry.stat(follow_symlinks=False)
                except OSError:
                    continue  # gone meanwhile
                if stat.S_ISREG(info.st_mode):
                    found.append((entry.name, info))
    except OSError:
        return found, False
    return found, True


def _stamps_at_home() -> dict[str, Stamp] | None:
    """The files at the top level of the working directory; None when they are not all known."""
    home = _open(paths.HOME)
    if home is None:
        return None
    found, complete = _files(home)
    os.close(home)
    return {name: _stamp(info) for name, info in found} if complete else None


class Outputs:
    """The output directory of the running call, and the files held open from the last one."""

    def __init__(self, max_files: int, max_bytes: int) -> None:
        """``max_files`` are returned at most, each of ``max_bytes`` at most."""
        self._max_files = max_files
        self._max_bytes = max_bytes
        self._held: dict[str, tuple[int, int]] = {}
        self._before: dict[str, Stamp] | None = {}
        self.directory = paths.OUTPUT
        self.notes: list[str] = []
        """What is to be told about the running call."""

    def begin(self, alone: bool) -> None:
        """Start a call: let go of the last one's files and have a fresh directory.

        ``alone``: no process of an earlier call runs, which could still write to the last directory.
        """
        self.release()
        self.notes = []
        # One that nothing was put into is as good as new: a call that writes nothing leaves the disk as it is.
        if not alone or self.directory == paths.OUTPUT or not _as_new(self.directory):
            self._make_directory()
        self._before = _stamps_at_home()

    def prepare(self) -> None:
        """Make the first call's directory before it comes: on most disks that takes longer than starting a command."""
        self._make_directory()
        self.notes = []

    def _make_directory(self) -> None:
        self.directory = f"{paths.OUTPUT}/{os.urandom(8).hex()}"
        try:
            paths.ensure_directory(paths.OUTPUT)
            os.mkdir(self.directory, _MODE)
        except OSError as error:
            # A full disk must not keep anyone from the command that makes room.
            self.notes.append(f"$OUTPUT_DIR could not be made for this call: {error.strerror}.")

    def leave_to(self, other: "Outputs") -> None:
        """What another call produced in the working directory, which has just ended, is none of this call's."""
        if self._before is None:
            return
        now = _stamps_at_home()
        if now is None or other._before is None:
            self._before = now
            return
        for name in now.keys() | other._before.keys():
            stamp = now.get(name)
            if stamp == other._before.get(name):
                continue
            if stamp is None:
                self._before.pop(name, None)
            else:
                self._before[name] = stamp

    def holds(self, handle: str) -> bool:
        """Whether a file can be read by this handle."""
        return handle in self._held

    def collect(self) -> dict[str, object]:
        """End a call: ``files`` as [handle, name, size], ``left_out`` as [name, size, reason, in output directory]."""
        files: list[list[object]] = []
        left_out: list[list[object]] = []
        more = 0
        for path, in_output in ((self.directory, True), (paths.HOME, False)):
            directory = _open(path)
            if directory is None:
                if os.path.lexists(path):
                    place = "$OUTPUT_DIR" if in_output else path
                    self.notes.append(f"Nothing was taken from {place}: it is no directory that can be read.")
                continue
            for name in self._produced(directory, in_output):
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
            os.close(directory)
        return {"files": files, "left_out": left_out, "left_out_more": more}

    def _produced(self, directory: int, in_output: bool) -> list[str]:
        """The names of a directory's files that this call produced."""
        found, complete = _files(directory)
        if in_output:
            if not complete:
                self.notes.append(f"$OUTPUT_DIR holds more than {SCANNED} files; only so many were looked at.")
            return sorted(name for name, _info in found)
        before = self._before
        if before is None or not complete:
            # Which of them are new cannot be told.
            self.notes.append(
                f"Nothing was taken from {paths.HOME}: it holds more than {SCANNED} files or could not be read. "
                "Write to $OUTPUT_DIR."
            )
            return []
        return sorted(name for name, info in found if not name.startswith(".") and before.get(name) != _stamp(info))

    def _hold(self, directory: int, name: str, full: bool) -> tuple[int, str, bool] | None:
        """Open a file: its size, then its handle and True, or the reason why not and False. None: no regular file."""
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY
        try:
            descriptor = os.open(name, flags, dir_fd=directory)
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ELOOP, errno.ENXIO):
                return None  # gone, or something else took its place
            return 0, "unreadable", False
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
