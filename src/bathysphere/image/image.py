"""A finished image on this machine, and where images are kept."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bathysphere.image.definition import Definition

MANIFEST = "manifest.json"
ROOTFS = "rootfs"


@dataclass(frozen=True)
class Image:
    """A root file system that sandboxes bind read-only. Complete and never changed once it has its name."""

    root: Path
    """The root file system itself."""
    digest: str
    """The digest of the definition that it was made from."""

    @property
    def manifest(self) -> dict[str, Any]:
        """What is in it: ``digest``, ``created`` (RFC 3339), ``origin``, ``bytes``, ``debian`` and ``python``
        (name to version). Raises ``OSError`` or ``ValueError`` if it was damaged.
        """
        manifest: dict[str, Any] = json.loads((self.root.parent / MANIFEST).read_text("utf-8"))
        return manifest


def default_images_directory() -> Path:
    """Where images are kept: ``$BATHYSPHERE_IMAGES``, else the system's place for root and the user's for others."""
    if named := os.environ.get("BATHYSPHERE_IMAGES"):
        return Path(named)
    if os.geteuid() == 0:
        return Path("/var/lib/bathysphere/images")
    data = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(data) / "bathysphere" / "images"


def find(images: Path | None = None, definition: Definition | None = None) -> Image | None:
    """The finished image of a definition (default: the shipped one), or None if it is yet to be built."""
    digest = (definition or Definition.load()).digest
    home = (images or default_images_directory()) / digest
    if not (home / MANIFEST).is_file() or not (home / ROOTFS).is_dir():
        return None
    return Image(home / ROOTFS, digest)


def tree_bytes(root: Path) -> int:
    """Disk space that a tree takes, in bytes. Files that vanish meanwhile, or are hidden, count for nothing."""
    return sum(_sizes(root))


def _sizes(directory: Path | str) -> Iterator[int]:
    try:
        with os.scandir(directory) as entries:
            for entry in entries:
                try:
                    yield entry.stat(follow_symlinks=False).st_blocks * 512
                    if entry.is_dir(follow_symlinks=False):
                        yield from _sizes(entry.path)
                except FileNotFoundError:
                    continue
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return
