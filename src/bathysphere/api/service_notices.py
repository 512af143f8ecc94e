"""What systemd is told of a service of ``Type=notify``: sd_notify(3), which is a datagram to a socket."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import MutableMapping
from contextlib import suppress
from typing import Self


class ServiceNotices:
    """Says nothing where nobody listens, as when the server was not started by systemd."""

    def __init__(self, address: str | None, watchdog_seconds: float | None = None) -> None:
        """``watchdog_seconds``: systemd counts the service as hung after so long a silence."""
        self._address = None if address is None else ("\0" + address[1:] if address.startswith("@") else address)
        self._watchdog_seconds = watchdog_seconds
        self._beating: asyncio.Task[None] | None = None

    @classmethod
    def found(cls, environment: MutableMapping[str, str] = os.environ) -> Self:
        """As the environment says. The variables are taken out of it: they are nothing for what we start."""
        address = environment.pop("NOTIFY_SOCKET", None)
        period = environment.pop("WATCHDOG_USEC", "")
        environment.pop("WATCHDOG_PID", None)
        seconds = int(period) / 1e6 if period.isascii() and period.isdigit() else 0.0
        return cls(address or None, seconds or None)

    def ready(self) -> None:
        """Requests are taken. From now on, for as long as the event loop turns, the watchdog hears of it."""
        self._tell("READY=1\nSTATUS=Serving")
        if self._address is not None and self._watchdog_seconds is not None:
            self._beating = asyncio.create_task(self._beat(self._watchdog_seconds / 3))

    def stopping(self, seconds: float) -> None:
        """The server ends, which may take so long."""
        self._tell(f"STOPPING=1\nSTATUS=Ending what runs\nEXTEND_TIMEOUT_USEC={int(seconds * 1e6)}")

    async def close(self) -> None:
        """No more beats."""
        if self._beating is not None:
            self._beating.cancel()
            await asyncio.gather(self._beating, return_exceptions=True)

    async def _beat(self, seconds: float) -> None:
        while True:
            self._tell("WATCHDOG=1")
            await asyncio.sleep(seconds)

    def _tell(self, words: str) -> None:
        if self._address is None:
            return
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as notices:
            notices.setblocking(False)
            notices.sendto(words.encode(), self._address)
