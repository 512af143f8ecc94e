"""System calls that the standard library of Python 3.11 lacks. All raise OSError."""

import ctypes
import os
from pathlib import Path

CLONE_NEWNS = 0x00020000
CLONE_NEWUSER = 0x10000000
MS_RDONLY = 1
MS_NOSUID = 2
MS_NODEV = 4
MS_REMOUNT = 32
MS_BIND = 4096
MS_REC = 16384
MS_PRIVATE = 1 << 18
MS_SLAVE = 1 << 19
PR_SET_CHILD_SUBREAPER = 36

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


def prctl(option: int, value: int) -> None:
    """prctl(2) with one argument."""
    _check(_libc.prctl(option, ctypes.c_ulong(value), 0, 0, 0), f"prctl {option} was refused")


def capset(header: object, sets: object) -> None:
    """capset(2)."""
    _check(_libc.capset(header, sets), "the capabilities cannot be set")


def unmount(target: Path) -> None:
    """umount2(2) with MNT_DETACH: out of sight at once, gone when nobody uses it any more."""
    _check(_libc.umount2(os.fsencode(target), 2), f"{target} cannot be unmounted")


def become_subreaper() -> None:
    """Let orphaned descendants become children of this process, so that it can take leave of them."""
    _check(_libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), "orphans cannot be adopted")
