"""A skill as it is before it is stored: its files, checked, whatever way they came in (WIRE g)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from bathysphere.skills.front_matter import FILE, FrontMatter, name_fault, read_front_matter
from bathysphere.skills.paths import check_together, is_litter, normal_path
from bathysphere.skills.refusal import BadSkill, quoted


@dataclass(frozen=True, slots=True)
class Bounds:
    """``total_bytes``: of all files together, unpacked; ``files``: how many there may be."""

    total_bytes: int
    files: int


@dataclass(frozen=True, slots=True)
class Raw:
    """A file under the name that it came with."""

    path: str
    content: bytes
    executable: bool = False


@dataclass(frozen=True, slots=True)
class BundledFile:
    """A file of a skill; ``path`` is relative to the skill's folder."""

    path: str
    content: bytes
    executable: bool


@dataclass(frozen=True, slots=True)
class Bundle:
    """A skill. ``files`` are in the order of their paths; ``metadata`` is that of its front matter."""

    name: str
    description: str
    files: tuple[BundledFile, ...]
    metadata: Mapping[str, str]


def bundle(raw: Iterable[Raw], bounds: Bounds, *, folder_is_name: bool = False) -> Bundle:
    """Make a skill of files that lie in one folder, or in none.

    ``folder_is_name``: the folder, where there is one, must have the skill's name (the older shape of the API).
    Raises BadSkill.
    """
    files = [
        Raw(path, file.content, file.executable)
        for file in raw
        if not is_litter(path := normal_path(file.path))
    ]  # fmt: skip
    if len(files) > bounds.files:
        raise BadSkill(f"a skill has at most {bounds.files} files, this one has {len(files)}")
    if sum(len(file.content) for file in files) > bounds.total_bytes:
        raise too_much(bounds)
    check_together(file.path for file in files)
    folder = _folder([file.path for file in files])
    inside = sorted((file.path[len(folder) + 1 if folder else 0 :], file) for file in files)
    bundled = tuple(
        BundledFile(path, file.content, file.executable or file.content.startswith(b"#!")) for path, file in inside
    )
    front = read_front_matter(next(file.content for file in bundled if file.path == FILE))
    name = _name(front, folder)
    if folder_is_name and folder and folder != name:
        raise BadSkill(f"the folder {quoted(folder)} must have the skill's name, {name}")
    return Bundle(name, front.description, bundled, front.metadata)


def too_much(bounds: Bounds) -> BadSkill:
    """The refusal of what is too large."""
    return BadSkill(f"the files of a skill may take {bounds.total_bytes} bytes unpacked, and these take more")


def _folder(paths: Sequence[str]) -> str:
    """The folder in which all files lie, or nothing; SKILL.md is at its top, and nowhere else. Raises BadSkill."""
    if not paths:
        raise BadSkill(f"there are no files; a skill has at least a {FILE}")
    found = [path for path in paths if path.split("/")[-1] == FILE]
    if not found:
        near = next((path for path in paths if path.split("/")[-1].lower() in _NEAR), None)
        hint = f"; {quoted(near)} must be called {FILE}" if near is not None else ""
        raise BadSkill(f"there is no {FILE}{hint}")
    if len(found) > 1:
        shown = " and ".join(quoted(path) for path in sorted(found)[:2])
        raise BadSkill(f"there must be exactly one {FILE}, and there are {len(found)}: {shown}")
    place = found[0].split("/")[:-1]
    if not place:
        return ""
    if len(place) > 1:
        raise BadSkill(
            f"{quoted(found[0])}: {FILE} must lie at the top, or at the top of the one folder that holds all"
        )
    if outside := next((path for path in paths if not path.startswith(f"{place[0]}/")), None):
        raise BadSkill(f"all files must lie in one folder: {FILE} is in {quoted(place[0])}, {quoted(outside)} is not")
    return place[0]


def _name(front: FrontMatter, folder: str) -> str:
    if front.name is not None:
        return front.name
    if not folder:
        raise BadSkill(f"{FILE}: the front matter has no name")
    if fault := name_fault(folder):
        raise BadSkill(f"{FILE}: the front matter has no name, and the folder's cannot be used: {fault}")
    return folder


_NEAR: Final = frozenset({"skill.md", "skills.md", "skill.markdown", "skill.txt", "skill"})
