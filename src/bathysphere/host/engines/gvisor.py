"""Sandboxes by gVisor: a kernel of their own, written in Go, between the programs and the kernel of the machine.

runsc itself runs in a sandbox by bubblewrap, as nobody who is known outside: in a user namespace with two users,
of which one owns the container's files and the other one runs gVisor. What runsc writes down lies in memory there.
So nothing is left of it when it ends, in whatever way, and its process 1 takes everything along.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import logging
import os
import resource
import shutil
from pathlib import Path

from bathysphere.host import syscalls
from bathysphere.host.engines import gvisor_stat
from bathysphere.host.engines.base import EngineError, SandboxSpec
from bathysphere.host.engines.bubblewrap import INSIDE_UID, BubblewrapSandbox
from bathysphere.host.engines.gvisor_release import Release
from bathysphere.host.processes import Identity, Launch, Process, launch

log = logging.getLogger(__name__)

_KEEPER = 0
"""The user that runs gVisor for a container, as it sees itself."""

_PYTHONS = ("usr/bin/python3.11", "usr/local/bin/python3.11", "usr/bin/python3", "usr/local/bin/python3")

_OWN_PLACES = frozenset({"home", "tmp", "files", "guest", "proc", "dev", "run", "sys", "skills"})
_MOUNT_POINTS = (
    "home/user",
    "tmp",
    "files",
    "guest",
    "proc",
    "dev",
    "dev/shm",
    "sys",
    "skills",
    gvisor_stat.FOLDER[1:],
)
"""gVisor needs a place in the image for each mount."""

_CAPABILITIES = (
    *("CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "SETFCAP", "SETGID", "SETPCAP"),
    *("SETUID", "SYS_ADMIN", "SYS_CHROOT", "SYS_PTRACE"),
)
"""What runsc needs to set its parts up; all of them within the user namespace only."""

_OPEN_FILES = 65536
"""Of gVisor itself, which holds several for each one that is open inside."""

_NO_CORE_DUMPS = 1
"""Bytes. With 0, the kernel would still start a program of the host that core_pattern may name."""

_SPARE_TASKS = 256
_PIPE_BYTES = 256 * 1024


class Gvisor:
    """The engine. Needs root, the programs ``runsc`` and ``bwrap``, and user namespaces."""

    name = "gvisor"

    def __init__(self) -> None:
        self._bubblewrap = ""
        self._release: Release | None = None
        self._libraries: dict[Path, bytes | None] = {}

    def check(self) -> None:
        """See Engine."""
        if os.geteuid() != 0:
            raise EngineError(
                "The gVisor engine needs root: gVisor and the container's files belong to two different users, and an "
                "ordinary user cannot map two. Run the host as root, or use the engine bubblewrap."
            )
        found = shutil.which("bwrap", path="/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
        if found is None:
            raise EngineError(
                "bubblewrap is not installed, in which gVisor is run. Install it (apt install bubblewrap)."
            )
        self._bubblewrap = found
        self._release = Release.newest()
        log.info("gVisor of %s at %s, %s", self._release.date, self._release.program, self._release.platform)

    def environment(self, image: Path) -> dict[str, str]:
        """See Engine."""
        return {"LD_PRELOAD": f"{gvisor_stat.FOLDER}/{gvisor_stat.NAME}"} if self._libraries.get(image) else {}

    def tasks(self, processes: int) -> int:
        """See Engine. Each process inside has a stub and may have a thread of gVisor that serves it."""
        return 8 * processes + _SPARE_TASKS

    def guarantees(self) -> dict[str, bool]:
        """See Engine."""
        return {
            "network": True,
            "own process ids": True,
            "own user namespace": True,
            # They can be made inside, and are gVisor's own: the machine's kernel hears nothing of them.
            "no further user namespaces": True,
            "no capabilities": True,
            "read-only image": True,
            "own kernel": True,
        }

    def _image(self, image: Path) -> tuple[list[str], str]:
        """The image for gVisor as bubblewrap's arguments, and the path inside of the python that runs the guest."""
        python = next((name for name in _PYTHONS if (image / name).is_file()), None)
        if python is None:
            raise EngineError(f"The image {image} holds no python3 for the guest. Build it again.")
        # Not in one piece: gVisor mounts its root anew, and what the daemon has mounted may not be changed in here.
        arguments = [word for place in _MOUNT_POINTS for word in ("--dir", f"/image/{place}")]
        for entry in sorted(image.iterdir()):
            if entry.name in _OWN_PLACES:
                continue
            if entry.is_symlink():
                arguments += ["--symlink", str(entry.readlink()), f"/image/{entry.name}"]
            elif entry.is_dir():
                arguments += ["--ro-bind", str(entry), f"/image/{entry.name}"]
        return arguments, f"/{python}"

    def _library(self, spec: SandboxSpec, release: Release) -> bytes | None:
        if not release.refuses_automount_flag:
            return None
        if spec.image not in self._libraries:
            assert spec.identity is not None
            made = gvisor_stat.compiled(self._bubblewrap, spec.image, spec.identity)
            self._libraries[spec.image] = made
            if made is None:
                log.warning("ls and stat will fail in gVisor: it is of %s, and the image has no cc", release.date)
        return self._libraries[spec.image]

    async def start(self, spec: SandboxSpec) -> BubblewrapSandbox:
        """See Engine."""
        release = self._release
        if release is None or spec.identity is None:
            raise EngineError("The gVisor engine needs root, and to be checked before.")
        try:
            image, python = self._image(spec.image)
        except OSError as error:
            raise EngineError(f"The image {spec.image} cannot be read: {error.strerror}. Build it again.") from error
        library = self._library(spec, release)
        arguments = [
            *(self._bubblewrap, "--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts"),
            *("--unshare-cgroup-try", "--cap-drop", "ALL"),
            *(word for name in _CAPABILITIES for word in ("--cap-add", f"CAP_{name}")),
            *("--new-session", "--die-with-parent", "--as-pid-1"),
            *("--ro-bind", str(release.program), "/runsc", "--proc", "/proc", "--dev", "/dev"),
            *("--tmpfs", "/tmp", "--tmpfs", "/run"),  # noqa: S108
            *image,
            *(
                word
                for place in ("home", "tmp", "files")
                for word in ("--bind", f"{spec.disk}/{place}", f"/disk/{place}")
            ),
            *("--ro-bind", str(spec.guest), "/guest"),
        ]
        if (skills := spec.skills) is not None:
            arguments += ["--ro-bind", str(skills), "/disk/skills"]
        extra = {}
        for number, (outside, inside) in enumerate(spec.extra.items()):
            arguments += ["--ro-bind", str(outside), f"/extra/{number}", "--dir", f"/image{inside}"]
            extra[f"/extra/{number}"] = inside
        configuration = json.dumps(
            _configuration(spec, python, extra, library is not None, skills is not None)
        ).encode()
        files = [(_memory_file(configuration), "/bundle/config.json")]
        if library is not None:
            files.append((_memory_file(library), f"/library/{gvisor_stat.NAME}"))
        for target, (_descriptor, path) in enumerate(files, 4):
            arguments += ["--perms", "0644", "--file", str(target), path]
        arguments += ["--remount-ro", "/", "--chdir", "/", "--info-fd", "3", "--"]
        arguments += ["/runsc", *release.options(), "--root=/run/runsc", "run", "--bundle", "/bundle", "container"]
        try:
            return await self._launch(spec, spec.identity, arguments, [descriptor for descriptor, _path in files])
        finally:
            for descriptor, _path in files:
                os.close(descriptor)

    async def _launch(
        self, spec: SandboxSpec, identity: Identity, arguments: list[str], files: list[int]
    ) -> BubblewrapSandbox:
        pipes = [os.pipe2(os.O_CLOEXEC) for _ in range(4)]
        (in_read, in_write), (out_read, out_write), (err_read, err_write), (info_read, info_write) = pipes
        for end in (in_write, out_write):
            fcntl.fcntl(end, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        _soft, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        namespace = None
        try:
            namespace = syscalls.user_namespace({_KEEPER: identity.keeper, INSIDE_UID: identity.uid})
            with spec.group.entrances() if spec.group else contextlib.nullcontext(()) as join:
                pid = launch(
                    Launch(
                        arguments,
                        [in_read, out_write, err_write, info_write, *files],
                        # In the container's group as well, to pass through the folder of its disk.
                        Identity(_KEEPER, _KEEPER, (INSIDE_UID,)),
                        join,
                        {resource.RLIMIT_NOFILE: min(most, _OPEN_FILES), resource.RLIMIT_CORE: _NO_CORE_DUMPS},
                        namespace,
                    )
                )
        except OSError as error:
            for end in (in_write, out_read, err_read, info_read):
                os.close(end)
            raise EngineError(f"gVisor could not be started: {error}") from error
        finally:
            for end in (in_read, out_write, err_write, info_write):
                os.close(end)
            if namespace is not None:
                os.close(namespace)
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


def _memory_file(data: bytes) -> int:
    descriptor = os.memfd_create("bathysphere", os.MFD_CLOEXEC)
    with os.fdopen(os.dup(descriptor), "wb") as file:
        file.write(data)
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor


def _configuration(
    spec: SandboxSpec, python: str, extra: dict[str, str], library: bool, skills: bool
) -> dict[str, object]:
    """What runsc is to run, in the terms of the OCI runtime specification."""
    size = f"size={spec.shared_memory_bytes}"

    def tmpfs(target: str, *options: str) -> dict[str, object]:
        return {"destination": target, "type": "tmpfs", "source": "tmpfs", "options": list(options)}

    def bind(source: str, target: str, mode: str) -> dict[str, object]:
        return {"destination": target, "type": "bind", "source": source, "options": [mode]}

    limits = {"NOFILE": spec.open_files, "NPROC": spec.processes, "CORE": 0, "FSIZE": spec.file_bytes}
    nothing: list[str] = []
    return {
        "ociVersion": "1.0.2",
        "process": {
            "user": {"uid": INSIDE_UID, "gid": INSIDE_UID},
            "args": [python, "-I", "-S", "-B", "/guest/start.py"],
            "env": nothing,
            "cwd": "/",
            "noNewPrivileges": True,
            "capabilities": dict.fromkeys(("bounding", "effective", "inheritable", "permitted", "ambient"), nothing),
            "rlimits": [{"type": f"RLIMIT_{name}", "hard": value, "soft": value} for name, value in limits.items()],
        },
        "root": {"path": "/image", "readonly": True},
        "hostname": "container",
        "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc"},
            tmpfs("/dev"),
            tmpfs("/sys", "ro"),
            tmpfs("/dev/shm", "mode=1777", size),  # noqa: S108
            tmpfs("/run", f"uid={INSIDE_UID}", f"gid={INSIDE_UID}", "mode=0755", size),
            bind("/disk/home", "/home/user", "rw"),
            bind("/disk/tmp", "/tmp", "rw"),  # noqa: S108
            bind("/disk/files", "/files", "rw"),
            bind("/guest", "/guest", "ro"),
            *([bind("/disk/skills", "/skills", "ro")] if skills else []),
            *(bind(source, target, "ro") for source, target in extra.items()),
            *([bind("/library", gvisor_stat.FOLDER, "ro")] if library else []),
        ],
        "linux": {"namespaces": [{"type": kind} for kind in ("pid", "network", "ipc", "uts", "mount")]},
    }
