"""What a log may say of a call that failed: not the words that may name files of a client's."""

from __future__ import annotations

from bathysphere.containers.host import HostError, PathNotFound, PathRefused


def loggable(error: BaseException) -> str:
    """The message of an error of the host's own making; of others the name alone."""
    if isinstance(error, HostError) and not isinstance(error, PathNotFound | PathRefused):
        return str(error)
    return type(error).__name__
