"""User namespaces made by the daemon, with more than one user in them.

An ordinary user can map one id into a namespace of theirs; root can map several, none of which is root outside.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from bathysphere.host import syscalls


def make(users: Mapping[int, int]) -> int:
    """A namespace in which user and group N of the inside are ``users[N]`` outside; an open descriptor of it.

    Needs CAP_SETUID, CAP_SETGID and CAP_SYS_ADMIN. It lives as long as the descriptor or a process in it.
    Raises OSError.
    """
    told, tell = os.pipe2(os.O_CLOEXEC)
    wait, release = os.pipe2(os.O_CLOEXEC)
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            os.close(release)  # else it would wait for itself if the daemon died now
            syscalls.unshare(syscalls.CLONE_NEWUSER)
            os.write(tell, b"x")
            os.read(wait, 1)
            status = 0
        finally:
            os._exit(status)
    os.close(tell)
    os.close(wait)
    try:
        if not os.read(told, 1):
            raise OSError("a user namespace cannot be had (sysctl user.max_user_namespaces?)")
        lines = "".join(f"{inside} {outside} 1\n" for inside, outside in sorted(users.items()))
        for kind in ("uid_map", "gid_map"):
            Path(f"/proc/{pid}/{kind}").write_text(lines)
        return os.open(f"/proc/{pid}/ns/user", os.O_RDONLY | os.O_CLOEXEC)
    finally:
        os.close(told)
        os.close(release)
        os.waitpid(pid, 0)
