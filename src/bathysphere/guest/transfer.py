"""Files of any path, read and written for the host, in pieces.

Everything is done with the rights of the sandbox's user, so a path leads only where its programs may go anyway.
"""

import json
import os
import stat

from . import paths
from .editor import explain, place_for
from .failures import FULL, Failure, of_os_error
from .text_files import Refused
from .whole_file import WholeFile

# The typing module would make up a tenth of the time to start.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

_CODES = {"file_not_found": "path_not_found"}


class Transfer:
    """At most one file on its way. What begins anew gives up what went before."""

    def __init__(self) -> None:
        self._file = -1
        self._path = ""
        self._new: WholeFile | None = None

    def answer(self, header: "dict[str, Any]", payload: bytes, environment: dict[str, str]) -> bytes:
        """Carry out a request. Raises Failure; the file is given up then, and what was written of it is gone."""
        actions = {
            "path_open": self._open,
            "path_read": self._read,
            "path_create": self._create,
            "path_data": self._write,
            "path_commit": self._commit,
            "path_close": self._close,
        }
        op = header["op"]
        if op not in actions:
            raise Failure("bad_request", f"{op} is not possible here")
        try:
            if op in ("path_open", "path_create"):
                self.give_up()
                self._path = _absolute(header["path"], environment)
            return actions[op](header, payload)
        except Failure:
            self.give_up()
            raise
        except Refused as refusal:
            self.give_up()
            raise Failure("path_refused", str(refusal).replace(self._path, paths.quoted(self._path))) from refusal
        except OSError as error:
            self.give_up()
            shown = paths.quoted(self._path)
            if error.errno in FULL:
                raise of_os_error(f"Writing {shown}", error) from error
            explained = explain(shown, error)
            raise Failure(_CODES.get(explained["error_code"], "path_refused"), explained["message"]) from error

    def _open(self, header: "dict[str, Any]", payload: bytes) -> bytes:
        self._file = os.open(self._path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
        info = os.fstat(self._file)
        shown = paths.quoted(self._path)
        if not stat.S_ISREG(info.st_mode):
            kind = "a directory" if stat.S_ISDIR(info.st_mode) else "no regular file (a pipe, socket or device)"
            raise Failure("path_refused", f"{shown} is {kind}. Only files can be downloaded; pack a directory first.")
        if info.st_dev in _made_up():
            raise Failure("path_refused", f"{shown} is made up by the system as it is read. Read it with a command.")
        return json.dumps({"size": info.st_size}).encode()

    def _read(self, header: "dict[str, Any]", payload: bytes) -> bytes:
        data = os.pread(self._opened(), header["length"], header["offset"])
        if not data:
            raise Failure("path_refused", f"{paths.quoted(self._path)} became shorter while it was read. Try again.")
        return data

    def _create(self, header: "dict[str, Any]", payload: bytes) -> bytes:
        if self._path.endswith("/"):
            raise Failure("path_refused", f"{paths.quoted(self._path)} ends in a slash. Give the file's name.")
        target, mode = place_for(self._path)
        self._new = WholeFile(target)
        if mode is not None:
            os.fchmod(self._new.descriptor, stat.S_IMODE(mode))
        return b""

    def _write(self, header: "dict[str, Any]", payload: bytes) -> bytes:
        self._writing().write(payload)
        return b""

    def _commit(self, header: "dict[str, Any]", payload: bytes) -> bytes:
        # A directory that came there meanwhile is not replaced; an error says so.
        placed = self._writing().appear()
        self.give_up()
        if not placed:
            raise Failure("path_refused", f"{paths.quoted(self._path)} was exchanged by a program while it was written")
        return b""

    def _close(self, header: "dict[str, Any]", payload: bytes) -> bytes:
        self.give_up()
        return b""

    def _opened(self) -> int:
        if self._file < 0:
            raise Failure("bad_request", "no file is open for that")
        return self._file

    def _writing(self) -> "WholeFile":
        if self._new is None:
            raise Failure("bad_request", "no file is open for that")
        return self._new

    def give_up(self) -> None:
        """Let go of the file; one that is half written is gone."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
        if self._new is not None:
            self._new.close()
            self._new = None


def _absolute(path: str, environment: dict[str, str]) -> str:
    if not path or "\0" in path:
        raise Failure("path_refused", "The path is empty or holds a NUL character. Give the path of a file.")
    path = paths.expand(path, environment)
    if len(os.fsencode(path)) > paths.LONGEST:
        raise Failure("path_refused", f"The path is longer than {paths.LONGEST} bytes, which no path may be.")
    return path


def _made_up() -> "Iterator[int]":
    """The file systems whose files have no bytes of their own."""
    for place in ("/proc", "/sys"):
        try:
            device = os.stat(place).st_dev
        except OSError:
            continue
        if device != os.stat("/").st_dev:
            yield device
