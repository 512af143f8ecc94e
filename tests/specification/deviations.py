"""Where the wire is not what the document of April 2026 says: each difference as a merge patch (RFC 7396).

Later recordings, SDKs and documentation are right against it; ``source`` names the section of the protocol's wire
reference that gathers them. The beta endpoints have schemas of their own, with ``Beta`` before the name.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final


@dataclass(frozen=True)
class Deviation:
    """``merge`` goes into the schemas; their ``optional`` members may be absent after all, ``required`` ones not."""

    schemas: tuple[str, ...]
    source: str
    why: str
    merge: dict[str, Any] = field(default_factory=dict)
    optional: tuple[str, ...] = ()
    required: tuple[str, ...] = ()


def _both(schema: str) -> tuple[str, str]:
    return schema, f"Beta{schema}"


_TEXT: Final = {"type": ["string", "null"]}
_TIME: Final = {"type": ["string", "null"], "format": "date-time"}

_ERROR_CODES: Final = (
    "invalid_tool_input", "unavailable", "too_many_requests", "execution_time_exceeded", "container_expired"
)  # fmt: skip

DEVIATIONS: Final = (
    Deviation(
        _both("ResponseTextBlock"), "WIRE d, h.3", "without citations, real text blocks lack the member",
        optional=("citations",),
    ),
    Deviation(
        ("BetaContainer",), "WIRE c.3", "skills are left out when there are none", optional=("skills",)
    ),
    Deviation(
        ("BetaMessage", "BetaMessageDeltaEvent"), "WIRE c.3, c.7, d", "only in the answer to a request that has it",
        optional=("context_management",),
    ),
    Deviation(
        ("BetaCountMessageTokensResponse",), "WIRE k.1, c.7", "only in the answer to a request that has it",
        optional=("context_management",),
    ),
    Deviation(
        ("BetaUsage", "BetaMessageDeltaUsage"), "WIRE c.3, d", "real answers lack what was not asked for",
        optional=("iterations", "speed"),
    ),
    Deviation(
        ("StopReason",), "WIRE c.3", "no longer of the beta endpoints alone",
        {"enum": ["end_turn", "max_tokens", "stop_sequence", "tool_use", "pause_turn", "refusal",
                  "model_context_window_exceeded"]},
    ),
    *(
        Deviation(
            _both(f"{tool}ToolResultErrorCode"),
            "WIRE a.3",
            "the documentation of November 2025 has these too, and clients are written from it",
            {"enum": [*_ERROR_CODES, *more]},
        )
        for tool, more in (
            ("CodeExecution", ()),
            ("BashCodeExecution", ("output_file_too_large",)),
            ("TextEditorCodeExecution", ("file_not_found", "string_not_found")),
        )
    ),
    Deviation(
        _both("ErrorResponse"), "WIRE j", "types that came later, for 409 and 413",
        {"properties": {"error": {"properties": {"type": {"enum": [
            "invalid_request_error", "authentication_error", "billing_error", "permission_error", "not_found_error",
            "conflict_error", "request_too_large", "rate_limit_error", "api_error", "timeout_error",
            "overloaded_error",
        ]}, "message": {"type": "string"}}, "required": ["type", "message"]}}},
    ),
    Deviation(
        ("FileMetadataSchema",), "WIRE 0.3, e", "the shape without the old beta header",
        {"properties": {"expires_at": _TIME}}, required=("downloadable", "expires_at"),
    ),
    Deviation(
        ("FileListResponse",), "WIRE 0.3, e", "the shape without the old beta header",
        {"properties": {"next_page": _TEXT}}, required=("next_page",),
    ),
    Deviation(
        ("BetaFileListResponse",), "WIRE 0.3", "the shape with the old beta header",
        required=("has_more", "first_id", "last_id"),
    ),
    Deviation(
        _both("ModelInfo"), "WIRE k.1", "what newer SDKs require, and what they know besides",
        {"properties": {
            "lifecycle": {"enum": ["active", "deprecated", "retired"]}, "line": _TEXT,
            "deprecated_at": _TIME, "retires_at": _TIME,
        }},
        required=("lifecycle",),
    ),
)  # fmt: skip
