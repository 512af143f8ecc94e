"""Where sandboxes find the image, the guest and the disks.

A sandbox has a user id of its own and may not pass through a private data directory. So the daemon, as root,
takes a mount namespace for itself and shows there what is needed on a small file system of its own. Nobody
else sees it, and nothing of it is left when the daemon dies. Without root the daemon and its sandboxes are the
same user, and the paths are used as they are.
"""

from __future__ import annotations

import py_compile
import shutil
from dataclasses import dataclass
from pathlib import Path

from bathysphere.host import syscalls
from bathysphere.host.engines import own_view

_CANDIDATES = ("/mnt", "/media", "/srv", "/opt", "/run", "/tmp")  # noqa: S108  mounted over, never written to
_GUEST = Path(__file__).resolve().parent.parent / "guest"


class StageError(Exception):
    """The stage cannot be set; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Stage:
    """Paths that sandboxes' users can reach."""

    image: Path
    guest: Path
    disks: Path
    """Disks that are folders."""
    mounts: Path
    """Where disks with a file system of their own are mounted; of no use without root."""
    views: Path | None = None
    """Where each sandbox can be given a view of the image of its own (root only)."""


def set_private(image: Path, disks: Path, busy: list[Path]) -> Stage:
    """Set the stage in a mount namespace of this process (root). ``busy`` paths are not covered by it.

    Raises StageError.
    """
    needed = [path.resolve() for path in (image, disks, _GUEST, *busy)]
    place = next(
        (
            Path(name)
            for name in _CANDIDATES
            if Path(name).is_dir() and not any(path.is_relative_to(name) for path in needed)
        ),
        None,
    )
    if place is None:
        raise StageError(f"None of {', '.join(_CANDIDATES)} is free to be covered by the daemon's private stage.")
    try:
        syscalls.unshare_mounts()
        syscalls.mount(None, place, "tmpfs", syscalls.MS_NOSUID | syscalls.MS_NODEV, "mode=0755,size=8m")
        stage = Stage(
            place / "image", own_view.prepare(place / "views"), place / "disks", place / "mounts", place / "views"
        )
        _copy_guest(stage.guest)
        stage.mounts.mkdir(mode=0o711)
        stage.mounts.chmod(0o711)
        _show(image, stage.image, read_only=True)
        _show(disks, stage.disks, read_only=False)
    except OSError as error:
        raise StageError(
            f"A private mount namespace cannot be set up ({error}). The host needs CAP_SYS_ADMIN when it runs as root; "
            "in a container, start that with the capability, or run bathysphere as an ordinary user."
        ) from error
    return stage


def _show(source: Path, target: Path, read_only: bool) -> None:
    target.mkdir(mode=0o755)
    syscalls.mount(source, target, None, syscalls.MS_BIND | syscalls.MS_REC)
    if read_only:
        flags = syscalls.MS_BIND | syscalls.MS_REMOUNT | syscalls.MS_RDONLY | syscalls.MS_NOSUID | syscalls.MS_NODEV
        syscalls.mount(None, target, None, flags)


def set_plain(image: Path, disks: Path, folder: Path) -> Stage:
    """Set the stage without root: only the guest is copied, below ``folder``."""
    guest = folder / "guest"
    shutil.rmtree(guest, ignore_errors=True)
    _copy_guest(guest)
    return Stage(image, guest, disks, disks)


def _copy_guest(target: Path) -> None:
    """A copy lasts when the package is upgraded under a running daemon, and is readable for every user."""
    target.mkdir(mode=0o755, exist_ok=True)
    target.chmod(0o755)
    for source in sorted(_GUEST.rglob("*.py")):
        inside = source.relative_to(_GUEST)
        copy = target / inside
        copy.parent.mkdir(mode=0o755, exist_ok=True)
        copy.parent.chmod(0o755)
        copy.write_bytes(source.read_bytes())
        copy.chmod(0o644)
        # Spares the image's python the compiling at every start if it is of our version; else it compiles.
        py_compile.compile(
            str(copy), dfile=f"/guest/{inside}", doraise=True,
            invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
        )  # fmt: skip
