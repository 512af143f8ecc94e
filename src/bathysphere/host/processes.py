"""Starting programs from the daemon, and waiting for processes without threads.

The daemon has one thread only, so that a fork always copies a consistent process.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import resource
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bathysphere.host import syscalls
from bathysphere.host.syscalls import die_with_parent

KEEPER_OFFSET = 1 << 27
"""From a sandbox's user id to that of its keeper: the range of the keepers lies that far behind."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Whom a program is to be started as."""

    uid: int
    gid: int
    groups: tuple[int, ...] = ()
    """Further groups."""

    @property
    def keeper(self) -> int:
        """The user and group that an engine's own processes have on the host, where they are kept from the sandbox's.

        No file lastingly belongs to it.
        """
        return self.uid + KEEPER_OFFSET


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
    user_namespace: int | None = None
    """Descriptor of a user namespace that is entered first; ``identity`` is one of its users then."""


def launch(program: Launch) -> int:
    """Start a program with an empty environment in a new process, which leads a group of its own; its id.

    Raises OSError when the fork fails.

    What goes wrong after the fork is written to the program's descriptor 2 and ends it with status 127.
    """
    parent = os.getpid()
    pid = os.fork()
    if pid == 0:
        try:
            _become(program, parent)
        except BaseException as error:  # nothing may return into the daemon's code from here
            try:
                os.write(program.descriptors[2], f"{program.argv[0]} could not be started: {error}\n".encode())
            finally:
                os._exit(127)
    return pid


def _become(program: Launch, parent: int) -> None:
    os.setpgid(0, 0)
    for joined in program.join:
        os.write(joined, b"0")
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGPIPE, signal.SIGHUP, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    if program.user_namespace is not None:
        syscalls.enter(program.user_namespace, syscalls.CLONE_NEWUSER)
    # Copied above the range of targets first, so that none is overwritten before its turn.
    high = [fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 16) for descriptor in program.descriptors]
    for target, descriptor in enumerate(high):
        os.dup2(descriptor, target, inheritable=True)
    os.closerange(len(high), 1 << 30)
    for limit, value in program.limits.items():
        resource.setrlimit(limit, (value, value))
    if program.identity is not None:
        os.setgroups(program.identity.groups)
        os.setresgid(program.identity.gid, program.identity.gid, program.identity.gid)
        os.setresuid(program.identity.uid, program.identity.uid, program.identity.uid)
    # It lasts through the exec, and is lost by a change of user. A program that asks for it by itself could come late.
    die_with_parent(parent)
    os.chdir("/")
    os.umask(0o022)
    os.execve(program.argv[0], list(program.argv), {})  # noqa: S606


class Process:
    """A process, held so that its id cannot come to mean another one."""

    def __init__(self, pid: int, launched: bool = False) -> None:
        """``launched``: a child made by ``launch``, with which its group ends.

        Raises ProcessLookupError when there is no such process.
        """
        self.pid = pid
        self._leads = launched
        self.exit_code: int | None = None
        """How it ended, when it was our child."""
        self._descriptor = os.pidfd_open(pid)

    def kill(self) -> None:
        """SIGKILL. No error when it has ended."""
        if self._descriptor >= 0:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._descriptor, signal.SIGKILL)

    async def ended(self) -> None:
        """Wait until the process has ended, and take leave of it if it is our child."""
        if self._descriptor < 0:
            return
        await readable(self._descriptor)
        leads, self._leads = self._leads, False
        if leads:
            # Before it is taken leave of, so that the number means this group and no other. What was to die with its
            # leader, and had not said so yet, would live on.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)
        self.exit_code = _take_leave(self.pid) if self.exit_code is None else self.exit_code
        while leads:
            leads = await _inherited(self.pid)

    def fileno(self) -> int:
        """The descriptor by which it is held."""
        return self._descriptor

    def close(self) -> None:
        """Let go of the process."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def parent_of(pid: int) -> int | None:
    """The id of a process's parent; None when there is no such process."""
    try:
        # After the name, which may hold anything: state, parent, ...
        return int(Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[1])
    except (OSError, IndexError, ValueError):
        return None


def numbers_of(pid: int) -> list[int]:
    """A process's number in each process namespace that it is in, from ours on. None of them when it has ended."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return []
    return next((list(map(int, line.split()[1:])) for line in lines if line.startswith("NSpid:")), [])


def is_first(pid: int) -> bool:
    """Whether a process is the first one of a process namespace below ours."""
    numbers = numbers_of(pid)
    return len(numbers) > 1 and numbers[-1] == 1


def _settle(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)


async def readable(*descriptors: int) -> None:
    """Wait until one of them has something to read, or its end. For a held process: until it has ended."""
    loop = asyncio.get_running_loop()
    waiter: asyncio.Future[None] = loop.create_future()
    # Copies, because the loop can watch one descriptor for one party only.
    copies = [os.dup(descriptor) for descriptor in descriptors]
    for copy in copies:
        loop.add_reader(copy, _settle, waiter)
    try:
        await waiter
    finally:
        for copy in copies:
            loop.remove_reader(copy)
            os.close(copy)


def _take_leave(pid: int) -> int | None:
    """The exit code of a child that has ended; None when it is not our child or was taken leave of before."""
    try:
        ended, status = os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return None
    return os.waitstatus_to_exitcode(status) if ended else None


async def _inherited(group: int) -> bool:
    """Take leave of a process of a killed group that has become our child; False when there is none."""
    try:
        ended, _status = os.waitpid(-group, os.WNOHANG)  # noqa: ASYNC222  does not wait
    except ChildProcessError:
        return False
    if not ended:
        await asyncio.sleep(0.001)
    return True


async def run(argv: Sequence[str]) -> int:
    """Run a trusted program quietly to its end; its exit code."""
    null = os.open(os.devnull, os.O_RDWR)
    try:
        pid = launch(Launch(argv, [null, null, null]))
    finally:
        os.close(null)
    process = Process(pid, launched=True)
    try:
        await process.ended()
    finally:
        process.close()
    return 1 if process.exit_code is None else process.exit_code
