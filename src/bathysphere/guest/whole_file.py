"""A file that appears under its name whole, in one step, or not at all."""

import errno
import os

# What file systems say that cannot hold a file without a name.
_UNABLE = (errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL)


class WholeFile:
    """On its way. It has no name meanwhile where the file system can do that: then a crash leaves nothing of it."""

    def __init__(self, path: str, mode: int = 0o666) -> None:
        """For ``path``, whose directory is there; ``mode`` is what the umask leaves of it. Raises OSError."""
        directory, self._name = os.path.split(path)
        self._temporary = ""
        self._place = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            self.descriptor = self._open(mode)
        except BaseException:
            os.close(self._place)
            raise

    def _open(self, mode: int) -> int:
        try:
            return os.open(".", os.O_WRONLY | os.O_TMPFILE | os.O_CLOEXEC, mode, dir_fd=self._place)
        except OSError as error:
            if error.errno not in _UNABLE:
                raise
        name = _unused()
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(name, flags, mode, dir_fd=self._place)
        self._temporary = name
        return descriptor

    def write(self, data: "bytes | memoryview") -> None:
        """Append. Raises OSError."""
        view = memoryview(data)
        while view:
            view = view[os.write(self.descriptor, view) :]

    def appear(self) -> bool:
        """Give it its name, and take that from a file that has it; False when it was exchanged at once. Raises OSError.

        A directory keeps its name: IsADirectoryError.
        """
        if not self._temporary:
            try:
                self._link(self._name)
            except FileExistsError:
                # No call puts a file without a name in another one's place, so for this moment it has two.
                name = _unused()
                self._link(name)
                self._temporary = name
        if self._temporary:
            os.rename(self._temporary, self._name, src_dir_fd=self._place, dst_dir_fd=self._place)
            self._temporary = ""
        there = os.stat(self._name, dir_fd=self._place, follow_symlinks=False)
        return os.path.samestat(there, os.fstat(self.descriptor))

    def _link(self, name: str) -> None:
        os.link(f"/proc/self/fd/{self.descriptor}", name, dst_dir_fd=self._place, follow_symlinks=True)

    def close(self) -> None:
        """Let go of it; if it did not appear it is gone. May be called again."""
        if self._place < 0:
            return
        os.close(self.descriptor)
        if self._temporary:
            try:
                os.unlink(self._temporary, dir_fd=self._place)
            except OSError:
                pass  # gone already
        os.close(self._place)
        self._place = -1


def _unused() -> str:
    return f".{os.urandom(8).hex()}.part"
