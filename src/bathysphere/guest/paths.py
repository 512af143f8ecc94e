"""Where things are in a container, and how a path that a model wrote is read."""

import errno
import os
import stat

TYPE_CHECKING = False
if TYPE_CHECKING:
    import re

HOME = "/home/user"
INPUT = "/files/input"
OUTPUT = "/files/output"


def expand(path: str, environment: dict[str, str]) -> str:
    """``path`` made absolute: variables of ``environment`` and a leading ``~`` are put in, the rest starts at home.

    An unknown variable stays as it was written, as nothing sensible could stand for it.
    """

    import re  # noqa: PLC0415  (only the editor needs it)

    def value(match: "re.Match[str]") -> str:
        return environment.get(match.group(1) or match.group(2), match.group(0))

    home = environment.get("HOME", HOME)
    path = re.sub(r"\$(?:(\w+)|\{(\w+)\})", value, path, flags=re.ASCII)
    if path == "~" or path.startswith("~/"):
        path = home + path[1:]
    return os.path.join(home, path)


LONGEST = 4095
"""Bytes of a path that the system takes."""

DEEPEST = 256
"""Parts of the path of a file whose directories are made."""

_QUOTED = 200


def quoted(path: str) -> str:
    """A path as messages show it: a very long one without its middle."""
    if len(path) <= _QUOTED:
        return path
    return f"{path[: _QUOTED // 2]}...{path[-_QUOTED // 2 :]}"


def ensure_directory(path: str) -> None:
    """Make sure that ``path`` is a directory itself, even if the user removed it or put something else there.

    Raises OSError when it cannot be had.
    """
    try:
        if stat.S_ISDIR(os.lstat(path).st_mode):
            return
        os.rename(path, f"{path}.{os.urandom(4).hex()}.moved")
    except FileNotFoundError:
        pass
    os.makedirs(path)


def enter_home() -> bool:
    """Make the home directory the working directory, which programs inherit; False when that is / instead."""
    for attempt in range(2):
        try:
            ensure_directory(HOME)
            os.chdir(HOME)
            return True
        except OSError as error:
            if attempt == 0 and error.errno == errno.EACCES:
                os.chmod(HOME, 0o700)  # the user took it from themselves
    os.chdir("/")
    return False
