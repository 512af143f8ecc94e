"""Reading the files that the editor works on, and refusing those that it cannot."""

import errno
import os
import stat

LARGEST_TEXT = 16 * 1024 * 1024
"""Bytes of a file that is edited or viewed."""

BOM = "\ufeff"


class Refused(Exception):
    """The edit is not done and the file is as it was. ``code`` is one of the editor's (WIRE a.3)."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def read_regular(path: str, limit: int) -> tuple[bytes, os.stat_result]:
    """A regular file's bytes. Pipes and devices are refused before anything is read from them."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        info = os.fstat(descriptor)
        if stat.S_ISDIR(info.st_mode):
            raise IsADirectoryError(errno.EISDIR, "is a directory")
        if not stat.S_ISREG(info.st_mode):
            raise Refused("invalid_tool_input", f"{path} is no regular file (a pipe, socket or device).")
        # Files of /proc say that they are empty, so what counts is what is read.
        data = file.read(limit + 1)
    if len(data) > limit:
        raise Refused(
            "invalid_tool_input",
            f"{path} is larger than {limit // (1024 * 1024)} MiB, too large for the editor. "
            "Use bash (head, sed -n, grep) to look at parts of it.",
        )
    return data, info


def text_of(data: bytes, path: str) -> str:
    """The text of a file. Raises Refused when it is binary."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        raise Refused(
            "invalid_tool_input",
            f"{path} is a binary file (it is not UTF-8 text). Use bash or Python to look into it.",
        )
    return text
