"""The processes of one server by what they are, and the end of one of them."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path
from typing import Final, Literal, get_args

from tests.server import Server

Role = Literal["keeper", "server", "daemon", "worker", "monitor", "guest", "program"]

ROLES: Final[tuple[Role, ...]] = get_args(Role)


def family(server: Server) -> dict[Role, list[int]]:
    """Every process of the server at this moment. One that is just starting may be taken for its parent's kind."""
    table = _table()
    found: dict[Role, list[int]] = {role: [] for role in ROLES}
    first = server.process.pid
    mark = f"bathysphere.host {server.data}"
    own = [pid for pid, (parent, command) in table.items() if parent == first and mark not in command]
    # Without root, the process that was started speaks HTTP itself.
    found["keeper"] = [first] if own and first in table else []
    found["server"] = own or ([first] if first in table else [])
    of_daemon = {pid for pid, (_parent, command) in table.items() if mark in command}
    for pid, (parent, command) in table.items():
        if pid in of_daemon:
            found["worker" if parent in of_daemon else "daemon"].append(pid)
        elif parent in of_daemon and command.partition(" ")[0].endswith("bwrap"):
            found["monitor"].append(pid)
    for pid, (parent, _command) in table.items():
        if parent in found["monitor"]:
            found["guest"].append(pid)
    for pid, (parent, _command) in table.items():
        if parent in found["guest"]:
            found["program"].append(pid)
    return found


def _table() -> dict[int, tuple[int, str]]:
    """Every process of the machine: its parent and its command."""
    table = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with contextlib.suppress(OSError, ValueError):
                state, parent = (folder / "stat").read_text().rpartition(")")[2].split()[:2]
                command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                if state != "Z":
                    table[int(folder.name)] = (int(parent), command)
    return table


def kill(server: Server, role: Role, pid: int) -> bool:
    """SIGKILL for a process if it is still what it was; whether it was."""
    try:
        held = os.pidfd_open(pid)
    except ProcessLookupError:
        return False
    try:
        if pid not in family(server)[role]:
            return False
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(held, signal.SIGKILL)
        return True
    finally:
        os.close(held)
