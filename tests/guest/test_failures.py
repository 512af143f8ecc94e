"""How system calls that went wrong are told."""

from __future__ import annotations

import errno
import os

import pytest

from bathysphere.guest.failures import of_os_error


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_told_apart(number: int) -> None:
    failure = of_os_error("Placing x", OSError(number, os.strerror(number)))
    assert failure.code == "disk_full"
    assert "Placing x" in str(failure)
    assert "Delete files" in str(failure)


def test_anything_else() -> None:
    failure = of_os_error("Placing x", OSError(errno.EIO, os.strerror(errno.EIO)))
    assert failure.code == "failed"
    assert "Input/output error" in str(failure)
