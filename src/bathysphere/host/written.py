"""How much was written to a disk that is a block device of its own, by the kernel's count."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

_SECTOR: Final = 512
_SECTORS_WRITTEN: Final = 6
"""Place in the line of ``/sys/dev/block/*/stat`` (Documentation/block/stat.rst)."""


def written_bytes(path: Path) -> int | None:
    """Bytes written so far to the device that holds ``path``, its journal included; None when it has no count.

    What a program wrote arrives there when it is synchronised, not before.
    """
    try:
        device = path.stat().st_dev
        line = Path(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}/stat").read_text()
        return int(line.split()[_SECTORS_WRITTEN]) * _SECTOR
    except (OSError, ValueError, IndexError):
        return None
