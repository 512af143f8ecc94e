"""What the daemon asks of a way to run sandboxes.

An engine starts the guest as the first process of a sandbox and gives its standard input and output. It knows
nothing of commands, files or clients. Everything that differs between bubblewrap, gVisor or a container
runtime stays behind this interface.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from bathysphere.host.cgroups import Group
from bathysphere.host.disks.base import SKILLS
from bathysphere.host.processes import Identity


class EngineError(Exception):
    """The engine cannot start sandboxes, or not this one; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class SandboxSpec:
    """One sandbox. Paths are such that ``identity`` may reach them; they are the daemon's choice, never a client's."""

    image: Path
    """Root of the image, shown read-only."""
    guest: Path
    """Folder of the guest's code, shown read-only at ``/guest``."""
    disk: Path
    """Holds ``home``, ``tmp`` and ``files``, shown writable at /home/user, /tmp and /files, and ``skills/shown``, shown
    read-only at /skills. The last may be missing."""
    identity: Identity | None
    """Whom the sandbox runs as on the host; None: as the daemon."""
    group: Group | None
    """Where its processes are counted and limited; entered before anything of the sandbox runs."""
    processes: int
    """At most so many in the sandbox. ``group`` sees to it where the sandbox's processes are the kernel's own."""
    open_files: int
    file_bytes: int
    """Size of the largest file that can be written."""
    shared_memory_bytes: int
    """Size of /dev/shm and of /run."""
    views: Path | None = None
    """Where the engine may mount what this sandbox is to have for itself; None when it cannot mount."""
    extra: Mapping[Path, str] = field(default_factory=dict)
    """Further read-only folders: path here -> path inside."""

    @property
    def skills(self) -> Path | None:
        """What is to be shown at /skills, as it changes; None when the disk has no such folder."""
        shown = self.disk / SKILLS / "shown"
        return shown if shown.is_dir() else None


class RunningSandbox(Protocol):
    """A started sandbox. It lives at most as long as the daemon."""

    stdin: int
    """Descriptor of a pipe to the guest's standard input. Closed by ``close``."""
    stdout: int
    """Descriptor of a pipe from the guest's standard output. Closed by ``close``."""

    @property
    def alive(self) -> bool:
        """Whether it has not ended at this moment: the kernel's word, which may come before that of ``stdout``."""

    @property
    def roots(self) -> list[int]:
        """Processes from which every other one of the sandbox descends, as long as it is alive."""

    async def kill(self) -> None:
        """End every process of the sandbox and wait until all are gone. May be called again."""

    async def ended(self) -> None:
        """Wait until the sandbox has ended by itself or was killed."""

    def complaint(self) -> str:
        """The last 600 characters that engine and guest said on standard error so far; they may be hostile."""

    def close(self) -> None:
        """Let go of descriptors. The sandbox has ended before."""


class Engine(Protocol):
    """Starts sandboxes."""

    name: str

    def check(self) -> None:
        """Find what the engine needs. Raises EngineError when it is missing; nothing runs without isolation."""

    async def start(self, spec: SandboxSpec) -> RunningSandbox:
        """Start the guest in a new sandbox; returns without waiting for the guest's first word.

        Raises EngineError. A failure after that shows as the end of ``stdout``.
        """

    def environment(self, image: Path) -> dict[str, str]:
        """What commands are to find in their environment besides the image's own. Known once a sandbox was started."""

    def tasks(self, processes: int) -> int:
        """How many tasks the group of a sandbox must allow on the host for so many processes inside."""

    def guarantees(self) -> dict[str, bool]:
        """What the engine protects from by itself, by name."""
