"""Finding and ending processes inside the sandbox, where the guest is process 1 and sees them all."""

import os
import time

from .lean import signal

ROUNDS = 50
"""How often survivors are looked for before everything is killed at once."""

Identity = tuple[int, int]
"""A process id and its start time, which together are never used twice."""


Seen = tuple[int, int, int, bool]
"""A process: its start time, its parent's id, how many threads it has, whether any of them still runs."""


def present() -> dict[int, Seen]:
    """Every process but this one by its id, also those that have ended and are still counted."""
    own = os.getpid()
    found: dict[int, Seen] = {}
    for name in os.listdir("/proc"):
        if not name.isdigit() or int(name) == own:
            continue
        try:
            with open(f"/proc/{name}/stat", "rb") as file:
                # The second field is the program's name, which may hold anything; the rest follows the last ')'.
                fields = file.read().rpartition(b")")[2].split()
        except OSError:
            continue
        if fields:
            threads = int(fields[17])
            # The state is the first thread's, which may have ended before the others.
            runs = fields[0] not in (b"Z", b"X") or threads > 1
            found[int(name)] = (int(fields[19]), int(fields[1]), threads, runs)
    return found


def running() -> dict[int, Seen]:
    """Every process but this one that has not ended."""
    return {pid: process for pid, process in present().items() if process[3]}


def identities(processes: dict[int, Seen]) -> set[Identity]:
    """What was found, to be known again later."""
    return {(pid, process[0]) for pid, process in processes.items()}


def kill_since(survivors: set[Identity], childless: int = 0) -> bool:
    """Kill every process but those in ``survivors`` and their descendants. True when those had to be killed too.

    ``childless`` is a survivor of which that is no descendant.

    A process that left its group, its session or its parent is found as well, because all of the sandbox is
    looked at. Whatever forks faster than it can be found is ended by killing everything, which is one step.
    """
    if survivors & identities(running()):
        for _ in range(ROUNDS):
            processes = running()
            kept: set[int] = {pid for pid, process in processes.items() if (pid, process[0]) in survivors}
            while (
                more := {pid for pid, process in processes.items() if process[1] in kept and process[1] != childless}
                - kept
            ):
                kept |= more
            doomed = processes.keys() - kept
            if not doomed:
                return False
            for pid in doomed:
                _kill(pid)
            time.sleep(0.002)
        kill_all()
        return True
    kill_all()
    return False


def kill_all() -> None:
    """Kill every process of the sandbox but this one, in one step that no fork can slip through."""
    _kill(-1)


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass  # it ended by itself
