"""The files of a backup: written with their hashes, and checked against them.

``SHA256SUMS`` is in the format of ``sha256sum``, so that a backup can be checked without bathysphere.
"""

from __future__ import annotations

import hashlib
import os
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from bathysphere.backup.failure import BackupError

SUMS: Final = "SHA256SUMS"
CHUNK: Final = 1024 * 1024

_LINE: Final = re.compile(r"([0-9a-f]{64})  ([A-Za-z0-9._/-]+)")


@dataclass
class Sums:
    """Path within the backup -> SHA-256, in the order in which they were written."""

    digests: dict[str, str] = field(default_factory=dict)
    bytes: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, path: str, digest: str, size: int) -> None:
        """Count a piece; from any thread."""
        with self._lock:
            self.digests[path] = digest
            self.bytes += size

    def forget(self, path: str, size: int) -> None:
        """Count it no more, if it was."""
        with self._lock:
            if self.digests.pop(path, None) is not None:
                self.bytes -= size

    def write(self, folder: Path) -> str:
        """Write them down; the SHA-256 of the list itself."""
        text = "".join(f"{digest}  {path}\n" for path, digest in self.digests.items()).encode()
        with (folder / SUMS).open("xb") as file:
            file.write(text)
        return hashlib.sha256(text).hexdigest()

    @classmethod
    def read(cls, folder: Path, digest: str) -> Sums:
        """Read what ``write`` wrote. Raises BackupError when it is not that, or names what no backup holds."""
        try:
            text = (folder / SUMS).read_bytes()
        except OSError as error:
            raise BackupError(f"{folder / SUMS} cannot be read: {error.strerror}. The backup is damaged.") from error
        if hashlib.sha256(text).hexdigest() != digest:
            raise BackupError(f"{folder / SUMS} is not what was written. The backup is damaged.")
        sums = cls()
        for line in text.decode("ascii", "replace").splitlines():
            found = _LINE.fullmatch(line)
            if found is None or ".." in found[2].split("/") or found[2].startswith("/"):
                raise BackupError(f"{folder / SUMS} names no file of a backup: {line[:200]!r}.")
            sums.digests[found[2]] = found[1]
        return sums


class Piece:
    """A file on its way into a backup: ``with Piece(...) as piece``. It counts when the block has ended well."""

    def __init__(self, folder: Path, path: str, sums: Sums) -> None:
        self._place = folder / path
        self._path = path
        self._sums = sums
        self._digest = hashlib.sha256()
        self.size = 0

    def __enter__(self) -> Self:
        self._place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._file = os.fdopen(
            os.open(self._place, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb", 0
        )
        return self

    def write(self, data: bytes | memoryview) -> None:
        """Add bytes. Raises OSError."""
        self._digest.update(data)
        view = memoryview(data)
        while view:
            view = view[self._file.write(view) :]
        self.size += len(data)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._file.close()
        if kind is not None:
            self._place.unlink(missing_ok=True)
            return
        self._sums.add(self._path, self._digest.hexdigest(), self.size)


def add(folder: Path, path: str, sums: Sums) -> None:
    """Count a file that is in the backup already."""
    digest = hashlib.sha256()
    size = 0
    with (folder / path).open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
            size += len(chunk)
    sums.add(path, digest.hexdigest(), size)


class Checked:
    """A piece of a backup that is read to its end, or not believed."""

    def __init__(self, folder: Path, path: str, digest: str) -> None:
        """Raises BackupError."""
        self._path = folder / path
        self._expected = digest
        self._seen = hashlib.sha256()
        try:
            self._file = os.fdopen(os.open(self._path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb")
        except OSError as error:
            raise BackupError(f"{self._path} cannot be read: {error.strerror}. The backup is damaged.") from error

    def read(self, size: int) -> bytes:
        """The next bytes, at most ``size``; none at the end."""
        try:
            data = self._file.read(size)
        except OSError as error:
            raise BackupError(f"{self._path} cannot be read: {error.strerror}. The backup is damaged.") from error
        self._seen.update(data)
        return data

    def __iter__(self) -> Iterator[bytes]:
        while chunk := self.read(CHUNK):
            yield chunk

    def finish(self) -> None:
        """Read what is left, and compare. Raises BackupError."""
        for _ in self:
            pass
        self._file.close()
        if self._seen.hexdigest() != self._expected:
            raise BackupError(f"{self._path} is not what was written. The backup is damaged.")
