"""Sandboxes by bubblewrap: new namespaces of the running kernel, no capabilities, a read-only image."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import resource
import select
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from bathysphere.host.engines.base import EngineError, SandboxSpec
from bathysphere.host.engines.own_view import MOUNT_POINTS, OwnViews, View
from bathysphere.host.processes import Launch, Process, is_first, launch, parent_of, readable
from bathysphere.host.seccomp import SealedFilter, standard_filter
from bathysphere.host.syscall_policy import PolicyError

INSIDE_UID = 1000
"""The user that the sandbox's programs see themselves as; ``user`` in the image's /etc/passwd."""

_OWN_PLACES = {"home", "tmp", "files", "guest", "proc", "dev", "run", "sys", "skills"}
"""What is never taken from the image's root directory."""

_PYTHONS = ("usr/bin/python3.11", "usr/local/bin/python3.11", "usr/bin/python3", "usr/local/bin/python3")

_NAMESPACES = (
    *("--unshare-user", "--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try"),
    *("--uid", str(INSIDE_UID), "--gid", str(INSIDE_UID), "--hostname", "container"),
    *("--disable-userns", "--cap-drop", "ALL", "--new-session", "--die-with-parent", "--as-pid-1"),
)

_HIDDEN = ("cmdline", "diskstats", "interrupts", "partitions", "sys/kernel/random/boot_id")
"""Files in /proc that tell of the machine and that no program needs. Each costs 0.2 ms of every start."""

_NO_CORE_DUMPS = 1
"""Bytes. With 0, the kernel would still start a program of the host that core_pattern may name."""

_PIPE_BYTES = 256 * 1024
_COMPLAINT = 65536
_COMPLAINT_SHOWN = 600
_INFO_SECONDS = 5.0


