"""A skill on this machine, as its author has it: a folder, or a zip."""

from __future__ import annotations

from pathlib import Path

from bathysphere.skills.bundle import Bounds, Bundle, bundle, too_much
from bathysphere.skills.folder import read_folder
from bathysphere.skills.refusal import BadSkill
from bathysphere.skills.zips import MAGIC, unzipped


def read_skill(path: Path, bounds: Bounds) -> Bundle:
    """The skill in a folder or a zip. Raises BadSkill and OSError."""
    if path.is_dir():
        return read_folder(path.resolve(), bounds)
    if not path.is_file():
        raise BadSkill("is neither a folder nor a zip" if path.exists() else "is not there")
    with path.open("rb") as file:
        content = file.read(bounds.total_bytes + 1)
    if not content.startswith(MAGIC):
        raise BadSkill("is no zip; name the folder of the skill, or a zip of it")
    if len(content) > bounds.total_bytes:
        raise too_much(bounds)
    return bundle(unzipped(content, bounds), bounds)
