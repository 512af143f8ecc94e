"""A library for old releases of gVisor, loaded into the programs of a sandbox.

The release of 2022-12-19 refuses the flag AT_NO_AUTOMOUNT, with which ``ls`` and ``stat`` of coreutils 9 ask for
every file: each would fail. There is no automounting in a sandbox, so the flag is dropped.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

from bathysphere.host.processes import Identity

FOLDER = "/run/bathysphere"
"""Where it is seen inside; /run is a file system of the sandbox's own, so the image needs no place for it."""

NAME = "stat.so"

_SOURCE = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/stat.h>

int statx(int directory, const char *path, int flags, unsigned int mask, struct statx *found)
{
    static int (*next)(int, const char *, int, unsigned int, struct statx *);
    if (!next)
        next = dlsym(RTLD_NEXT, "statx");
    return next(directory, path, flags & ~AT_NO_AUTOMOUNT, mask, found);
}

int fstatat(int directory, const char *path, struct stat *found, int flags)
{
    static int (*next)(int, const char *, struct stat *, int);
    if (!next)
        next = dlsym(RTLD_NEXT, "fstatat");
    return next(directory, path, found, flags & ~AT_NO_AUTOMOUNT);
}
"""

_SECONDS = 60.0


def compiled(bubblewrap: str, image: Path, identity: Identity) -> bytes | None:
    """The library, made by the image's own compiler in a sandbox; None when the image has none that works."""
    if not any((image / place).exists() for place in ("usr/bin/cc", "usr/bin/gcc")):
        return None
    try:
        made = subprocess.run(
            [
                bubblewrap, "--unshare-all", "--cap-drop", "ALL", "--die-with-parent", "--new-session", "--as-pid-1",
                "--ro-bind", str(image), "/", "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp",  # noqa: S108
                "--setenv", "PATH", "/usr/bin:/bin", "--", "/bin/sh", "-c",
                "cc -O2 -shared -fPIC -x c -o /tmp/made.so - >&2 && cat /tmp/made.so",
            ],
            input=_SOURCE.encode(), capture_output=True, check=False, timeout=_SECONDS, env={}, cwd="/",
            user=identity.uid, group=identity.gid, extra_groups=[],
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return None
    return made.stdout if made.returncode == 0 and made.stdout.startswith(b"\x7fELF") else None
