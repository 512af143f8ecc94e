"""What an upstream's failure means to our client, in the errors of the contract (WIRE j).

A refusal that concerns the request keeps its type and message. A refusal of *our* key, or a model server that is
not there, is the operator's to mend: the client gets a 500 that says so, since no key of the client's would help.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from bathysphere.wire.errors import (
    BY_STATUS,
    STATUS,
    ApiError,
    InvalidRequest,
    NotFound,
    Overloaded,
    RateLimited,
    ServerError,
    UpstreamTimeout,
)

_MESSAGE_LIMIT: Final = 2000
_STATUS_OF_TYPE: Final[Mapping[str, int]] = {str(kind): status for kind, status in STATUS.items()}


class Transient(Exception):
    """An upstream's failure that may pass: it is tried again before the first event, else ``error`` is raised."""

    def __init__(self, error: ApiError) -> None:
        super().__init__(error.message)
        self.error = error


@dataclass(frozen=True, slots=True)
class Upstream:
    """Where requests go, for the words of an error. ``key_hint`` says where the operator sets the key."""

    url: str
    key_hint: str
    key: str | None = None

    def _clean(self, message: str) -> str:
        message = message if len(message) <= _MESSAGE_LIMIT else message[:_MESSAGE_LIMIT] + " …"
        return message.replace(self.key, "[key]") if self.key else message

    def refused(  # noqa: PLR0911 - one per kind of refusal
        self, status: int, body: object, headers: Mapping[str, str]
    ) -> ApiError | Transient:
        """The error for an answer with a status of 400 or more; a Transient is to be tried again."""
        told_type, told = _told(body)
        message = self._clean(told)
        if status in (401, 403):
            why = f": {message}" if status == 403 and message else ""
            refusal = f"The upstream at {self.url} refused bathysphere's own API key (HTTP {status})"
            mend = f"Whoever runs this server must set {self.key_hint}."
            return ServerError(f"{refusal}{why}. {mend}", should_retry=False, reason=f"{refusal}. {mend}")
        # An error event inside a stream comes with HTTP status 200; its type says what it is.
        if status < 400:
            status = _STATUS_OF_TYPE.get(told_type, 500)
        retry_after = _seconds(headers)
        failed = f"The upstream at {self.url} failed (HTTP {status})."
        if status == 429:
            return Transient(
                RateLimited(message or "The upstream's rate limit is reached.", retry_after_seconds=retry_after)
            )
        if status in (503, 529):
            overloaded = message or "The upstream is overloaded."
            return Transient(Overloaded(overloaded, retry_after_seconds=retry_after, reason=failed))
        if status in (408, 504):
            too_late = message or f"The upstream at {self.url} did not answer in time."
            return Transient(UpstreamTimeout(too_late, reason=failed))
        if status >= 500:
            told = message or "no reason was given"
            return Transient(ServerError(f"The upstream failed (HTTP {status}): {told}", reason=failed))
        if status == 404:
            return NotFound(message or f"The upstream at {self.url} knows no such model or endpoint (HTTP 404).")
        kind = BY_STATUS.get(status, InvalidRequest)
        return kind(message or f"The upstream refused the request (HTTP {status}) without saying why.")

    def unreachable(self, cause: BaseException) -> Transient:
        """No connection could be made, or it broke before an answer."""
        root: BaseException = cause
        while (deeper := root.__cause__ or root.__context__) is not None and deeper is not root:
            root = deeper
        why = self._clean(str(root)) or type(root).__name__
        return Transient(
            ServerError(
                f"No model server answers at {self.url} ({why}). Whoever runs this server must start it there, "
                "or correct base_url in bathysphere.toml."
            )
        )

    def too_slow(self) -> Transient:
        """The upstream sent nothing for as long as the configured timeout."""
        return Transient(UpstreamTimeout(f"The upstream at {self.url} did not answer in time."))

    def broken_off(self) -> ServerError:
        """The stream ended in the middle of a message."""
        return ServerError(f"The upstream at {self.url} broke off in the middle of its answer.")

    def not_understood(self, what: str) -> ServerError:
        """The upstream's answer is none of its protocol."""
        said = f"The upstream at {self.url} sent what cannot be understood"
        return ServerError(f"{said}: {self._clean(what)}", reason=f"{said}.")


def _told(body: object) -> tuple[str, str]:
    """Type and message of an error body of either protocol, or of plain text."""
    if isinstance(body, (bytes, str)):
        text = body.decode("utf-8", "replace") if isinstance(body, bytes) else body
        try:
            body = json.loads(text)
        except ValueError:
            # A proxy's HTML page explains nothing to a client of an API.
            return "", "" if text.lstrip().startswith("<") else text.strip()
    if not isinstance(body, dict):
        return "", ""
    error: Any = body.get("error", body)
    if isinstance(error, str):
        return "", error
    if not isinstance(error, dict):
        return "", ""
    message = error.get("message") or error.get("detail") or body.get("message") or ""
    return str(error.get("type") or ""), message if isinstance(message, str) else json.dumps(message)


def _seconds(headers: Mapping[str, str]) -> float | None:
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        try:
            seconds = float(headers.get(name, "")) * unit
        except ValueError:
            continue
        if 0 <= seconds < float("inf"):
            return seconds
    return None
