"""Starting programs from the daemon, and waiting for processes without threads.

The daemon has one thread only, so that a fork always copies a consistent process.
"""

from __future__ import annotations

import asyncio
import os
import resource
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Identity:
    """Whom a program is to be started as."""

    uid: int
    gid: int


@dataclass(frozen=True, slots=True)
class Launch:
    """A program and all that it inherits: nothing else is."""

    argv: Sequence[str]
    descriptors: Sequence[int]
    """They become 0, 1, 2, ... of the program."""
    identity: Identity | None = None
    join: Sequence[int] = ()
    """Open ``cgroup.procs`` files that the process enters before the program starts."""
    limits: Mapping[int, int] = field(default_factory=dict)
    """resource.RLIMIT_* -> value."""


def launch(program: Launch) -> int:
    """Start a program with an empty environment in a new process; its id. Raises OSError when the fork fails.

    What goes wrong after the fork is written to the program's descriptor 2 and ends it with status 127.
    """
    pid = os.fork()
    if pid == 0:
        try:
            _become(program)
        except BaseException as error:  # noqa: BLE001  nothing may return into the daemon's code from here
            try:
                os.write(program.descriptors[2], f"{program.argv[0]} could not be started: {error}\n".encode())
            finally:
                os._exit(127)
    return pid


def _become(program: Launch) -> None:
    for joined in program.join:
        os.write(joined, b"0")
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGPIPE, signal.SIGHUP, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    # Copied above the range of targets first, so that none is overwritten before its turn.
    base = 64
    high = []
    for offset, descriptor in enumerate(program.descriptors):
        os.dup2(descriptor, base + offset)
        high.append(base + offset)
    for target, descriptor in enumerate(high):
        os.dup2(descriptor, target, inheritable=True)
    os.closerange(len(high), 1 << 30)
    for limit, value in program.limits.items():
        resource.setrlimit(limit, (value, value))
    if program.identity is not None:
        os.setgroups([])
        os.setresgid(program.identity.gid, program.identity.gid, program.identity.gid)
        os.setresuid(program.identity.uid, program.identity.uid, program.identity.uid)
    os.chdir("/")
    os.umask(0o022)
    os.execve(program.argv[0], list(program.argv), {})


class Process:
    """A process, held so that its id cannot come to mean another one."""

    def __init__(self, pid: int) -> None:
        """Raises ProcessLookupError when there is none."""
        self.pid = pid
        self._descriptor = os.pidfd_open(pid)

    def kill(self) -> None:
        """SIGKILL. No error when it has ended."""
        if self._descriptor >= 0:
            try:
                signal.pidfd_send_signal(self._descriptor, signal.SIGKILL)
            except ProcessLookupError:
                pass

    async def ended(self) -> None:
        """Wait until the process has ended, and take leave of it if it is our child."""
        if self._descriptor < 0:
            return
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[None] = loop.create_future()
        copy = os.dup(self._descriptor)
        loop.add_reader(copy, lambda: waiter.done() or waiter.set_result(None))
        try:
            await waiter
        finally:
            loop.remove_reader(copy)
            os.close(copy)
        try:
            os.waitpid(self.pid, os.WNOHANG)
        except ChildProcessError:
            pass  # not our child, or already taken leave of

    def close(self) -> None:
        """Let go of the process."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


async def run(argv: Sequence[str]) -> int:
    """Run a trusted program quietly to its end; its wait status as an exit code."""
    null = os.open(os.devnull, os.O_RDWR)
    try:
        pid = launch(Launch(argv, [null, null, null]))
    finally:
        os.close(null)
    process = Process(pid)
    loop = asyncio.get_running_loop()
    waiter: asyncio.Future[None] = loop.create_future()
    loop.add_reader(process._descriptor, lambda: waiter.done() or waiter.set_result(None))
    try:
        await waiter
    finally:
        loop.remove_reader(process._descriptor)
        process.close()
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
