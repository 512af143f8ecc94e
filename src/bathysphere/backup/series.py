"""A folder of backups, each named by its time: the newest are kept, and share what has not changed."""

from __future__ import annotations

import re
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from bathysphere.backup.manifest import FILE

_NAME: Final = re.compile(r"\d{8}T\d{6}Z")


def backups(folder: Path) -> list[Path]:
    """Those of the folder that are whole, oldest first."""
    if not folder.is_dir():
        return []
    return sorted(entry for entry in folder.iterdir() if _NAME.fullmatch(entry.name) and (entry / FILE).is_file())


def next_name(folder: Path, now: datetime | None = None) -> Path:
    """Where the next one goes."""
    return folder / f"{now or datetime.now(UTC):%Y%m%dT%H%M%SZ}"


def remove_old(folder: Path, keep: int) -> list[Path]:
    """Remove all but the newest ``keep``; which those were."""
    old = backups(folder)[:-keep]
    for backup in old:
        (backup / FILE).unlink()  # from now on it is none
        shutil.rmtree(backup)
    return old
