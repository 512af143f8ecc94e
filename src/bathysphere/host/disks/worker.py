"""A process that mounts, copies and writes back, while the daemon, which has one thread only, goes on.

It shares the daemon's mount namespace, so what it mounts is there for every sandbox; a thread is free for the next
call whatever the others wait for, so a slow disk holds up no other; it holds nothing between calls that would be
missed, and it dies with the daemon.
To fork the daemon for each call would take three times as long.
"""

from __future__ import annotations

import asyncio
import errno
import gc
import json
import os
import signal
import socket
import threading
from collections.abc import Callable, Mapping
from typing import Any

from bathysphere.host.processes import Process
from bathysphere.host.syscalls import die_with_parent, end_namespace_holders

_LARGEST = 64 * 1024

_THREADS = 256
"""So many calls are carried out beside each other; further ones wait."""


class WorkerEnded(OSError):
    """The process was killed: what was asked for was done, or begun, or not."""


class Worker:
    """The daemon's side. The process is started by the first call, and again if it has ended."""

    def __init__(self, operations: Mapping[str, Callable[..., object]]) -> None:
        """``operations``: what can be called, by name. Arguments and results are what JSON can carry."""
        self._operations = operations
        self._socket: socket.socket | None = None
        self._process: Process | None = None
        self._watch: asyncio.Future[None] | None = None
        self._number = 0
        self._waiting: dict[int, asyncio.Future[Any]] = {}

    async def call(self, operation: str, *arguments: object, descriptor: int | None = None) -> Any:
        """Carry out an operation. Raises OSError: what it raised, or WorkerEnded.

        An open ``descriptor`` is given to it as its last argument, and is open there until it ends.

        It is carried out to its end even if the caller is cancelled, and the caller goes on only then.
        """
        channel = self._socket or self._start()
        self._number += 1
        number = self._number
        done: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting[number] = done
        try:
            # A small message: it fits, or thousands of calls wait already.
            given = [] if descriptor is None else [descriptor]
            socket.send_fds(channel, [json.dumps([number, operation, arguments]).encode()], given)
        except OSError as error:
            del self._waiting[number]
            if error.errno in (errno.EPIPE, errno.ECONNRESET):
                await self._watching()  # it has ended, which is about to be noticed
                raise WorkerEnded(errno.EPIPE, "the process for disks has ended") from error
            raise OSError(error.errno, f"the process for disks cannot be asked: {error.strerror}") from error
        try:
            return await asyncio.shield(done)
        except asyncio.CancelledError:
            await asyncio.wait([done])
            done.exception()
            raise

    def _start(self) -> socket.socket:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        parent = os.getpid()
        pid = os.fork()
        if pid == 0:
            _serve(theirs, parent, self._operations)
        theirs.close()
        ours.setblocking(False)
        asyncio.get_running_loop().add_reader(ours, self._answered, ours)
        self._socket = ours
        self._process = Process(pid)
        self._watch = asyncio.ensure_future(self._until_ended(self._process, ours))
        return ours

    def _answered(self, channel: socket.socket) -> bool:
        """Take an answer; False when there is none."""
        try:
            said = channel.recv(_LARGEST)
        except BlockingIOError:
            return False
        except OSError:
            said = b""
        if not said:
            # Nothing comes any more. Whoever waits is told when the process is gone with all that it did.
            asyncio.get_running_loop().remove_reader(channel)
            if self._process is not None:
                self._process.kill()
            return False
        number, failed, value = json.loads(said)
        done = self._waiting.pop(number, None)
        if done is None:
            return True
        if failed:
            done.set_exception(OSError(failed, value))
        else:
            done.set_result(value)
        return True

    async def _until_ended(self, process: Process, channel: socket.socket) -> None:
        """Not told by its end of the socket: what it had started may have that too."""
        await process.ended()
        process.close()
        end_namespace_holders()
        while self._answered(channel):
            pass
        asyncio.get_running_loop().remove_reader(channel)
        channel.close()
        self._socket = self._process = None
        waiting, self._waiting = self._waiting, {}
        for done in waiting.values():
            done.set_exception(WorkerEnded(errno.EPIPE, "the process for disks has ended"))

    async def close(self) -> None:
        """End the process and wait for that."""
        if self._socket is not None:
            self._socket.shutdown(socket.SHUT_WR)
            await self._watching()

    async def _watching(self) -> None:
        if self._watch is not None:
            await asyncio.shield(self._watch)


def _serve(channel: socket.socket, parent: int, operations: Mapping[str, Callable[..., object]]) -> None:
    """The process. Never returns."""
    try:
        gc.disable()
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD):
            signal.signal(number, signal.SIG_DFL)
        die_with_parent(parent)
        # Clients, guests and who started the daemon must see their connections end when the daemon closes them.
        null = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1, 2):
            os.dup2(null, descriptor)
        os.closerange(3, channel.fileno())
        os.closerange(channel.fileno() + 1, 1 << 30)
        _Threads(channel, operations).serve()
    finally:
        os._exit(0)


class _Threads:
    """Threads that all wait for calls, one of them at least: who hears a call carries it out, and wakes nobody."""

    def __init__(self, channel: socket.socket, operations: Mapping[str, Callable[..., object]]) -> None:
        self._channel = channel
        self._operations = operations
        self._lock = threading.Lock()
        self._count = 1
        self._free = 1

    def serve(self) -> None:
        """What each of them does. The first to hear that the daemon has gone ends the process."""
        while True:
            asked, given, _, _ = socket.recv_fds(self._channel, _LARGEST, 1, socket.MSG_CMSG_CLOEXEC)
            if not asked:
                break
            with self._lock:
                self._free -= 1
                another = not self._free and self._count < _THREADS
                if another:
                    self._count += 1
                    self._free += 1
            if another:
                threading.Thread(target=self.serve, daemon=True).start()
            _carry_out(self._channel, asked, given, self._operations)
            with self._lock:
                self._free += 1
        os._exit(0)


def _carry_out(
    channel: socket.socket, asked: bytes, given: list[int], operations: Mapping[str, Callable[..., object]]
) -> None:
    number, operation, arguments = json.loads(asked)
    answer: list[object]
    try:
        answer = [number, 0, operations[operation](*arguments, *given)]
    except OSError as error:
        answer = [number, error.errno or errno.EIO, error.strerror or str(error)]
    except Exception as error:
        answer = [number, errno.EIO, f"{type(error).__name__}: {error}"]
    for descriptor in given:
        os.close(descriptor)
    channel.send(json.dumps(answer).encode())
