"""What each sandbox has to itself although all show the same: the image, and a place for terminals.

File locks and inotify work on a file, and all sandboxes have the image's files. Seen through an overlay of its
own, a file is another one in each sandbox, at no cost in memory. Terminals come from one table of the whole
machine, so each sandbox gets a place with room for a few.

Both are mounted by the daemon, which only root can do, and are taken away again as soon as a sandbox has its
copies of them. Those vanish with the sandbox; nothing has to be cleaned up.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bathysphere.host import syscalls

TERMINALS = 64
"""How many pseudo-terminals a sandbox may have open."""

MOUNT_POINTS = ("home/user", "tmp", "files", "guest", "proc", "dev", "run", "skills")
"""Places of a sandbox that it can be shown without a dozen single mounts."""


@dataclass(frozen=True, slots=True)
class View:
    """Paths that a sandbox is to be shown."""

    image: Path
    holds_guest: bool = False
    """Whether the guest's code is in the image as it is seen here."""
    terminals: Path | None = None
    """None: it makes a place for terminals itself, without a limit."""


def prepare(folder: Path) -> Path:
    """Make the layer that every overlay has above the image; the path for the guest's code. Raises OSError."""
    for point in MOUNT_POINTS:
        (folder / "layer" / point).mkdir(mode=0o755, parents=True)
    return folder / "layer" / "guest"


class OwnViews:
    """The views that are mounted at this moment."""

    def __init__(self) -> None:
        self._taken: set[int] = set()

    @contextlib.contextmanager
    def mounted(self, folder: Path | None, image: Path) -> Iterator[View]:
        """Mount a view of ``image`` in ``folder`` until the end of the block. Without a folder there is only the image.

        Raises OSError.
        """
        if folder is None:
            yield View(image)
            return
        number = next(number for number in itertools.count() if number not in self._taken)
        self._taken.add(number)
        overlay, terminals = folder / f"image-{number}", folder / f"terminals-{number}"
        try:
            with contextlib.ExitStack() as stack:
                _mount(stack, overlay, "overlay", syscalls.MS_RDONLY, f"lowerdir={folder / 'layer'}:{image}")
                options = f"newinstance,ptmxmode=0666,mode=0620,max={TERMINALS}"
                _mount(stack, terminals, "devpts", syscalls.MS_NOSUID | syscalls.MS_NOEXEC, options)
                yield View(overlay, holds_guest=True, terminals=terminals)
        finally:
            self._taken.discard(number)


def _mount(stack: contextlib.ExitStack, place: Path, kind: str, flags: int, options: str) -> None:
    # Never removed: that would take the mount away in the sandboxes that have not used their copy yet.
    place.mkdir(mode=0o755, exist_ok=True)
    syscalls.mount(None, place, kind, flags, options)
    stack.callback(syscalls.detach, place)
