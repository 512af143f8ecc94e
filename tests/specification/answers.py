"""Which schema of the specification is for which call, and what is wrong with an answer (WIRE c to f, j, k.1)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, Final

import jsonschema_rs

from tests.specification.deviations import DEVIATIONS, Deviation
from tests.specification.extract import SHAPES

FILES_BETA: Final = "files-api-2025-04-14"
EVENT: Final = "MessageStreamEvent"
RESULT_LINE: Final = "MessageBatchIndividualResponse"
ERROR: Final = "ErrorResponse"

_BATCH: Final = "/v1/messages/batches/[^/]+"
_CALLS: Final = tuple(
    (method, re.compile(path), schema)
    for method, path, schema in (
        ("POST", "/v1/messages", "Message"),
        ("POST", "/v1/messages/count_tokens", "CountMessageTokensResponse"),
        ("POST", "/v1/messages/batches", "MessageBatch"),
        ("GET", "/v1/messages/batches", "ListResponse_MessageBatch_"),
        ("GET", _BATCH, "MessageBatch"),
        ("POST", f"{_BATCH}/cancel", "MessageBatch"),
        ("DELETE", _BATCH, "DeleteMessageBatchResponse"),
        ("GET", f"{_BATCH}/results", RESULT_LINE),
        ("POST", "/v1/files", "FileMetadataSchema"),
        ("GET", "/v1/files", "FileListResponse"),
        ("GET", "/v1/files/[^/]+", "FileMetadataSchema"),
        ("DELETE", "/v1/files/[^/]+", "FileDeleteResponse"),
        ("GET", "/v1/models", "ListResponse_ModelInfo_"),
        ("GET", "/v1/models/.+", "ModelInfo"),
    )
)
_ERROR_TYPES: Final = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    409: "conflict_error",
    413: "request_too_large",
    429: "rate_limit_error",
    500: "api_error",
    504: "timeout_error",
    529: "overloaded_error",
}
_SHOWN: Final = 10
_SHOWN_CHARACTERS: Final = 400


def schema_of(method: str, path: str, query: str, headers: Mapping[str, str]) -> str | None:
    """The schema of a call's answer; None for what is not in the specification.

    Files have the shape that a header asks for (WIRE 0.3); everything else that of the beta endpoints with the query
    that the document gives to them.
    """
    for of_method, pattern, schema in _CALLS:
        if method == of_method and pattern.fullmatch(path):
            files = path.startswith("/v1/files")
            beta = FILES_BETA in headers.get("anthropic-beta", "") if files else "beta=true" in query.split("&")
            return f"Beta{schema}" if beta else schema
    return None


def complaints(schema: str, value: Any) -> Iterator[str]:
    """What is wrong with a value of JSON: each with its place."""
    for error, _ in zip(_validator(schema).iter_errors(value), range(_SHOWN), strict=False):
        yield f"{'.'.join(str(step) for step in error.instance_path)}: {error.message[:_SHOWN_CHARACTERS]}"


def error_complaints(status: int, value: Any, request_id: str | None) -> Iterator[str]:
    """What is wrong with the body of an answer that is an error: its type follows from the status (WIRE j)."""
    yield from complaints(ERROR, value)
    if isinstance(value, dict):
        kind = (value.get("error") or {}).get("type")
        if status in _ERROR_TYPES and kind != _ERROR_TYPES[status]:
            yield f"error.type: {kind!r} with status {status}"
        if value.get("request_id") != request_id:
            yield f"request_id: {value.get('request_id')!r}, and the header says {request_id!r}"


@cache
def shapes() -> dict[str, Any]:
    """The schemas by name, with the deviations."""
    schemas: dict[str, Any] = json.loads(SHAPES.read_text("utf-8"))
    for deviation in DEVIATIONS:
        apply(deviation, schemas)
    return schemas


def apply(deviation: Deviation, schemas: dict[str, Any]) -> None:
    """Change the schemas that a deviation names."""
    for name in deviation.schemas:
        schema = _merged(schemas[name], deviation.merge)
        kept = [member for member in schema.get("required", ()) if member not in deviation.optional]
        if "properties" in schema:
            schema["required"] = [*kept, *deviation.required]
        schemas[name] = schema


def _merged(value: Any, patch: Any) -> Any:
    if not isinstance(patch, dict):
        return patch
    merged = dict(value) if isinstance(value, dict) else {}
    for key, change in patch.items():
        if change is None:
            merged.pop(key, None)
        else:
            merged[key] = _merged(merged.get(key), change)
    return merged


@cache
def _validator(schema: str) -> jsonschema_rs.Draft202012Validator:
    document = {"$defs": shapes(), "$ref": f"#/$defs/{schema}"}
    return jsonschema_rs.Draft202012Validator(document, validate_formats=True)
