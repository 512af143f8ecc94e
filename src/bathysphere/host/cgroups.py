"""Control groups: how much memory, processor time and how many processes a sandbox may use.

Version 1 (a hierarchy per controller) and version 2 (one for all) are both found in use. Groups are made below
the daemon's own, in one named for its data directory, so that a later daemon finds what a killed one left.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

log = logging.getLogger(__name__)

CONTROLLERS = ("memory", "cpu", "pids")
PERIOD_MICROSECONDS = 100_000


class CgroupError(Exception):
    """Limits cannot be set; the message names the controller and what to do."""


@dataclass(frozen=True, slots=True)
class GroupLimits:
    """What one group may use."""

    memory_bytes: int
    cpus: float
    processes: int


@dataclass(frozen=True, slots=True)
class Usage:
    """What a group has used so far, where the system tells."""

    cpu_seconds: float | None
    peak_memory_bytes: int | None
    memory_kills: int
    process_refusals: int


@dataclass(frozen=True, slots=True)
class Hierarchies:
    """Where groups can be made: controller -> directory of the daemon's own group. One version for all."""

    version: int
    roots: dict[str, Path] = field(default_factory=dict)

    @classmethod
    def find(cls, proc: Path = Path("/proc/self")) -> Hierarchies:
        """Look at what is mounted and where this process is. What is missing is missing in ``roots``."""
        own: dict[str, str] = {}
        for line in (proc / "cgroup").read_text().splitlines():
            _number, controllers, path = line.split(":", 2)
            for controller in controllers.split(","):
                own[controller] = path
        first: dict[str, Path] = {}
        second: Path | None = None
        for line in (proc / "mountinfo").read_text().splitlines():
            before, _, after = line.partition(" - ")
            kind, _source, options = after.split(" ", 2)
            point = Path(before.split(" ")[4].encode().decode("unicode_escape"))
            if kind == "cgroup2":
                second = point
            elif kind == "cgroup":
                for option in options.split(","):
                    if option in (*CONTROLLERS, "cpuacct"):
                        first.setdefault(option, point)
        if second is not None:
            group = second / own.get("", "/").lstrip("/")
            if not group.is_dir():
                group = second
            available = _words(group / "cgroup.controllers")
            if all(controller in available for controller in CONTROLLERS):
                return cls(2, dict.fromkeys(CONTROLLERS, group))
        roots = {}
        for controller, point in first.items():
            group = point / own.get(controller, "/").lstrip("/")
            roots[controller] = group if group.is_dir() else point
        return cls(1, roots)

    def missing(self) -> list[str]:
        """Controllers in which this process cannot make groups."""
        return [
            name for name in CONTROLLERS if name not in self.roots or not os.access(self.roots[name], os.W_OK | os.X_OK)
        ]


class Cgroups:
    """All groups of one daemon."""

    def __init__(self, hierarchies: Hierarchies, name: str) -> None:
        """``name`` is the daemon's own and the same at its next start."""
        self.version = hierarchies.version
        self._bases = {controller: root / name for controller, root in hierarchies.roots.items()}
        self._roots = hierarchies.roots

    def prepare(self) -> None:
        """Make the daemon's groups, ending and removing what a killed daemon left. Raises CgroupError."""
        self.remove()
        for controller, base in self._bases.items():
            try:
                base.mkdir(exist_ok=True)
            except OSError as error:
                raise CgroupError(
                    f"The cgroup {base} ({controller}) cannot be made: {error.strerror}. Without it nothing would "
                    "limit a sandbox. Run the host as root, or in a group that is delegated to its user."
                ) from error
        if self.version == 2:
            root, base = self._roots["memory"], self._bases["memory"]
            self._make_room(root)
            self._enable(base)

    def _make_room(self, root: Path) -> None:
        """Version 2 hands controllers on only from groups without processes; the root group is the exception."""
        try:
            self._enable(root)
        except CgroupError:
            leaf = root / f"{self._bases['memory'].name}-host"
            leaf.mkdir(exist_ok=True)
            for pid in _words(root / "cgroup.procs"):
                with contextlib.suppress(ProcessLookupError):
                    (leaf / "cgroup.procs").write_text(pid)
            self._enable(root)

    def _enable(self, group: Path) -> None:
        control = group / "cgroup.subtree_control"
        wanted = set(CONTROLLERS) - set(_words(control))
        if not wanted:
            return
        try:
            control.write_text(" ".join(f"+{name}" for name in sorted(wanted)))
        except OSError as error:
            raise CgroupError(
                f"The controllers {', '.join(sorted(wanted))} cannot be handed on by {group}: {error.strerror}. "
                "Start the host in a cgroup of its own (systemd: Delegate=yes)."
            ) from error

    def create(self, name: str, limits: GroupLimits) -> Group:
        """Make a sandbox's group with its limits. Raises CgroupError; nothing is left then."""
        group = Group(self.version, {controller: base / name for controller, base in self._bases.items()})
        try:
            group.make(limits)
        except OSError as error:
            group.remove()
            raise CgroupError(f"The limits of a sandbox cannot be set: {error}") from error
        return group

    def memory_bytes(self) -> int | None:
        """What all groups use together at this moment, with the pages of files that they have in memory."""
        name = "memory.current" if self.version == 2 else "memory.usage_in_bytes"
        try:
            return int((self._bases["memory"] / name).read_text())
        except (KeyError, OSError, ValueError):
            return None

    def remove(self) -> None:
        """End every process in the daemon's groups and remove them all."""
        for base in set(self._bases.values()):
            if not base.is_dir():
                continue
            deadline = time.monotonic() + 10
            while pids := _pids(base):
                for pid in pids:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
                if time.monotonic() > deadline:
                    log.error("processes in %s do not end: %s", base, sorted(pids)[:20])
                    return
                time.sleep(0.005)
            for directory, _folders, _files in os.walk(base, topdown=False):
                _remove(Path(directory))


