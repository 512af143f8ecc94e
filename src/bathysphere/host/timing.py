"""Where the time of one request to the daemon goes: told with its last frame, as whoever asked makes spans of it."""

from __future__ import annotations

import time
from typing import Any, Literal

Phase = Literal["wait", "start", "run", "sync"]
"""For earlier calls to the container; of its sandbox; of what was asked; of what was written, to the disk."""

How = Literal["running", "pool", "cold", "restored"]
"""What the container's sandbox was: there, taken from the pool, started with a new disk, started with its old one."""


class Timing:
    """Begins now. What is not noted is time that belongs to no phase."""

    def __init__(self) -> None:
        self.how: How = "running"
        self._phases: list[tuple[Phase, float]] = []
        self._last = time.monotonic()

    def lap(self, phase: Phase) -> None:
        """What has passed since the last one was this."""
        now = time.monotonic()
        self._phases.append((phase, now - self._last))
        self._last = now

    def wire(self) -> dict[str, Any]:
        """As a member of a frame: seconds, in the order in which they passed."""
        return {"how": self.how, "phases": [(phase, round(seconds, 6)) for phase, seconds in self._phases]}