class Bubblewrap:
    """The engine. Needs the program ``bwrap`` and user namespaces."""

    name = "bubblewrap"

    def __init__(self) -> None:
        self._program = ""
        self._layouts: dict[Path, tuple[list[str], str]] = {}
        self._hidden: list[str] = []
        self._views = OwnViews()
        self._filter: SealedFilter

    def check(self) -> None:
        """See Engine."""
        found = shutil.which("bwrap", path="/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
        if found is None:
            raise EngineError(
                "bubblewrap is not installed, so nothing can be isolated. Install it (apt install bubblewrap)."
            )
        options = subprocess.run([found, "--help"], capture_output=True, check=False, timeout=10).stdout
        # What is asked for last came last, with 0.8.
        if b"--disable-userns" not in options:
            raise EngineError(f"{found} is older than bubblewrap 0.8, which is needed. Install a newer one.")
        self._program = found
        self._hidden = [word for name in _HIDDEN if Path("/proc", name).exists() for word in _hide(f"/proc/{name}")]
        if Path("/proc/pressure").is_dir():
            # One can have the kernel watch over the pressure on the whole machine here.
            self._hidden += ["--size", "4096", "--tmpfs", "/proc/pressure", "--remount-ro", "/proc/pressure"]
        try:
            self._filter = SealedFilter(standard_filter())
        except (PolicyError, OSError) as error:
            raise EngineError(
                f"The filter of system calls cannot be made, and nothing runs without: {error}"
            ) from error

    def environment(self, image: Path) -> dict[str, str]:
        """See Engine."""
        return {}

    def tasks(self, processes: int) -> int:
        """See Engine."""
        return processes

    def guarantees(self) -> dict[str, bool]:
        """See Engine."""
        return {
            "network": True,
            "own process ids": True,
            "own user namespace": True,
            "no further user namespaces": True,
            "no capabilities": True,
            "read-only image": True,
            "own kernel": False,
        }

    def _layout(self, image: Path) -> tuple[list[str], str]:
        """The image's part of the arguments, and the path inside of the python that runs the guest."""
        if image not in self._layouts:
            try:
                entries = sorted(image.iterdir())
            except OSError as error:
                raise EngineError(f"The image {image} cannot be read: {error.strerror}. Build it again.") from error
            arguments: list[str] = []
            whole = all((image / place).is_dir() for place in MOUNT_POINTS)
            for entry in entries:
                if entry.name in _OWN_PLACES:
                    continue
                if entry.is_symlink():
                    arguments += ["--symlink", str(entry.readlink()), f"/{entry.name}"]
                elif entry.is_dir():
                    arguments += ["--ro-bind", str(entry), f"/{entry.name}"]
            python = next((name for name in _PYTHONS if (image / name).is_file()), None)
            if python is None:
                raise EngineError(f"The image {image} holds no python3 for the guest. Build it again.")
            # One mount instead of a dozen; the places of our own are mounted over it.
            self._layouts[image] = (["--ro-bind", str(image), "/"] if whole else arguments, f"/{python}")
        return self._layouts[image]

    def _arguments(self, spec: SandboxSpec, view: View) -> list[str]:
        image, python = self._layout(spec.image)
        if view.holds_guest:
            image = ["--ro-bind", str(view.image), "/"]
        terminals = ["--dev-bind", str(view.terminals), "/dev/pts"] if view.terminals else []
        size = str(spec.shared_memory_bytes)
        arguments = [
            self._program,
            *_NAMESPACES,
            *image,
            *("--proc", "/proc", *self._hidden),
            *("--dev", "/dev", *terminals),
            *("--perms", "1777", "--size", size, "--tmpfs", "/dev/shm"),  # noqa: S108
            *("--perms", "0755", "--size", size, "--tmpfs", "/run"),
            # Else everybody in there could keep memory in it, and take the devices away.
            *("--remount-ro", "/dev"),
            *("--bind", str(spec.disk / "home"), "/home/user"),
            *("--bind", str(spec.disk / "tmp"), "/tmp"),  # noqa: S108
            *("--bind", str(spec.disk / "files"), "/files"),
        ]
        if not view.holds_guest:
            arguments += ["--ro-bind", str(spec.guest), "/guest"]
        if (skills := spec.skills) is not None:
            arguments += ["--ro-bind", str(skills), "/skills"]
        for outside, inside in spec.extra.items():
            arguments += ["--ro-bind", str(outside), inside]
        arguments += ["--remount-ro", "/", "--chdir", "/", "--info-fd", "3", "--seccomp", "4", "--"]
        return [*arguments, python, "-I", "-S", "-B", "/guest/start.py"]

    async def start(self, spec: SandboxSpec) -> BubblewrapSandbox:
        """See Engine."""
        try:
            with self._views.mounted(spec.views, spec.image) as view:
                # When it is known who process 1 is, the sandbox has its own copies of what is mounted here.
                return await self._start(spec, self._arguments(spec, view))
        except OSError as error:
            raise EngineError(f"bubblewrap could not be started: {error}") from error

    async def _start(self, spec: SandboxSpec, arguments: list[str]) -> BubblewrapSandbox:
        """Raises OSError."""
        filtering = self._filter.open()
        pipes = [os.pipe2(os.O_CLOEXEC) for _ in range(4)]
        (in_read, in_write), (out_read, out_write), (err_read, err_write), (info_read, info_write) = pipes
        limits = {
            resource.RLIMIT_NOFILE: spec.open_files,
            resource.RLIMIT_CORE: _NO_CORE_DUMPS,
            resource.RLIMIT_FSIZE: spec.file_bytes,
        }
        try:
            for end in (in_write, out_write):
                fcntl.fcntl(end, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
            descriptors = [in_read, out_write, err_write, info_write, filtering]
            with spec.group.entrances() if spec.group else contextlib.nullcontext(()) as join:
                pid = launch(Launch(arguments, descriptors, spec.identity, join, limits))
        except OSError:
            for end in (in_write, out_read, err_read, info_read):
                os.close(end)
            raise
        finally:
            for end in (in_read, out_write, err_write, info_write, filtering):
                os.close(end)
        os.set_blocking(err_read, False)
        sandbox = BubblewrapSandbox(in_write, out_read, err_read, Process(pid, launched=True))
        try:
            await sandbox.find_first(info_read)
        except BaseException:
            await asyncio.shield(sandbox.kill())
            sandbox.close()
            raise
        finally:
            os.close(info_read)
        return sandbox


def _hide(path: str) -> list[str]:
    """Arguments that make a file unreadable: a device where devices are not honoured."""
    return ["--ro-bind", "/dev/null", path]


@dataclass
class BubblewrapSandbox:
    """See RunningSandbox."""

    stdin: int
    stdout: int
    _stderr: int
    _monitor: Process
    _first: Process | None = field(default=None)
    _closed: bool = field(default=False)

    @property
    def alive(self) -> bool:
        """See RunningSandbox."""
        # Not the pipes alone: the monitor has them open as well, and lives a moment longer than process 1.
        ends = select.poll()
        ends.register(self.stdout, 0)
        for process in (self._first, self._monitor):
            if process is not None:
                ends.register(process.fileno(), select.POLLIN)
        return not ends.poll(0)

    @property
    def roots(self) -> list[int]:
        """See RunningSandbox."""
        return [process.pid for process in (self._monitor, self._first) if process is not None]

    async def find_first(self, info: int) -> None:
        """Hold process 1 of the sandbox: when it has ended, the kernel has ended every other one in there.

        Now, and not when it is to be killed: by then its number may have come to mean somebody else's process.
        Raises EngineError when the monitor was killed meanwhile.
        """
        os.set_blocking(info, False)
        text = b""
        # bubblewrap tells the number within milliseconds, or ends.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_INFO_SECONDS):
                while b"}" not in text:
                    await readable(info, self._monitor.fileno())
                    try:
                        data = os.read(info, 4096)
                    except BlockingIOError:
                        await self._monitor.ended()  # and with it what it had started, which holds the pipe open
                        break
                    if not data:
                        break
                    text += data
        try:
            first = Process(int(json.loads(text)["child-pid"]))
        except (ValueError, KeyError, ProcessLookupError):
            return  # bubblewrap ended before it had started anything, or at once
        # The only child of the monitor, whose own number cannot be given away before it was taken leave of.
        parent = parent_of(first.pid)
        if parent == self._monitor.pid:
            self._first = first
        elif parent == os.getpid() and is_first(first.pid):
            # The child had not yet asked to die with the monitor, and nobody else would end it.
            self._first = first
            raise EngineError("bubblewrap's own process was killed before the sandbox had started")
        else:
            first.close()

    async def kill(self) -> None:
        """See RunningSandbox."""
        if self._closed:
            return
        if self._first is not None:
            self._first.kill()
            await self._first.ended()
            # The monitor ends by itself now, after taking leave of its child.
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._monitor.ended(), 5)
        self._monitor.kill()
        await self._monitor.ended()
        if self._first is not None:
            await self._first.ended()  # ours to take leave of, if its parent was killed before it

    async def ended(self) -> None:
        """See RunningSandbox."""
        await self._monitor.ended()

    def complaint(self) -> str:
        """See RunningSandbox."""
        try:
            # Python says last what went wrong. Little is kept, so that no sandbox can wash the log away.
            return os.read(self._stderr, _COMPLAINT).decode(errors="replace").strip()[-_COMPLAINT_SHOWN:]
        except (BlockingIOError, OSError):
            return ""

    def close(self) -> None:
        """See RunningSandbox."""
        if self._closed:
            return
        self._closed = True
        for descriptor in (self.stdin, self.stdout, self._stderr):
            os.close(descriptor)
        self._monitor.close()
        if self._first is not None:
            self._first.close()
