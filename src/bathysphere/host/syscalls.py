"""System calls that the standard library of Python 3.11 lacks. All raise OSError."""

import contextlib
import ctypes
import errno
import os
import signal
import struct
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

CLONE_NEWNS = 0x00020000
CLONE_NEWUSER = 0x10000000
MS_RDONLY = 1
MS_NOSUID = 2
MS_NODEV = 4
MS_NOEXEC = 8
MS_REMOUNT = 32
MS_BIND = 4096
MS_REC = 16384
MS_PRIVATE = 1 << 18
MS_SLAVE = 1 << 19
MNT_DETACH = 2
PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
CLONE_NEWUSER = 0x10000000
UMOUNT_NOFOLLOW = 8

# The same on every architecture.
_SYS_MOVE_MOUNT = 429
_SYS_FSOPEN = 430
_SYS_FSCONFIG = 431
_SYS_FSMOUNT = 432
_SYS_MOUNT_SETATTR = 442

_FSCONFIG_SET_FLAG = 0
_FSCONFIG_SET_STRING = 1
_FSCONFIG_CMD_CREATE = 6
_MOUNT_ATTR_NOSUID = 0x2
_MOUNT_ATTR_NODEV = 0x4
_MOUNT_ATTR_NOATIME = 0x10
_MOUNT_ATTR_IDMAP = 0x100000
_MOVE_MOUNT_F_EMPTY_PATH = 4
_AT_EMPTY_PATH = 0x1000
_AT_FDCWD = -100

_STACK = 64 * 1024
_LOOKED_AT_SECONDS = 10

_libc = ctypes.CDLL(None, use_errno=True)


def _check(result: int, doing: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{doing}: {os.strerror(number)}")


def unshare(flags: int) -> None:
    """unshare(2): namespaces of its own for this process."""
    _check(_libc.unshare(flags), "a namespace of its own cannot be had")


def enter(namespace: int, kind: int) -> None:
    """setns(2): go into the namespace of an open descriptor."""
    _check(_libc.setns(namespace, kind), "a namespace cannot be entered")


def unshare_mounts() -> None:
    """Give this process a mount namespace of its own that hears of the outside's mounts but tells of none."""
    unshare(CLONE_NEWNS)
    mount(None, Path("/"), None, MS_REC | MS_SLAVE)


def mount(source: Path | None, target: Path, kind: str | None, flags: int, options: str = "") -> None:
    """mount(2)."""
    result = _libc.mount(
        os.fsencode(source) if source else b"none",
        os.fsencode(target),
        kind.encode() if kind else None,
        ctypes.c_ulong(flags),
        options.encode() or None,
    )
    _check(result, f"{target} cannot be mounted")


def detach(target: Path) -> None:
    """umount2(2), also while it is in use."""
    _check(_libc.umount2(os.fsencode(target), MNT_DETACH), f"{target} cannot be unmounted")


def prctl(option: int, value: int) -> None:
    """prctl(2) with one argument."""
    _check(_libc.prctl(option, ctypes.c_ulong(value), 0, 0, 0), f"prctl {option} was refused")


def capset(header: object, sets: object) -> None:
    """capset(2)."""
    _check(_libc.capset(header, sets), "the capabilities cannot be set")


def become_subreaper() -> None:
    """Let orphaned descendants become children of this process, so that it can take leave of them."""
    _check(_libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), "orphans cannot be adopted")


def die_with_parent(parent: int, number: int = signal.SIGKILL) -> None:
    """Have the kernel send a signal to this process when the thread that made it ends.

    ``parent`` is that one's process. A change of user ends it.
    """
    _check(_libc.prctl(PR_SET_PDEATHSIG, int(number), 0, 0, 0), "the parent's end cannot be heard of")
    if os.getppid() != parent:
        os._exit(1)  # it ended a moment before


def unmount(target: Path) -> None:
    """umount(2)."""
    _check(_libc.umount2(os.fsencode(target), UMOUNT_NOFOLLOW), f"{target} cannot be unmounted")


@contextlib.contextmanager
def files_as(user: int | None) -> Iterator[None]:
    """setfsuid(2), setfsgid(2): let this thread make, find and change files as another user would; None: as it is.

    The kernel takes root's capabilities for files away for as long. Raises OSError.
    """
    if user is None:
        yield
        return
    before = _files_user(), _files_group()
    try:
        _files_group(user)
        _files_user(user)
        if (_files_user(), _files_group()) != (user, user):
            raise OSError(errno.EPERM, "files cannot be made as another user")
        yield
    finally:
        _files_user(before[0])
        _files_group(before[1])


_NOBODY = 0xFFFFFFFF
"""Changes nothing where a user is to be named."""


def _files_user(user: int = _NOBODY) -> int:
    """setfsuid(2): who it was before. Ids may lie above what the C library's ``int`` can hold."""
    return int(_libc.setfsuid(ctypes.c_uint(user))) & _NOBODY


