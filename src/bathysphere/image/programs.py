"""Running the programs that build an image, so that a build that dies leaves no process and no mount behind."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections import deque
from collections.abc import Mapping, Sequence

from bathysphere.image.errors import ImageError
from bathysphere.image.progress import Progress

_ADVICE = (
    (r"No space left on device|Disk quota exceeded", "The disk is full: free some space, or set BATHYSPHERE_IMAGES."),
    (
        r"Could not resolve|Temporary failure|Unable to connect|Network is unreachable|Failed to fetch|"
        r"Failed to establish a new connection|Connection refused|Could not connect|Max retries exceeded|"
        r"No matching distribution|Read timed out",
        "A package could not be fetched: check the network and the package mirror that apt and pip are set to. "
        "Run the same command again: what was fetched already is kept.",
    ),
    (
        r"NO_PUBKEY|EXPKEYSIG|is not signed|no valid keyring",
        "The signature of the package mirror could not be checked: apt-get install debian-archive-keyring.",
    ),
    (
        r"unshare.*(Operation not permitted|failed)|newuidmap|subuid|Operation not permitted",
        "The system does not let this account make a root file system: run the command as root, "
        "or build with the Containerfile and bring it in with 'bathysphere image import'.",
    ),
)


def search_path() -> str:
    """PATH with the administrators' directories, which Debian leaves out of an ordinary user's."""
    return os.environ.get("PATH", os.defpath) + ":/usr/local/sbin:/usr/sbin:/sbin"


def require(program: str, package: str) -> str:
    """The path of a program. Raises ``ImageError`` naming the Debian package that brings it."""
    found = shutil.which(program, path=search_path())
    if found is None:
        raise ImageError(
            f"{program} is not installed: run 'apt-get install {package}', "
            "or build with the Containerfile and bring it in with 'bathysphere image import' (docs/image.md)."
        )
    return found


def confined(argv: Sequence[str]) -> list[str]:
    """The command as root in a process and mount namespace of its own, which end when the builder does, in any way.

    An ordinary user becomes root of a user namespace with the subordinate ids that the account has.
    """
    unshare = require("unshare", "util-linux")
    as_root = [unshare, "--user", "--map-root-user", "--map-auto", "--"] if os.geteuid() != 0 else []
    # After the change of user, which makes the kernel forget such a tie.
    tied = [require("setpriv", "util-linux"), "--pdeathsig", "KILL"]
    return [*as_root, *tied, unshare, "--mount", "--pid", "--fork", "--kill-child=KILL", "--mount-proc", *argv]


def run(argv: Sequence[str], progress: Progress, doing: str, environment: Mapping[str, str] | None = None) -> None:
    """Run a program to its end, its output going to ``progress`` line by line.

    Raises ``ImageError`` with the last lines of output and what to do when it fails.
    """
    last: deque[str] = deque(maxlen=30)
    with subprocess.Popen(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**os.environ, "PATH": search_path(), **(environment or {})},
        text=True,
        errors="replace",
        start_new_session=True,
        umask=0o022,
    ) as process:
        try:
            assert process.stdout is not None
            for line in process.stdout:
                if text := line.strip():
                    last.append(text[:1000])
                    progress.line(text[:1000])
        except BaseException:
            process.kill()
            raise
    if process.returncode != 0:
        raise ImageError(failure(doing, process.returncode, list(last)))


def failure(doing: str, status: int, output: Sequence[str]) -> str:
    """The message for a program that failed: what was being done, its last words, what to do."""
    said = "\n".join(output)
    advice = next((advice for pattern, advice in _ADVICE if re.search(pattern, said)), "")
    return f"{doing} failed (exit status {status}). {advice}\n{said}".rstrip()
