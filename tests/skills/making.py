"""Skills for tests: good ones, and archives to the byte."""

from __future__ import annotations

import io
import stat
import zipfile
from collections.abc import Mapping

from bathysphere.skills.bundle import Bounds

BOUNDS = Bounds(total_bytes=2 * 1024 * 1024, files=50)
DESCRIPTION = "Writes the weekly report. Use it when somebody asks for one."


def skill_md(name: str = "weekly-report", description: str = DESCRIPTION) -> bytes:
    return f"---\nname: {name}\ndescription: {description}\n---\n\n# Weekly report\n".encode()


def files(name: str = "weekly-report") -> dict[str, bytes]:
    return {
        f"{name}/SKILL.md": skill_md(name),
        f"{name}/scripts/count.py": b"#!/usr/bin/env python3\nprint(1)\n",
        f"{name}/data/table.csv": b"a,b\n1,2\n",
    }


def zipped(content: Mapping[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", method) as archive:
        for name, data in content.items():
            archive.writestr(name, data)
    return target.getvalue()


def entry(name: str, mode: int = stat.S_IFREG | 0o644) -> zipfile.ZipInfo:
    """An entry as an archiver on Unix makes it."""
    info = zipfile.ZipInfo(name)
    info.create_system = 3
    info.external_attr = mode << 16
    return info
