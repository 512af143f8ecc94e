"""The text editor: view, create, str_replace (WIRE a.2, b.3).

Everything is done with the rights of the sandbox's user, so a path leads only where its programs may go anyway.
"""

import errno
import os
import stat
from collections.abc import Callable
from typing import Any

from . import paths
from .failures import FULL, of_os_error
from .hunk import hunk
from .text_files import BOM, LARGEST_TEXT, Refused, read_regular, refuse_own, text_of
from .viewing import view_directory, view_file
from .whole_file import WholeFile


def edit(command: dict[str, Any], environment: dict[str, str]) -> dict[str, object]:
    """Carry out a command; the outcome as an object with ``kind``. Raises Failure when the disk is full."""
    actions: dict[str, Callable[[str, dict[str, Any]], dict[str, object]]] = {
        "view": _view,
        "create": _create,
        "str_replace": _str_replace,
    }
    written = path = command["path"]
    try:
        if not path or "\0" in path:
            raise Refused("invalid_tool_input", "The path is empty or holds a NUL character. Give the path of a file.")
        if len(path) <= paths.LONGEST:
            path = paths.expand(path, environment)
        if len(path) > paths.LONGEST:
            raise Refused("invalid_tool_input", f"{path} is longer than {paths.LONGEST} bytes, which no path may be.")
        return actions[command["command"]](path, command)
    except Refused as refusal:
        # Whatever quotes the path, quotes it cut.
        message = str(refusal).replace(path, paths.quoted(path))
        return {"kind": "failed", "error_code": refusal.code, "message": message}
    except RecursionError:
        message = f"{paths.quoted(path)} leads over too many symbolic links."
        return {"kind": "failed", "error_code": "invalid_tool_input", "message": message}
    except UnicodeEncodeError:
        message = "The text or path holds half of a character (a lone surrogate), which no file can hold."
        return {"kind": "failed", "error_code": "invalid_tool_input", "message": message}
    except OSError as error:
        if error.errno in FULL:
            raise of_os_error(f"Writing {paths.quoted(written)}", error) from error
        return {"kind": "failed", **explain(paths.quoted(written), error)}


def explain(path: str, error: OSError) -> dict[str, str]:
    """The error code and message for what the system refused."""
    if error.errno == errno.ENOENT:
        return {"error_code": "file_not_found", "message": f"{path} does not exist. Check the path, or create it."}
    reasons = {
        errno.EACCES: "the container's user has no right to it",
        errno.EPERM: "the container's user has no right to it",
        errno.EROFS: "it is in a read-only part of the container; write below /home/user, /tmp or /files",
        errno.ENOTDIR: "a part of the path is a file, not a directory",
        errno.EISDIR: "it is a directory",
        errno.ELOOP: "its symbolic links lead in a circle, or there are too many",
        errno.ENAMETOOLONG: "the path is too long",
        errno.ENXIO: "it is no regular file",
    }
    reason = reasons.get(error.errno or 0, error.strerror or "the system refused it")
    return {"error_code": "invalid_tool_input", "message": f"{path} cannot be used: {reason}."}


def _view(path: str, command: dict[str, Any]) -> dict[str, object]:
    span = command.get("view_range")
    if os.path.isdir(path):
        if span is not None:
            raise Refused("invalid_tool_input", f"{path} is a directory; view_range is for text files.")
        _resolved(path)
        return view_directory(path)
    data, _info = read_regular(path, LARGEST_TEXT)
    return view_file(path, data, span)


def _write(path: str, data: bytes, mode: int | None) -> None:
    """Write a whole file or nothing.

    ``path`` holds no symbolic link at its end any more. ``mode`` is kept from the file that is replaced.
    """
    file = WholeFile(path)
    try:
        if mode is not None:
            os.fchmod(file.descriptor, stat.S_IMODE(mode))
        file.write(data)
        file.appear()
    finally:
        file.close()


