"""Errors of the contract (WIRE j): every failure a client sees is one of these."""

from __future__ import annotations

from typing import Any, ClassVar, Final, Literal

ErrorType = Literal[
    "invalid_request_error",
    "authentication_error",
    "billing_error",
    "permission_error",
    "not_found_error",
    "conflict_error",
    "request_too_large",
    "rate_limit_error",
    "api_error",
    "timeout_error",
    "overloaded_error",
]

STATUS: Final[dict[ErrorType, int]] = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "conflict_error": 409,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "api_error": 500,
    "timeout_error": 504,
    "overloaded_error": 529,
}


class ApiError(Exception):
    """A failure with its documented type; the HTTP status follows from the type.

    ``details`` holds ``error_code`` where the protocol has one. ``retry_after_seconds`` becomes the
    ``retry-after`` header; ``should_retry`` the ``x-should-retry`` header that SDKs obey. ``reason`` is what a log
    may say of it; it is given where the message repeats an upstream's words, which may quote a conversation.
    """

    type: ClassVar[ErrorType] = "api_error"

    def __init__(
        self,
        message: str,
        *,
        error_code: str | None = None,
        details: dict[str, Any] | None = None,
        retry_after_seconds: float | None = None,
        should_retry: bool | None = None,
        reason: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.reason = message if reason is None else reason
        self.details: dict[str, Any] | None = (
            {**(details or {}), "error_code": error_code} if error_code is not None else details
        )
        self.retry_after_seconds = retry_after_seconds
        self.should_retry = should_retry

    @property
    def status(self) -> int:
        """The HTTP status of this type of error."""
        return STATUS[self.type]

    def error(self) -> dict[str, Any]:
        """The ``error`` member: ``{"type", "message", "details"?}``."""
        body: dict[str, Any] = {"type": self.type, "message": self.message}
        if self.details is not None:
            body["details"] = self.details
        return body

    def body(self, request_id: str | None) -> dict[str, Any]:
        """The whole error body; ``request_id`` is that of the response's header."""
        return {"type": "error", "error": self.error(), "request_id": request_id}


class InvalidRequest(ApiError):
    """400: the request is wrong; the message begins with the path of what is wrong where there is one."""

    type = "invalid_request_error"


class AuthenticationFailed(ApiError):
    """401: no key, or one that is not known."""

    type = "authentication_error"


class BillingRefused(ApiError):
    """402: the upstream refused for reasons of money."""

    type = "billing_error"


class PermissionDenied(ApiError):
    """403: the key is known and may not do this."""

    type = "permission_error"


class NotFound(ApiError):
    """404: no such thing in this workspace (also when another workspace has it)."""

    type = "not_found_error"


class Conflict(ApiError):
    """409: the thing's state does not allow this."""

    type = "conflict_error"


class TooLarge(ApiError):
    """413: the body is over the documented size."""

    type = "request_too_large"


class RateLimited(ApiError):
    """429: too many requests; ``retry_after_seconds`` says when to come again."""

    type = "rate_limit_error"


class ServerError(ApiError):
    """500: a fault of ours or of the upstream; nothing of the cause's inside is told to the client."""

    type = "api_error"


class UpstreamTimeout(ApiError):
    """504: the model did not answer in time."""

    type = "timeout_error"


class Overloaded(ApiError):
    """529: the model, or this server, has too much to do just now."""

    type = "overloaded_error"


BY_STATUS: Final[dict[int, type[ApiError]]] = {
    STATUS[kind.type]: kind
    for kind in (
        InvalidRequest,
        AuthenticationFailed,
        BillingRefused,
        PermissionDenied,
        NotFound,
        Conflict,
        TooLarge,
        RateLimited,
        ServerError,
        UpstreamTimeout,
        Overloaded,
    )
}
