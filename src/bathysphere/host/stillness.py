"""Having a sandbox's processes stand still for a while, all of them, so that its disk can be copied as it is.

By SIGSTOP, and not by freezing the file system or a version 1 control group: what is stopped can still be killed, so
nothing stays behind in a state that only a restart of the machine ends when the daemon is killed meanwhile. Nobody
inside can wake another one up, because all of them are stopped.
"""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

STOP_SECONDS = 5.0
"""How long it may take: code that makes processes as fast as it can wins some time, but not more than this."""

_PAUSE_SECONDS = 0.001
_STANDING = frozenset("TtZXx")


@dataclass(frozen=True, slots=True)
class _Seen:
    parent: int
    started: int
    """Together with the number this tells a process from every other one."""
    state: str


def stop(roots: list[int]) -> list[int]:
    """Stop these processes and all that descend from them; those that stood still before. Raises OSError.

    When they cannot be stopped in time, those that were go on.
    """
    deadline = time.monotonic() + STOP_SECONDS
    before: set[int] | None = None
    while True:
        family = _family(roots)
        standing = {pid for pid, seen in family.items() if seen.state in _STANDING}
        before = standing if before is None else before
        moving = {pid: seen for pid, seen in family.items() if pid not in standing}
        if not moving and all(_every_thread_stands(pid) for pid in family):
            return sorted(before)
        if time.monotonic() > deadline:
            go_on(roots, sorted(before))
            raise OSError(errno.ETIMEDOUT, f"its processes did not stand still within {STOP_SECONDS:g} seconds")
        for pid, seen in moving.items():
            _send(pid, seen, signal.SIGSTOP)
        time.sleep(_PAUSE_SECONDS)


def go_on(roots: list[int], left: list[int]) -> None:
    """Let them go on, but for those in ``left``."""
    for pid, seen in _family(roots).items():
        if pid not in left:
            _send(pid, seen, signal.SIGCONT)


def _family(roots: Iterable[int]) -> dict[int, _Seen]:
    """Every process that is one of ``roots`` or descends from one."""
    table: dict[int, _Seen] = {}
    children: dict[int, list[int]] = {}
    for entry in os.scandir("/proc"):
        if entry.name.isdigit() and (seen := _look(int(entry.name))) is not None:
            table[int(entry.name)] = seen
            children.setdefault(seen.parent, []).append(int(entry.name))
    found: dict[int, _Seen] = {}
    ahead = [pid for pid in roots if pid in table]
    while ahead:
        pid = ahead.pop()
        if pid not in found:
            found[pid] = table[pid]
            ahead += children.get(pid, ())
    return found


def _look(pid: int) -> _Seen | None:
    fields = _stat(Path(f"/proc/{pid}/stat"))
    return None if fields is None else _Seen(int(fields[1]), int(fields[19]), fields[0].decode())


def _stat(path: Path) -> list[bytes] | None:
    """What stands after the name, which may hold anything: state, parent, ... Nothing when it has ended."""
    try:
        return path.read_bytes().rpartition(b")")[2].split()
    except OSError:
        return None


def _every_thread_stands(pid: int) -> bool:
    try:
        threads = list(Path(f"/proc/{pid}/task").iterdir())
    except OSError:
        return True
    states = (_stat(thread / "stat") for thread in threads)
    return all(fields is None or fields[0].decode() in _STANDING for fields in states)


def _send(pid: int, seen: _Seen, number: signal.Signals) -> None:
    """Signal a process, if it is still the one that was seen."""
    try:
        held = os.pidfd_open(pid)
    except OSError:
        return
    try:
        now = _look(pid)
        if now is not None and now.started == seen.started:
            with contextlib.suppress(OSError):
                signal.pidfd_send_signal(held, number)
    finally:
        os.close(held)


OPERATIONS: dict[str, Callable[..., object]] = {"stop": stop, "go_on": go_on}
"""For a ``Worker``."""