@dataclass(frozen=True, slots=True)
class Group:
    """The group of one sandbox: controller -> directory (version 2: the same one for all)."""

    version: int
    places: dict[str, Path]
    _open: dict[str, int] = field(default_factory=dict)

    def make(self, limits: GroupLimits) -> None:
        """Make the directories and set the limits. Raises OSError."""
        for place in dict.fromkeys(self.places.values()):
            place.mkdir(exist_ok=True)
        memory, cpu, pids = (self.places[name] for name in CONTROLLERS)
        quota = max(1000, int(limits.cpus * PERIOD_MICROSECONDS))
        if self.version == 2:
            _write(memory / "memory.max", limits.memory_bytes)
            _write_if_there(memory / "memory.swap.max", 0)
            _write(cpu / "cpu.max", f"{quota} {PERIOD_MICROSECONDS}")
        else:
            _write(memory / "memory.limit_in_bytes", limits.memory_bytes)
            # Exists only where swap is accounted; the limit is of memory and swap together.
            _write_if_there(memory / "memory.memsw.limit_in_bytes", limits.memory_bytes)
            _write(cpu / "cpu.cfs_period_us", PERIOD_MICROSECONDS)
            _write(cpu / "cpu.cfs_quota_us", quota)
        _write(pids / "pids.max", limits.processes)

    @contextlib.contextmanager
    def entrances(self) -> Iterator[Sequence[int]]:
        """The open files into which a process writes ``0`` to enter."""
        descriptors: list[int] = []
        try:
            for place in dict.fromkeys(self.places.values()):
                descriptors.append(os.open(place / "cgroup.procs", os.O_WRONLY | os.O_CLOEXEC))
            yield descriptors
        finally:
            for descriptor in descriptors:
                os.close(descriptor)

    def usage(self) -> Usage:
        """What was used since ``reset_peak`` (peak) or since the group was made (the rest)."""
        if self.version == 2:
            micro = _field(self._read("cpu", "cpu.stat"), b"usage_usec")
            return Usage(
                None if micro is None else micro / 1e6,
                _number(self._read("memory", "memory.peak")),
                _field(self._read("memory", "memory.events"), b"oom_kill") or 0,
                _field(self._read("pids", "pids.events"), b"max") or 0,
            )
        nano = _number(self._read("cpuacct", "cpuacct.usage"))
        return Usage(
            None if nano is None else nano / 1e9,
            _number(self._read("memory", "memory.max_usage_in_bytes")),
            _field(self._read("memory", "memory.oom_control"), b"oom_kill") or 0,
            _field(self._read("pids", "pids.events"), b"max") or 0,
        )

    def throttled(self) -> int:
        """How many times its processes have had to wait because their processor time was used up."""
        return _field(self._read("cpu", "cpu.stat"), b"nr_throttled") or 0

    def _read(self, controller: str, name: str) -> bytes:
        """A file of the group; nothing when there is none. It stays open, as these are read around every command."""
        descriptor = self._open.get(name)
        if descriptor is None:
            if controller not in self.places:
                return b""
            try:
                descriptor = self._open[name] = os.open(self.places[controller] / name, os.O_RDONLY | os.O_CLOEXEC)
            except OSError:
                return b""
        return os.pread(descriptor, 4096, 0)

    def reset_peak(self) -> None:
        """Begin to count the peak of memory anew, where the system can."""
        name = "memory.peak" if self.version == 2 else "memory.max_usage_in_bytes"
        with contextlib.suppress(OSError):
            _write(self.places["memory"] / name, 0)

    def remove(self) -> None:
        """Remove the directories. Every process in them has ended before."""
        for descriptor in self._open.values():
            os.close(descriptor)
        self._open.clear()
        for place in dict.fromkeys(self.places.values()):
            _remove(place)


def _remove(directory: Path) -> None:
    # A group counts as busy for a moment after its last process has ended.
    for _attempt in range(200):
        try:
            directory.rmdir()
            return
        except FileNotFoundError:
            return
        except OSError:
            time.sleep(0.001)
    log.error("the cgroup %s cannot be removed", directory)


def _write(path: Path, value: object) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(descriptor, str(value).encode())
    finally:
        os.close(descriptor)


def _write_if_there(path: Path, value: object) -> None:
    with contextlib.suppress(FileNotFoundError):
        _write(path, value)


def _words(path: Path) -> list[str]:
    try:
        return path.read_text().split()
    except OSError:
        return []


def _number(text: bytes) -> int | None:
    return int(text) if text.strip().isdigit() else None


def _field(text: bytes, name: bytes) -> int | None:
    words = text.split()
    return int(words[words.index(name) + 1]) if name in words else None


def _pids(base: Path) -> set[int]:
    found: set[int] = set()
    for directory, _folders, _files in os.walk(base):
        found.update(int(pid) for pid in _words(Path(directory) / "cgroup.procs"))
    return found
