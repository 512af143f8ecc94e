"""A process that mounts, copies and writes back, while the daemon, which has one thread only, goes on.

It shares the daemon's mount namespace, so what it mounts is there for every sandbox; it runs each call in a thread,
so a slow disk holds up no other; it holds nothing between calls that would be missed, and it dies with the daemon.
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
from bathysphere.host.syscalls import die_with_parent

_LARGEST = 64 * 1024


class Worker:
    """The daemon's side. The process is started by the first call, and again if it has ended."""

    def __init__(self, operations: Mapping[str, Callable[..., object]]) -> None:
        """``operations``: what can be called, by name. Arguments and results are what JSON can carry."""
        self._operations = operations
        self._socket: socket.socket | None = None
        self._process: Process | None = None
        self._parting: asyncio.Future[None] | None = None
        self._number = 0
        self._waiting: dict[int, asyncio.Future[Any]] = {}

    async def call(self, operation: str, *arguments: object) -> Any:
        """Carry out an operation. Raises OSError: what it raised, or EPIPE when the process has ended meanwhile.

        It is carried out to its end even if the caller is cancelled, and the caller goes on only then.
        """
        channel = self._socket or self._start()
        self._number += 1
        number = self._number
        done: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting[number] = done
        try:
            # A small message: it fits, or thousands of calls wait already.
            channel.send(json.dumps([number, operation, arguments]).encode())
        except OSError as error:
            del self._waiting[number]
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
        self._process = Process(pid)
        theirs.close()
        ours.setblocking(False)
        asyncio.get_running_loop().add_reader(ours, self._answered, ours)
        self._socket = ours
        return ours

    def _answered(self, channel: socket.socket) -> None:
        try:
            said = channel.recv(_LARGEST)
        except BlockingIOError:
            return
        except OSError:
            said = b""
        if not said:
            process = self._end()
            if process is not None:
                process.kill()
                self._parting = asyncio.ensure_future(_part(process))
            return
        number, failed, value = json.loads(said)
        done = self._waiting.pop(number, None)
        if done is None:
            return
        if failed:
            done.set_exception(OSError(failed, value))
        else:
            done.set_result(value)

    def _end(self) -> Process | None:
        """Let go of the process, which ends then. Whoever waits is told."""
        process, self._process = self._process, None
        if self._socket is not None:
            asyncio.get_running_loop().remove_reader(self._socket)
            self._socket.close()
            self._socket = None
        for done in self._waiting.values():
            done.set_exception(OSError(errno.EPIPE, "the process for disks has ended"))
        self._waiting.clear()
        return process

    async def close(self) -> None:
        """End the process and wait for that."""
        process = self._end()
        if process is not None:
            await _part(process)


async def _part(process: Process) -> None:
    await process.ended()
    process.close()


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
        while asked := channel.recv(_LARGEST):
            threading.Thread(target=_carry_out, args=(channel, asked, operations), daemon=True).start()
    finally:
        os._exit(0)


def _carry_out(channel: socket.socket, asked: bytes, operations: Mapping[str, Callable[..., object]]) -> None:
    number, operation, arguments = json.loads(asked)
    answer: list[object]
    try:
        answer = [number, 0, operations[operation](*arguments)]
    except OSError as error:
        answer = [number, error.errno or errno.EIO, error.strerror or str(error)]
    except Exception as error:
        answer = [number, errno.EIO, f"{type(error).__name__}: {error}"]
    channel.send(json.dumps(answer).encode())