def _files_group(group: int = _NOBODY) -> int:
    return int(_libc.setfsgid(ctypes.c_uint(group))) & _NOBODY


def sync_file_system(descriptor: int) -> None:
    """syncfs(2): wait until all that was written to the file system of an open file is safe."""
    _check(_libc.syncfs(descriptor), "the file system cannot be synchronised")


def _call(number: int, *arguments: object) -> int:
    result = int(_libc.syscall(ctypes.c_long(number), *arguments))
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result


def _said(context: int) -> str:
    """What the kernel has to say about a file system that it would not mount; empty when nothing."""
    try:
        return os.read(context, 4096).decode(errors="replace").strip().removeprefix("e ")
    except OSError:
        return ""


def mount_as(
    device: Path,
    kind: str,
    target: Path,
    options: Mapping[str, str | None],
    namespace: int,
    prepare: Callable[[int], None],
) -> None:
    """Mount a block device with its owners mapped as by an open user namespace (``user_namespace``).

    ``prepare`` is given its open root before that, while nobody else can reach it and owners are those on the disk.
    Set-user-id programs and device files have no effect there, and reading changes no times. Needs Linux 5.12.
    """
    context = _call(_SYS_FSOPEN, kind.encode(), 1)
    try:
        try:
            _call(_SYS_FSCONFIG, context, _FSCONFIG_SET_STRING, b"source", os.fsencode(device), 0)
            for name, value in options.items():
                if value is None:
                    _call(_SYS_FSCONFIG, context, _FSCONFIG_SET_FLAG, name.encode(), None, 0)
                else:
                    _call(_SYS_FSCONFIG, context, _FSCONFIG_SET_STRING, name.encode(), value.encode(), 0)
            _call(_SYS_FSCONFIG, context, _FSCONFIG_CMD_CREATE, None, None, 0)
            mounted = _call(_SYS_FSMOUNT, context, 1, _MOUNT_ATTR_NOSUID | _MOUNT_ATTR_NODEV | _MOUNT_ATTR_NOATIME)
        except OSError as error:
            said = _said(context)
            text = f"the file system cannot be mounted: {error.strerror}{f' ({said})' if said else ''}"
            raise OSError(error.errno, text) from error
    finally:
        os.close(context)
    try:
        prepare(mounted)
        attributes = struct.pack("=4Q", _MOUNT_ATTR_IDMAP, 0, 0, namespace)
        try:
            _call(_SYS_MOUNT_SETATTR, mounted, b"", _AT_EMPTY_PATH, attributes, len(attributes))
        except OSError as error:
            text = f"owners cannot be mapped, which needs Linux 5.12 or newer: {error.strerror}"
            raise OSError(error.errno, text) from error
        _call(_SYS_MOVE_MOUNT, mounted, b"", _AT_FDCWD, os.fsencode(target), _MOVE_MOUNT_F_EMPTY_PATH)
    finally:
        os.close(mounted)


def user_namespace(users: Mapping[int, int]) -> int:
    """An open user namespace in which the user and the group N are ``users[N]`` outside, and there are no others.

    For ``mount_as``: what belongs to N on a disk belongs to ``users[N]`` here, in both directions; no other owner can
    be told apart there, nor be given to a file. It lasts as long as the descriptor, or a process or mount with it.
    """
    # It is there to be looked at only, and never enters Python, as it is forked out of a process with threads. It ends
    # by itself, so that it does not hold the open files of this process for ever when that is killed meanwhile.
    stack = ctypes.create_string_buffer(_STACK)
    top = ctypes.c_void_p((ctypes.addressof(stack) + _STACK) & ~15)
    child = _libc.clone(_libc.sleep, top, CLONE_NEWUSER | signal.SIGCHLD, ctypes.c_void_p(_LOOKED_AT_SECONDS))
    if child < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"a user namespace cannot be had: {os.strerror(code)}")
    try:
        for name in ("uid_map", "gid_map"):
            lines = (f"{inside} {outside} 1\n" for inside, outside in users.items())
            Path(f"/proc/{child}/{name}").write_text("".join(lines))
        return os.open(f"/proc/{child}/ns/user", os.O_RDONLY | os.O_CLOEXEC)
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def end_namespace_holders() -> None:
    """End what ``map_of_one`` began in a child of ours that was killed meanwhile: they are our children now."""
    own = os.getpid()
    for pid in Path(f"/proc/{own}/task/{own}/children").read_text().split():
        child = Path("/proc", pid)
        try:
            # Everything else that we start has our namespace or is another program.
            ours = (child / "exe").readlink() == Path("/proc/self/exe").readlink()
            if ours and (child / "ns/user").readlink() != Path("/proc/self/ns/user").readlink():
                os.kill(int(pid), signal.SIGKILL)
                os.waitpid(int(pid), 0)
        except (OSError, ValueError):
            continue  # it has ended by itself
