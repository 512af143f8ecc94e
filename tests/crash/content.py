"""Content of files that can be told from every other one, also when it was cut off; and what a file may hold."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Content:
    """One line again and again, up to a size in bytes. ``line`` is in use nowhere else."""

    line: str
    size: int

    def bytes(self) -> bytes:
        """All of it."""
        text = f"{self.line}\n".encode()
        return (text * (self.size // len(text) + 1))[: self.size]

    def digest(self, size: int | None = None) -> str:
        """SHA-256 of its first ``size`` bytes."""
        return hashlib.sha256(self.bytes()[:size]).hexdigest()


@dataclass(slots=True)
class Holding:
    """What a file may hold, by what was told to its client. None: it may be absent."""

    whole: set[Content | None] = field(default_factory=lambda: {None})
    cut: set[Content] = field(default_factory=set)
    """Of these also a beginning: a program wrote it that may have been killed."""

    def told(self, content: Content | None) -> None:
        """The client was told that this is there."""
        self.whole, self.cut = {content}, set()

    def untold(self, content: Content | None, by_program: bool = False) -> None:
        """The client tried that and was not told how it ended."""
        self.whole.add(content)
        if by_program and content is not None:
            self.cut.add(content)

    def copy(self) -> Holding:
        """Another one that says the same."""
        return Holding(set(self.whole), set(self.cut))

    def allows(self, size: int, digest: str) -> bool:
        """Whether a file of that size and SHA-256 is as told."""
        if any(content is not None and content.size == size and content.digest() == digest for content in self.whole):
            return True
        return any(size <= content.size and content.digest(size) == digest for content in self.cut)

    def allows_absence(self) -> bool:
        """Whether the file may be missing."""
        return None in self.whole

    def __str__(self) -> str:
        held = [f"{content.size} bytes of {content.line!r}" if content else "nothing" for content in self.whole]
        held += [f"a beginning of {content.line!r}" for content in self.cut]
        return " or ".join(sorted(held))


Files = dict[str, Holding]
"""Absolute path -> what is there."""


def copy_of(files: Files) -> Files:
    """Another one that says the same and changes for itself."""
    return {path: holding.copy() for path, holding in files.items()}


def differences(files: Files, found: dict[str, tuple[int, str]]) -> list[str]:
    """What of a container is not as told; ``found`` is path -> size and SHA-256."""
    said = []
    for path, (size, digest) in sorted(found.items()):
        if path not in files:
            said.append(f"{path} ({size} bytes) is there, and nobody made it")
        elif not files[path].allows(size, digest):
            said.append(f"{path} has {size} bytes, {digest[:12]}; told was {files[path]}")
    for path, holding in sorted(files.items()):
        if path not in found and not holding.allows_absence():
            said.append(f"{path} is gone; told was {holding}")
    return said