def _resolved(path: str) -> str:
    """``path`` without symbolic links; what is not there yet stays as it is. Raises OSError and Refused."""
    try:
        os.stat(path)  # the system follows at most 40 links and says so when there are more
    except FileNotFoundError:
        pass
    found = os.path.realpath(path)
    refuse_own(path, found)
    return found


def _create(path: str, command: dict[str, Any]) -> dict[str, object]:
    text = command.get("file_text")
    if text is None:
        raise Refused("invalid_tool_input", "create needs file_text, the whole content of the file.")
    data = text.encode()
    if path.endswith("/"):
        raise Refused("invalid_tool_input", f"{path} ends in a slash: create makes files. Give the file's name.")
    target, mode = place_for(path)
    _write(target, data, mode)
    return {"kind": "created", "is_file_update": mode is not None}


def place_for(path: str) -> tuple[str, int | None]:
    """Where a file of this path is written, and the mode of the one that is there; directories are made.

    Written through a symbolic link as any program would, so the link stays a link. Raises Refused and OSError.
    """
    target = _resolved(path)
    try:
        info = os.stat(target)
    except FileNotFoundError:
        if target.count("/") > paths.DEEPEST:
            raise Refused(
                "invalid_tool_input",
                f"{path} has more than {paths.DEEPEST} parts. Use fewer directories in each other.",
            ) from None
        os.makedirs(os.path.dirname(target), exist_ok=True)
        return target, None
    return target, _writable(target, path, info)


def _writable(target: str, path: str, info: os.stat_result) -> int:
    """The mode of a file that may be replaced. A rename would also replace what may not be written."""
    if stat.S_ISDIR(info.st_mode):
        raise IsADirectoryError(errno.EISDIR, "is a directory")
    if not stat.S_ISREG(info.st_mode):
        raise Refused("invalid_tool_input", f"{path} is no regular file (a pipe, socket or device).")
    os.close(os.open(target, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC))
    return info.st_mode


def _str_replace(path: str, command: dict[str, Any]) -> dict[str, object]:
    old, new = command.get("old_str"), command.get("new_str") or ""
    if not old:
        raise Refused("invalid_tool_input", "str_replace needs old_str, the text to be replaced; it may not be empty.")
    if old == new:
        raise Refused("invalid_tool_input", "old_str and new_str are the same: nothing would change.")
    old.encode(), new.encode()
    target = _resolved(path)
    data, info = read_regular(target, LARGEST_TEXT)
    text = text_of(data, path)
    count = text.count(old)
    if count == 0 and "\r\n" in text:
        # Models write \n; in a file with \r\n line ends the same lines are meant.
        old, new = (part.replace("\r\n", "\n").replace("\n", "\r\n") for part in (old, new))
        count = text.count(old)
    if count == 0:
        raise Refused("string_not_found", f"old_str was not found in {path}. {_near(text, old)}")
    if count > 1:
        raise Refused(
            "invalid_tool_input",
            f"old_str occurs {count} times in {path}, on lines {_lines_of(text, old)}. "
            "Add surrounding lines to old_str so that it occurs once.",
        )
    after = text.replace(old, new, 1)
    # The mark at the beginning of some files is no part of their first line.
    change = hunk(text.removeprefix(BOM), after.removeprefix(BOM))
    mode = _writable(target, path, info)
    _write(target, after.encode(), mode)
    return {"kind": "replaced", **change}


def _lines_of(text: str, part: str) -> str:
    numbers: list[str] = []
    at = text.find(part)
    while at >= 0 and len(numbers) < 10:
        numbers.append(str(text.count("\n", 0, at) + 1))
        at = text.find(part, at + len(part))
    return ", ".join(numbers) + (" and more" if at >= 0 else "")


def _near(text: str, old: str) -> str:
    """A hint where the text that was meant may be."""
    wanted = next((line.strip() for line in old.splitlines() if line.strip()), "")
    if wanted:
        for number, line in enumerate(text.split("\n"), 1):
            if wanted in line:
                return (
                    f"Its first line is like line {number} of the file, so spaces, tabs or later lines differ: "
                    "view the file and copy the text exactly."
                )
    return "View the file and copy the text exactly, including spaces and line breaks."
