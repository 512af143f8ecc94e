"""Where a file of a skill may lie: relative paths of plain names, on any system to which the skill is copied."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from typing import Final

from bathysphere.skills.refusal import BadSkill, quoted

PATH_BYTES: Final = 512
NAME_BYTES: Final = 255
DEPTH: Final = 16

_DRIVE: Final = re.compile(r"[A-Za-z]:")
# Controls, halves of characters, and what ends a line: nothing that a name shown in a listing may hold.
_UNPRINTED: Final = frozenset({"Cc", "Cs", "Zl", "Zp"})

# What an archiver or a desktop adds by itself, and nobody means to upload.
_LITTER: Final = frozenset({"__MACOSX", ".DS_Store"})


def is_litter(path: str) -> bool:
    """Whether a path, in normal form, is left out without a word."""
    return not _LITTER.isdisjoint(path.split("/"))


def normal_path(given: str) -> str:
    """The path without ``.`` and with nothing that leads elsewhere. Raises BadSkill."""
    shown = quoted(given)
    if not given:
        raise BadSkill("a file has an empty name")
    if found := next((c for c in given if unicodedata.category(c) in _UNPRINTED), None):
        what = (
            "bytes that are not UTF-8" if unicodedata.category(found) == "Cs" else f"the character U+{ord(found):04X}"
        )
        raise BadSkill(f"{shown}: the name contains {what}")
    if "\\" in given:
        raise BadSkill(f"{shown}: the name contains a backslash; folders are separated by /")
    if given.startswith("/") or _DRIVE.match(given):
        raise BadSkill(f"{shown}: the path is absolute; it must be relative to the skill's folder")
    if len(given.encode()) > PATH_BYTES:
        raise BadSkill(f"{shown}: the path is longer than {PATH_BYTES} bytes")
    names = [name for name in given.split("/") if name != "."]
    if ".." in names:
        raise BadSkill(f"{shown}: the path contains .., and would lead out of the skill's folder")
    if not names or "" in names:
        raise BadSkill(f"{shown}: the path has an empty name in it")
    if len(names) > DEPTH:
        raise BadSkill(f"{shown}: the path is more than {DEPTH} folders deep")
    if any(len(name.encode()) > NAME_BYTES for name in names):
        raise BadSkill(f"{shown}: a name in the path is longer than {NAME_BYTES} bytes")
    return "/".join(names)


def check_together(paths: Iterable[str]) -> None:
    """That the paths can all lie in one folder, on systems without upper and lower case too. Raises BadSkill."""
    files: dict[str, str] = {}
    for path in paths:
        other = files.get(_folded(path))
        if other == path:
            raise BadSkill(f"{quoted(path)}: there are two files of this name")
        if other is not None:
            raise BadSkill(f"{quoted(path)} and {quoted(other)} differ only by upper and lower case, or by accents")
        files[_folded(path)] = path
    for path in files.values():
        names = path.split("/")
        for depth in range(1, len(names)):
            if (above := files.get(_folded("/".join(names[:depth])))) is not None:
                raise BadSkill(f"{quoted(above)} is a file, and also the folder of {quoted(path)}")


def _folded(path: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", path).casefold())
