"""Whether this machine can isolate what models write: found out by trying, one thing at a time.

Each check says what it saw and, when that is not good, what to do.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from bathysphere.host import syscalls
from bathysphere.host.cgroups import CgroupError, Cgroups, GroupLimits, Hierarchies
from bathysphere.settings import HostSettings, SandboxLimits

Verdict = Literal["good", "weak", "waived", "bad"]

_TRY_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found. ``bad``: nothing can run; ``weak``: it runs with a weaker guarantee.

    ``waived``: it would be bad, but for the configuration.
    """

    subject: str
    verdict: Verdict
    seen: str
    mend: str = ""


def examine(image: Path | None, settings: HostSettings, limits: SandboxLimits) -> Iterator[Finding]:
    """What sandboxes need of this machine, in turn. ``image`` is the root of the image, None when there is none."""
    yield _bubblewrap()
    yield _user_namespaces(settings)
    yield _sandbox(settings)
    yield _limits()
    if os.geteuid() == 0:
        yield _user_ids(settings)
        yield _mounts()
    yield _open_files(settings, limits)
    yield _image(image)


def _in_child(action: Callable[[], None]) -> str | None:
    """Do something in a process of its own, whose traces vanish with it; the reason when it fails."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            action()
            status = 0
        except BaseException as error:
            os.write(write, str(error).encode()[:2000])
        finally:
            os._exit(status)
    os.close(write)
    with os.fdopen(read, "rb") as said:
        reason = said.read().decode(errors="replace")
    _pid, ended = os.waitpid(pid, 0)
    return None if ended == 0 else reason or "it was killed"


def _become(settings: HostSettings) -> None:
    if os.geteuid() == 0:
        os.setgroups([])
        os.setresgid(settings.first_uid, settings.first_uid, settings.first_uid)
        os.setresuid(settings.first_uid, settings.first_uid, settings.first_uid)


def _bubblewrap() -> Finding:
    program = shutil.which("bwrap")
    if program is None:
        return Finding("bubblewrap", "bad", "not installed", "apt install bubblewrap (or your system's way).")
    version = subprocess.run([program, "--version"], capture_output=True, text=True, check=False, timeout=_TRY_SECONDS)
    return Finding("bubblewrap", "good", f"{version.stdout.strip()} at {program}")


def _user_namespaces(settings: HostSettings) -> Finding:
    def attempt() -> None:
        _become(settings)
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.unshare(0x10000000) != 0:
            raise OSError(os.strerror(ctypes.get_errno()))

    reason = _in_child(attempt)
    if reason is None:
        return Finding("user namespaces", "good", "an ordinary user can make one")
    return Finding(
        "user namespaces", "bad", f"an ordinary user cannot make one: {reason}",
        "sysctl user.max_user_namespaces=10000; on Debian also kernel.unprivileged_userns_clone=1; on Ubuntu an "
        "AppArmor profile for bwrap (apt install apparmor-profiles). In a container, allow user namespaces "
        "in its seccomp profile.",
    )  # fmt: skip


def _sandbox(settings: HostSettings) -> Finding:
    program = shutil.which("bwrap")
    if program is None:
        return Finding("sandbox", "bad", "cannot be tried without bubblewrap", "Install bubblewrap.")
    identity = {"user": settings.first_uid, "group": settings.first_uid, "extra_groups": []} if not os.geteuid() else {}
    places = [word for place in ("/bin", "/lib", "/lib64", "/sbin") for word in ("--ro-bind-try", place, place)]
    options = ["--unshare-all", "--die-with-parent", "--ro-bind", "/usr", "/usr", "--proc", "/proc"]
    try:
        tried = subprocess.run(
            [program, *options, *places, "true"],
            capture_output=True, text=True, check=False, timeout=_TRY_SECONDS, env={}, cwd="/", **identity,  # type: ignore[call-overload]
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError) as error:
        return Finding("sandbox", "bad", f"could not be started: {error}", "See the checks above.")
    if tried.returncode == 0:
        return Finding("sandbox", "good", "bubblewrap started one without network")
    return Finding(
        "sandbox", "bad", f"bubblewrap failed: {tried.stderr.strip()[:300]}",
        "Mend what is found above first. Inside a container, /proc must not be masked (docker: --security-opt "
        "systempaths=unconfined).",
    )  # fmt: skip


def _limits() -> Finding:
    hierarchies = Hierarchies.find()
    missing = hierarchies.missing()
    if missing:
        verdict: Verdict = "bad" if os.geteuid() == 0 else "weak"
        return Finding(
            "limits", verdict, f"no usable cgroup controller for {', '.join(missing)}",
            "Mount the controllers, or start the server in a cgroup of its own (systemd: Delegate=yes). Without root "
            "and delegation, memory is limited per process only and processor time is not.",
        )  # fmt: skip
    cgroups = Cgroups(hierarchies, f"bathysphere-doctor-{os.getpid()}")
    try:
        cgroups.prepare()
        group = cgroups.create("trial", GroupLimits(memory_bytes=32 << 20, cpus=1, processes=16))
        with group.entrances() as entrances:

            def overeat() -> None:
                for entrance in entrances:
                    os.write(entrance, b"0")
                bytearray(b"x" * (256 << 20))

            reason = _in_child(overeat)
        bites = reason is not None and group.usage().memory_kills > 0
    except CgroupError as error:
        return Finding("limits", "bad" if os.geteuid() == 0 else "weak", str(error), "Run the server as root.")
    finally:
        cgroups.remove()
    if not bites:
        return Finding(
            "limits", "bad", "a process could use more memory than its cgroup allows",
            "The memory controller does not work here; see whether the kernel was started with cgroup_disable=memory.",
        )  # fmt: skip
    return Finding("limits", "good", f"cgroups version {hierarchies.version}: a memory limit was set and held")


def _user_ids(settings: HostSettings) -> Finding:
    last = settings.first_uid + settings.uid_count - 1

    def attempt() -> None:
        os.setgroups([])
        os.setresgid(last, last, last)
        os.setresuid(last, last, last)

    reason = _in_child(attempt)
    seen = f"{settings.uid_count} from {settings.first_uid} on"
    taken = _overlapping(settings.first_uid, last)
    if reason is not None:
        return Finding("user ids", "bad", f"{seen} cannot be used: {reason}", "Set host.first_uid to ids that can.")
    if taken:
        return Finding(
            "user ids", "bad", f"{seen} are also given to {taken}", "Set host.first_uid to a range that nobody uses."
        )
    return Finding("user ids", "good", seen)


def _overlapping(first: int, last: int) -> str:
    """Who else has ids of the range, in /etc/passwd or /etc/subuid; empty for nobody."""
    for file, count_field in ((Path("/etc/passwd"), None), (Path("/etc/subuid"), 2)):
        try:
            lines = file.read_text(errors="replace").splitlines()
        except OSError:
            continue
        for line in lines:
            fields = line.split(":")
            try:
                start = int(fields[2] if count_field is None else fields[1])
                count = 1 if count_field is None else int(fields[count_field])
            except (IndexError, ValueError):
                continue
            if start <= last and first < start + count:
                return f"{fields[0]} ({file})"
    return ""


def _mounts() -> Finding:
    def attempt() -> None:
        syscalls.unshare_mounts()
        with tempfile.TemporaryDirectory() as folder:
            syscalls.mount(None, Path(folder), "tmpfs", 0)
            subprocess.run(["umount", folder], check=False, capture_output=True)

    reason = _in_child(attempt)
    if reason is None:
        return Finding("mounts", "good", "a private mount namespace could be set up")
    return Finding(
        "mounts", "bad", f"a private mount namespace could not be set up: {reason}",
        "As root the server needs CAP_SYS_ADMIN. In a container start that with the capability, or run the server as "
        "an ordinary user.",
    )  # fmt: skip


def _open_files(settings: HostSettings, limits: SandboxLimits) -> Finding:
    every = int(Path("/proc/sys/fs/file-max").read_text())
    one = limits.processes * limits.open_files
    if one * settings.max_sandboxes <= every:
        return Finding("open files", "good", "all containers together cannot open as many as the machine allows")
    return Finding(
        "open files", "weak", f"one container may open {one} files, the whole machine {every}",
        "Raise fs.file-max (sysctl), or lower sandbox.open_files, sandbox.processes or host.max_sandboxes.",
    )  # fmt: skip


def _image(image: Path | None) -> Finding:
    if image is None or not image.is_dir():
        return Finding("image", "bad", "there is no container image", "bathysphere image build")
    if not any((image / place).is_file() for place in ("usr/bin/python3", "usr/local/bin/python3")):
        return Finding("image", "bad", f"{image} holds no python3", "Build it again: bathysphere image build")
    return Finding("image", "good", str(image))
