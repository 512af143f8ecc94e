"""Placing an uploaded file into the container: whole, in one step."""

import os

from . import paths
from .failures import Failure, of_os_error
from .whole_file import WholeFile


class Placing:
    """One file on its way into ``$INPUT_DIR``. Every way out but ``commit`` removes what was written."""

    def __init__(self, filename: str, size: int) -> None:
        """Make room for ``size`` bytes. Raises Failure."""
        self._target = f"{paths.INPUT}/{filename}"
        self._missing = size
        try:
            paths.ensure_directory(paths.INPUT)
            self._file = WholeFile(self._target, 0o644)
        except OSError as error:
            raise of_os_error(f"Placing {filename}", error) from error
        self._filename = filename

    def write(self, data: bytes) -> None:
        """Append. Raises Failure when the disk is full or more comes than was announced; nothing is left then."""
        self._missing -= len(data)
        if self._missing < 0:
            self.abort()
            raise Failure("bad_request", f"{self._filename} is longer than announced")
        try:
            self._file.write(data)
        except OSError as error:
            self.abort()
            raise of_os_error(f"Placing {self._filename}", error) from error

    def commit(self) -> None:
        """Give the file its name, replacing one that has it; a directory is moved aside. Raises Failure."""
        if self._missing:
            self.abort()
            raise Failure("bad_request", f"{self._filename} is shorter than announced")
        try:
            try:
                placed = self._file.appear()
            except IsADirectoryError:
                # The end of the name may have to go, as no name has more than 255 bytes.
                aside = f"{self._filename[:60]}.{os.urandom(4).hex()}.moved"
                os.rename(self._target, f"{paths.INPUT}/{aside}")
                placed = self._file.appear()
        except OSError as error:
            self.abort()
            raise of_os_error(f"Placing {self._filename}", error) from error
        self._file.close()
        if not placed:
            raise Failure("failed", "The file was exchanged by a program in the container while it was placed")

    def abort(self) -> None:
        """Remove what was written."""
        self._file.close()
