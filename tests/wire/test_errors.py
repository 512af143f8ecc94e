"""Errors as the contract has them (WIRE j), and identifiers (WIRE l)."""

from __future__ import annotations

import pytest

from bathysphere.wire.errors import BY_STATUS, InvalidRequest, NotFound
from bathysphere.wire.ids import ID_PATTERN, REQUEST_ID_PATTERN, new_id, new_request_id


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, "invalid_request_error"),
        (401, "authentication_error"),
        (402, "billing_error"),
        (403, "permission_error"),
        (404, "not_found_error"),
        (409, "conflict_error"),
        (413, "request_too_large"),
        (429, "rate_limit_error"),
        (500, "api_error"),
        (504, "timeout_error"),
        (529, "overloaded_error"),
    ],
)
def test_each_status_has_its_type(status: int, kind: str) -> None:
    error = BY_STATUS[status]("why")
    assert error.status == status
    assert error.body("req_1") == {
        "type": "error",
        "error": {"type": kind, "message": "why"},
        "request_id": "req_1",
    }


def test_an_error_code_stands_in_the_details() -> None:
    error = InvalidRequest("why", error_code="storage_quota_exceeded", details={"limit": 5})
    assert error.error()["details"] == {"limit": 5, "error_code": "storage_quota_exceeded"}
    assert "details" not in NotFound("why").error()


@pytest.mark.parametrize("kind", ["msg", "srvtoolu", "container", "file"])
def test_ids_name_their_kind_and_never_repeat(kind: str) -> None:
    made = {new_id(kind) for _ in range(1000)}
    assert len(made) == 1000
    assert all(one.startswith(f"{kind}_01") and ID_PATTERN.fullmatch(one) for one in made)


def test_the_id_of_a_request_is_that_of_a_trace() -> None:
    """W3C Trace Context: 16 bytes, as 32 lower-case hexadecimal digits."""
    made = {new_request_id() for _ in range(1000)}
    assert len(made) == 1000
    assert all(REQUEST_ID_PATTERN.fullmatch(one) and ID_PATTERN.fullmatch(one) for one in made)
