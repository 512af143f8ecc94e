"""What a host could not do, as the answer to a request of the Containers API."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from bathysphere.containers.host import (
    DiskFull,
    HostError,
    HostUnavailable,
    PathNotFound,
    PathRefused,
    TooManySandboxes,
    UnknownContainer,
)
from bathysphere.containers.quotas import QuotaReached, refusal
from bathysphere.wire.errors import ApiError, InvalidRequest, NotFound, Overloaded, RateLimited, ServerError


@contextmanager
def as_answers() -> Iterator[None]:
    """Inside, a HostError becomes the ApiError that says the same."""
    try:
        yield
    except HostError as error:
        raise answer_to(error) from error


def answer_to(error: HostError) -> ApiError:
    """The request's failure. The host's messages are made for whoever asked for the call."""
    if isinstance(error, QuotaReached):
        return refusal(error)
    for kind, answer in _ANSWERS:
        if isinstance(error, kind):
            return answer(str(error))
    # Tried again, a command that ended its sandbox would end it again.
    return ServerError(str(error), error_code="sandbox_failed", should_retry=False)


_ANSWERS: Final[tuple[tuple[type[HostError], Callable[[str], ApiError]], ...]] = (
    (PathNotFound, lambda message: NotFound(message, error_code="path_not_found")),
    (PathRefused, lambda message: InvalidRequest(message, error_code="path_refused")),
    (DiskFull, lambda message: InvalidRequest(message, error_code="disk_full")),
    (
        UnknownContainer,
        lambda _: NotFound(
            "Container not found: it has lost its disk. Make a new one.", error_code="container_expired"
        ),
    ),
    (
        TooManySandboxes,
        lambda _: RateLimited("Too many containers are running. Try again soon.", retry_after_seconds=5),
    ),
    (
        HostUnavailable,
        lambda _: Overloaded("The host that runs containers cannot be reached just now. Try again."),
    ),
)
