"""Standard output and error of a cell: there again at each cell, whatever the one before did to them."""

import os
import sys

from .pipes import out_of_the_way

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TextIO

_dup, _dup2, _fstat, _open = os.dup, os.dup2, os.fstat, open


class Streams:
    """What processes read as descriptors 1 and 2, and code as sys.stdout and sys.stderr."""

    def __init__(self) -> None:
        self._kept = {number: out_of_the_way(_dup(number)) for number in (1, 2)}
        self._own: dict[str, TextIO] = {"stdout": sys.stdout, "stderr": sys.stderr}
        for stream in self._own.values():
            stream.reconfigure(line_buffering=True)  # type: ignore[attr-defined]

    def begin(self) -> None:
        """Put them in place for a cell."""
        for number, kept in self._kept.items():
            try:
                there, wanted = _fstat(number), _fstat(kept)
                if (there.st_dev, there.st_ino) == (wanted.st_dev, wanted.st_ino):
                    continue
            except OSError:
                pass
            _dup2(kept, number)
        for number, (name, stream) in enumerate(self._own.items(), 1):
            if stream.closed:
                stream = self._own[name] = _open(number, "w", buffering=1, closefd=False)  # noqa: PLW2901
            setattr(sys, name, stream)

    def flush(self) -> None:
        """Write out what the cell left in buffers, also in those of streams that it put there itself."""
        for stream in (getattr(sys, "stdout", None), getattr(sys, "stderr", None), *self._own.values()):
            try:
                stream.flush()  # type: ignore[union-attr]
            except Exception:  # noqa: S112  (closed, or anything else that the cell made of it)
                continue

    @property
    def error(self) -> "TextIO":
        """Where exceptions are shown."""
        return self._own["stderr"] if sys.stderr is None else sys.stderr
