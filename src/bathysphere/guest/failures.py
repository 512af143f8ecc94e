"""How an operation says that it could not be done."""

import errno

FULL = (errno.ENOSPC, errno.EDQUOT)


class Failure(Exception):
    """An operation failed and nothing of it remains.

    ``code`` is ``disk_full``, ``output_gone``, ``path_not_found``, ``path_refused``, ``bad_request`` or ``failed``;
    the host maps it to its errors.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def of_os_error(doing: str, error: OSError) -> Failure:
    """The failure for a system call that went wrong while ``doing`` something."""
    if error.errno in FULL:
        return Failure("disk_full", f"The container's disk is full: {doing} was given up. Delete files to make room.")
    return Failure("failed", f"{doing} failed: {error.strerror}")
