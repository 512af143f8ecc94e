"""A process that makes what was written safe, while the daemon, which has one thread only, goes on.

It takes an open directory of a file system over a socket and answers when everything written to that file system
is on the disk. It shares the daemon's mount namespace, holds nothing in between, and dies with the daemon.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import struct
import threading

from bathysphere.host.forked import part
from bathysphere.host.processes import Process
from bathysphere.host.syscalls import sync_file_system

_ASKED = struct.Struct("=I")
_ANSWER = struct.Struct("=Ii")


class Writeback:
    """The daemon's side. The process is started by the first call, and again if it has ended."""

    def __init__(self) -> None:
        self._socket: socket.socket | None = None
        self._process: Process | None = None
        self._number = 0
        self._waiting: dict[int, asyncio.Future[None]] = {}

    async def sync(self, path: str, folder: str) -> None:
        """Write back the file system on which ``path`` is, then the directory ``folder``. Raises OSError.

        Both are closed again when this returns, also when it is cancelled: that waits for the end.
        """
        channel = self._socket or self._start()
        self._number = (self._number + 1) & 0xFFFFFFFF
        number = self._number
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        opened: list[int] = []
        try:
            for place in (path, folder):
                opened.append(os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))
            self._waiting[number] = done
            socket.send_fds(channel, [_ASKED.pack(number)], opened)
        except OSError:
            self._waiting.pop(number, None)
            raise
        finally:
            for descriptor in opened:
                os.close(descriptor)
        try:
            await asyncio.shield(done)
        except asyncio.CancelledError:
            await asyncio.wait([done])
            raise

    def _start(self) -> socket.socket:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        parent = os.getpid()
        pid = os.fork()
        if pid == 0:
            _serve(theirs, parent)
        self._process = Process(pid)
        theirs.close()
        ours.setblocking(False)
        asyncio.get_running_loop().add_reader(ours, self._answered, ours)
        self._socket = ours
        return ours

    def _answered(self, channel: socket.socket) -> None:
        try:
            answer = channel.recv(_ANSWER.size)
        except BlockingIOError:
            return
        except OSError:
            answer = b""
        if not answer:
            self._end()
            return
        number, failed = _ANSWER.unpack(answer)
        done = self._waiting.pop(number, None)
        if done is None or done.done():
            return
        if failed:
            done.set_exception(OSError(failed, os.strerror(failed)))
        else:
            done.set_result(None)

    async def close(self) -> None:
        """End the process and wait for that."""
        process = self._process
        self._end()
        if process is not None:
            await process.ended()
            process.close()

    def _end(self) -> None:
        """Let go of the process, which ends then. Whoever waits is told."""
        self._process = None
        if self._socket is not None:
            asyncio.get_running_loop().remove_reader(self._socket)
            self._socket.close()
            self._socket = None
        for done in self._waiting.values():
            if not done.done():
                done.set_exception(OSError(errno.EPIPE, "the process that writes back has ended"))
        self._waiting.clear()


def _serve(channel: socket.socket, parent: int) -> None:
    """The process. Never returns. One thread for each call: a slow one holds up no other."""
    try:
        part(parent, channel.fileno())
        while True:
            asked, descriptors, _flags, _address = socket.recv_fds(channel, _ASKED.size, 2)
            if not asked:
                break
            threading.Thread(target=_sync, args=(channel, asked, descriptors), daemon=True).start()
    finally:
        os._exit(0)


def _sync(channel: socket.socket, asked: bytes, descriptors: list[int]) -> None:
    failed = 0
    try:
        file_system, folder = descriptors
        sync_file_system(file_system)
        os.fsync(folder)
    except OSError as error:
        failed = error.errno or errno.EIO
    finally:
        for descriptor in descriptors:
            os.close(descriptor)
    channel.send(_ANSWER.pack(*_ASKED.unpack(asked), failed))
