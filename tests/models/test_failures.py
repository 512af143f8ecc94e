"""What of an upstream's failure a log may tell: everything but words that may quote the conversation."""

from __future__ import annotations

import pytest

from bathysphere.models.failures import Transient, Upstream
from bathysphere.wire.errors import ApiError

QUOTE = "could not parse: the secret plan"
UPSTREAM = Upstream("http://127.0.0.1:9/v1", "UPSTREAM_KEY", "sk-secret")


@pytest.mark.parametrize("status", [403, 408, 500, 502, 503, 529])
def test_the_client_is_told_what_the_upstream_said_and_the_log_where_it_failed(status: int) -> None:
    refusal = UPSTREAM.refused(status, {"error": {"message": QUOTE}}, {})
    error = refusal.error if isinstance(refusal, Transient) else refusal
    assert isinstance(error, ApiError) and error.status >= 500
    assert QUOTE in error.message
    assert QUOTE not in error.reason
    assert UPSTREAM.url in error.reason and f"HTTP {status}" in error.reason


def test_an_answer_that_cannot_be_understood_is_not_quoted_in_the_log() -> None:
    error = UPSTREAM.not_understood(QUOTE)
    assert QUOTE in error.message and QUOTE not in error.reason


def test_a_refused_key_and_a_missing_server_are_told_to_the_operator() -> None:
    refused = UPSTREAM.refused(401, "sk-secret is wrong", {})
    assert isinstance(refused, ApiError)
    assert "UPSTREAM_KEY" in refused.reason and "sk-secret" not in refused.reason
    assert "base_url" in UPSTREAM.unreachable(OSError("Connection refused")).error.reason
