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


def refuse_own(path: str, found: str) -> None:
    """Raises Refused when ``path`` led to ``found``, which is something of this process in /proc.

    As process 1 may look at itself, the editor would show what no program in the container is allowed to see.
    """
    if f"{found}/".startswith(f"/proc/{os.getpid()}/"):
        raise Refused("invalid_tool_input", f"{path} is of the container's first process. Use bash to look into /proc.")


def read_regular(path: str, limit: int) -> tuple[bytes, os.stat_result]:
    """A regular file's bytes. Pipes and devices are refused before they are opened."""
    place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        # What is open here cannot be exchanged any more between the look at it and the reading.
        opened = f"/proc/self/fd/{place}"
        refuse_own(path, os.readlink(opened))
        mode = os.fstat(place).st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, "is a directory")
        if not stat.S_ISREG(mode):
            raise Refused("invalid_tool_input", f"{path} is no regular file (a pipe, socket or device).")
        descriptor = os.open(opened, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    finally:
        os.close(place)
    with os.fdopen(descriptor, "rb") as file:
        info = os.fstat(descriptor)
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
