"""The interpreter's ends of the pipes to process 1, out of the way of the user's descriptors."""

import fcntl
import os
import resource
from _thread import allocate_lock

from ..frames import LENGTHS, encode, lengths, parse_header
from .interrupts import Interrupts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_read, _write, _exit = os.read, os.write, os._exit


def out_of_the_way(descriptor: int) -> int:
    """Move a descriptor to a high number that no started program inherits."""
    soft, _hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    moved = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, max(16, min(soft, 1 << 16) - 16))
    os.close(descriptor)
    return moved


class Hearing:
    """Frames of process 1, which is believed. When it is gone, so is the sandbox."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def frame(self) -> "tuple[dict[str, Any], bytes]":
        """Wait for the next frame."""
        header, payload = lengths(self._exactly(LENGTHS.size))
        return parse_header(self._exactly(header)), self._exactly(payload)

    def _exactly(self, size: int) -> bytes:
        data = bytearray()
        while len(data) < size:
            piece = _read(self._descriptor, size - len(data))
            if not piece:
                _exit(1)
            data += piece
        return bytes(data)


class Telling:
    """Frames to process 1, of any thread, each written whole."""

    def __init__(self, descriptor: int, interrupts: Interrupts) -> None:
        self._descriptor = descriptor
        self._interrupts = interrupts
        self._lock = allocate_lock()

    def frame(self, header: dict[str, object], payload: bytes = b"") -> None:
        """Write one. Raises OSError when the user's code closed the pipe."""
        data = memoryview(encode(header, payload))
        with self._interrupts.held(), self._lock:
            while data:
                data = data[_write(self._descriptor, data) :]
