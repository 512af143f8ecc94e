"""The daemon: sets everything up, listens on its socket, ends when it is no longer needed."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import signal
import socket
import struct
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from bathysphere.host import operations
from bathysphere.host.configuration import Configuration
from bathysphere.host.connection import FrameError, read_frame, write_frame
from bathysphere.host.fleet import Fleet
from bathysphere.host.ground import Ground

log = logging.getLogger(__name__)

FIRST_WORD_SECONDS = 30.0
_TICK_SECONDS = 0.5
_LISTED = 1000


def short_path(folder_descriptor: int, name: str) -> str:
    """A path for a socket in an open folder that is short however long the folder's own is (108 bytes at most)."""
    return f"/proc/self/fd/{folder_descriptor}/{name}"


class Daemon:
    """One daemon, from its first to its last breath."""

    def __init__(self, configuration: Configuration) -> None:
        self._configuration = configuration
        self._fingerprint = configuration.fingerprint()
        self._servers = 0
        self._requests = 0
        self._last_needed = time.monotonic()
        self._ending = asyncio.Event()

    async def run(self, ready: Callable[[], None]) -> None:
        """Serve until the end. ``ready`` is called when clients can connect. Raises GroundError."""
        configuration = self._configuration
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._ending.set)
        ground = Ground(configuration)
        await ground.prepare()
        self._ground = ground
        self._fleet = Fleet(
            engines=ground.engines,
            stage=ground.stage,
            disks=ground.disks,
            cgroups=ground.cgroups,
            environment=configuration.environment,
            limits=configuration.limits,
            settings=configuration.host,
        )
        await self._fleet.open()
        server = await asyncio.start_unix_server(self._connected, sock=self._listen(), limit=256 * 1024)
        sweep = asyncio.create_task(ground.disks.sweep())
        try:
            ready()
            log.info("ready, process %d, image %s", os.getpid(), configuration.image)
            await self._watch()
        finally:
            log.info("ending")
            self._socket_path().unlink(missing_ok=True)
            server.close()
            sweep.cancel()
            await self._fleet.close()
            await ground.disks.close()
            if ground.cgroups is not None:
                ground.cgroups.remove()

    def _socket_path(self) -> Path:
        return self._configuration.folder / "host.sock"

    def _listen(self) -> socket.socket:
        self._socket_path().unlink(missing_ok=True)
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        folder = os.open(self._configuration.folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            listening.bind(short_path(folder, "host.sock"))
        finally:
            os.close(folder)
        # As root the server is another user, who may reach the folder for this alone.
        if os.geteuid() == 0:
            os.chown(self._socket_path(), 0, self._configuration.host.server_uid)
        self._socket_path().chmod(0o660 if os.geteuid() == 0 else 0o600)
        listening.listen(512)
        return listening

    async def _watch(self) -> None:
        while not self._ending.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._ending.wait(), _TICK_SECONDS)
            try:
                await self._fleet.rest_idle()
            except OSError:
                log.exception("an idle sandbox could not be put to rest")
            now = time.monotonic()
            if self._servers or self._requests or self._fleet.waiting:
                self._last_needed = now
            elif now - self._last_needed >= self._configuration.host.linger_seconds:
                log.info("no server for %g seconds", now - self._last_needed)
                return

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if not self._trusts(writer.get_extra_info("socket")):
                log.warning("a process of another user was refused")
                return
            async with asyncio.timeout(FIRST_WORD_SECONDS):
                frame = await read_frame(reader)
            # A connection whose request was answered to its end may be used for another.
            while frame is not None and await self._counted(*frame, reader, writer):
                frame = await read_frame(reader)
        except (FrameError, ConnectionError, TimeoutError) as error:
            log.info("a client went away: %s", error)
        except asyncio.CancelledError:
            pass  # the daemon ends
        except Exception:
            log.exception("a request failed")
        finally:
            writer.close()

    async def _counted(
        self, header: dict[str, object], payload: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        self._requests += 1
        try:
            return await self._answer(header, payload, reader, writer)
        finally:
            self._requests -= 1

    async def _answer(
        self, header: dict[str, object], payload: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        """Answer one request; whether the connection can be used for another."""
        op = header.get("op")
        if op == "presence":
            self._servers += 1
            self._requests -= 1
            try:
                hello = {"type": "hello", "fingerprint": self._fingerprint, "process": os.getpid()}
                await write_frame(writer, {**hello, "servers": self._servers})
                await reader.read(1)
            finally:
                self._servers -= 1
                self._requests += 1
            return False
        if op == "list":
            containers = self._fleet.list()
            for start in range(0, len(containers), _LISTED):
                part = [asdict(container) for container in containers[start : start + _LISTED]]
                await write_frame(writer, {"type": "containers"}, json.dumps(part).encode())
        elif op == "status":
            await write_frame(writer, {"type": "status"}, json.dumps(self._status()).encode())
        elif op == "shutdown":
            self._ending.set()
            await write_frame(writer, {"type": "done"})
            await asyncio.Event().wait()  # the end of the connection tells that everything has ended
        elif self._ending.is_set():
            await write_frame(writer, {"type": "error", "error": "HostUnavailable", "message": "The host is ending."})
            return False
        else:
            return await operations.serve(self._fleet, self._configuration.limits, (header, payload), (reader, writer))
        await write_frame(writer, {"type": "done"})
        return True

    def _trusts(self, connection: socket.socket) -> bool:
        """Whether the other side is our own user, root or the server. The folder keeps others out; a second lock."""
        credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        _pid, uid, _gid = struct.unpack("3I", credentials)
        return uid in (0, os.geteuid()) or (os.geteuid() == 0 and uid == self._configuration.host.server_uid)

    def _status(self) -> dict[str, object]:
        status = self._ground.status(self._fleet.running, self._fleet.ready, self._fleet.states())
        return asdict(status)
