"""A container as the fleet knows it while it is in use."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field

from bathysphere.host.cells import HeldCell
from bathysphere.host.cgroups import Group
from bathysphere.host.disks.base import Disk
from bathysphere.host.sandbox import Sandbox


@dataclass(eq=False)
class Resident:
    """A container that runs or that somebody calls."""

    container_id: str
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held during a call. It is given to those who wait in the order in which they came."""
    sandbox: Sandbox | None = None
    group: Group | None = None
    disk: Disk | None = None
    """Attached for as long as there is a sandbox."""
    held: HeldCell | None = None
    """The last cell of this sandbox; gone with it."""
    ended: dict[str, HeldCell] = field(default_factory=dict)
    """Earlier cells of this sandbox that waited and have ended: the last few, the newest at the end."""
    kills: int = 0
    """Processes that were killed for want of memory in earlier calls."""
    callers: int = 0
    """Who holds the lock or waits for it."""
    last_used: float = field(default_factory=time.monotonic)
    deleted: bool = False
    skills: dict[str, str] | None = None
    """What is shown at /skills, name -> digest; None when that was not looked at since the disk was attached."""
    prepared: bool = False
    """Whether its interpreter was started ahead of the first cell."""

    @property
    def alive(self) -> bool:
        """Whether its sandbox runs."""
        return self.sandbox is not None and self.sandbox.alive

    @property
    def waits(self) -> bool:
        """Whether a cell in it waits for answers: its processes must not be ended until it has them."""
        return self.held is not None and self.held.waits and self.alive
