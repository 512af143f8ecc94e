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


def require(program: str, package: str) -> str:
    """The path of a program. Raises ``ImageError`` naming the Debian package that brings it."""
    found = shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/local/sbin:/usr/sbin:/sbin")
    if found is None:
        raise ImageError(
            f"{program} is not installed: run 'apt-get install {package}', "
            "or build with the Containerfile and bring it in with 'bathysphere image import' (docs/image.md)."
        )
    return found


def confined(argv: Sequence[str]) -> list[str]:
    """The command in a process and mount namespace of its own, which end when the builder ends, however it ends.

    Only root can have that; for anyone else the command is only tied to the life of the builder.
    """
    tied = [require("setpriv", "util-linux"), "--pdeathsig", "KILL"]
    if os.geteuid() != 0:
        return [*tied, *argv]
    unshare = [require("unshare", "util-linux"), "--mount", "--pid", "--fork", "--kill-child=KILL", "--mount-proc"]
    return [*tied, *unshare, *argv]


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
        env={**os.environ, **(environment or {})},
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
