"""Connections to the daemon's socket. One whose request was answered to its end is kept for the next."""

from __future__ import annotations

import asyncio
import os
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bathysphere.containers.observed_calls import ObservedCall

MOST_KEPT: Final = 32


@dataclass(slots=True)
class Connection:
    """One connection, for one request at a time."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    _socket: socket.socket
    call: ObservedCall | None = None
    """The call that it serves just now."""
    answered: bool = False
    """Whether the last request was answered to its end, so that nothing of it can come any more."""

    def alive(self) -> bool:
        """Whether the daemon holds its end at this moment: the kernel's word, as fresh as that of a new connection."""
        try:
            self._socket.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except BlockingIOError:
            return True
        except OSError:
            return False
        return False  # the end, or what nobody asked for

    def close(self) -> None:
        """Let go of it."""
        self.writer.close()


class Connections:
    """Those of one client."""

    def __init__(self, folder: Path) -> None:
        """``folder`` is where the daemon has its socket."""
        self._folder = folder
        self._kept: list[Connection] = []

    async def take(self) -> Connection:
        """A kept connection, or a new one. Raises OSError when no daemon answers."""
        while self._kept:
            connection = self._kept.pop()
            if connection.alive():
                connection.answered = False
                return connection
            connection.close()
        return await self.open()

    async def open(self) -> Connection:
        """A new connection. Raises OSError when no daemon answers."""
        ours = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            ours.setblocking(False)
            folder = os.open(self._folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                # Through the open folder, because the path of a socket may have 107 bytes only.
                while True:
                    try:
                        ours.connect(f"/proc/self/fd/{folder}/host.sock")
                        break
                    except BlockingIOError:
                        await asyncio.sleep(0.01)  # more connect at this moment than fit the queue
            finally:
                os.close(folder)
            return Connection(*await asyncio.open_unix_connection(sock=ours, limit=256 * 1024), ours)
        except BaseException:
            ours.close()
            raise

    def leave(self, connection: Connection) -> None:
        """Give back what ``take`` gave: it is kept if its request was answered to the end."""
        if connection.answered and len(self._kept) < MOST_KEPT:
            self._kept.append(connection)
        else:
            connection.close()

    def close(self) -> None:
        """Let go of those that are kept."""
        while self._kept:
            self._kept.pop().close()
