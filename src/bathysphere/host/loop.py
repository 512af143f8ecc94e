"""Loop devices: a file as a block device, which the kernel takes away with its last user."""

from __future__ import annotations

import errno
import fcntl
import os
import struct
from pathlib import Path

_LOOP_CTL_GET_FREE = 0x4C82
_LOOP_CONFIGURE = 0x4C0A
_LO_FLAGS_AUTOCLEAR = 4
_LO_FLAGS_DIRECT_IO = 16
_BLOCK = 4096
_CONTROL = Path("/dev/loop-control")
_ATTEMPTS = 1000

# struct loop_config: fd, block size, struct loop_info64 (of which only flags and name matter), reserved words.
_CONFIG = struct.Struct("=II5Q4I64s64s32s2Q64x")


def bind(image: int, name: str) -> tuple[int, Path]:
    """An open loop device over an open file, and its path. Raises OSError.

    It exists until its last user (a mount, or the returned descriptor) has gone, whatever became of us. The
    file's locks stay for as long. ``name`` is for whoever lists devices.
    """
    try:
        control = os.open(_CONTROL, os.O_RDWR | os.O_CLOEXEC)
    except OSError as error:
        raise OSError(error.errno, f"{_CONTROL} cannot be opened: {error.strerror}") from error
    try:
        direct = True
        for _attempt in range(_ATTEMPTS):
            path = Path(f"/dev/loop{fcntl.ioctl(control, _LOOP_CTL_GET_FREE)}")
            try:
                device = os.open(path, os.O_RDWR | os.O_CLOEXEC)
            except OSError as error:
                raise OSError(error.errno, f"{path} cannot be opened: {error.strerror}") from error
            try:
                _configure(device, image, name, direct)
            except OSError as error:
                os.close(device)
                if error.errno == errno.EBUSY:
                    continue  # somebody else was given the same one
                if error.errno == errno.EINVAL and direct:
                    direct = False  # the file system below cannot do without its cache
                    continue
                raise OSError(error.errno, f"{path} cannot be set up: {error.strerror}") from error
            return device, path
    finally:
        os.close(control)
    raise OSError(errno.EBUSY, "no loop device is free")


def _configure(device: int, image: int, name: str, direct: bool) -> None:
    flags = _LO_FLAGS_AUTOCLEAR | (_LO_FLAGS_DIRECT_IO if direct else 0)
    label = name.encode()[:63]
    fcntl.ioctl(device, _LOOP_CONFIGURE, _CONFIG.pack(image, _BLOCK, *[0] * 5, 0, 0, 0, flags, label, b"", b"", 0, 0))
