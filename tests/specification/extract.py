"""``python -m tests.specification.extract openapi.json``: writes ``shapes.json`` anew.

From an OpenAPI document of the Messages API it takes the schemas of answers, errors and stream events, with what they
refer to, and nothing else: no descriptions, no examples, no blocks of tools that this server does not have. A choice
by a discriminator becomes conditions, so that a complaint names the member that is wrong, not the whole choice.
The present file was made from the document of April 2026.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

SHAPES: Final = Path(__file__).parent / "shapes.json"

_ANSWERS: Final = (
    "Message",
    "MessageStreamEvent",
    "CountMessageTokensResponse",
    "MessageBatch",
    "ListResponse_MessageBatch_",
    "DeleteMessageBatchResponse",
    "MessageBatchIndividualResponse",
    "FileMetadataSchema",
    "FileListResponse",
    "FileDeleteResponse",
    "ModelInfo",
    "ListResponse_ModelInfo_",
    "ErrorResponse",
)
_BEFORE: Final = "#/components/schemas/"
_AFTER: Final = "#/$defs/"
_ANNOTATIONS: Final = frozenset(("title", "description", "examples", "example", "default", "deprecated"))
# Blocks, citations and deltas that only come with tools and features that this server refuses.
_NOT_HERE: Final = ("web_search", "web_fetch", "tool_search", "mcp", "advisor", "compaction")


def extract(document: dict[str, Any]) -> dict[str, Any]:
    """The schemas by name, in the form that JSON Schema's ``$defs`` has."""
    schemas = document["components"]["schemas"]
    found: dict[str, Any] = {}
    waiting = [prefix + name for name in _ANSWERS for prefix in ("", "Beta")]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found[name] = _plain(schemas[name])
            waiting += _references(found[name])
    return dict(sorted(found.items()))


def _plain(schema: Any, *, names: bool = False) -> Any:
    """The schema without what says nothing of the shape; ``names``: its keys are members, not keywords."""
    if isinstance(schema, list):
        return [_plain(item) for item in schema]
    if not isinstance(schema, dict):
        return schema.replace(_BEFORE, _AFTER) if isinstance(schema, str) else schema
    if not names and "discriminator" in schema:
        return _conditions(schema["discriminator"])
    return {
        key: _plain(value, names=key == "properties" and not names)
        for key, value in schema.items()
        if names or not (key in _ANNOTATIONS or key.startswith("x-"))
    }


def _conditions(discriminator: dict[str, Any]) -> dict[str, Any]:
    member = discriminator["propertyName"]
    choices = {
        value: reference.replace(_BEFORE, _AFTER)
        for value, reference in discriminator["mapping"].items()
        if not any(word in value for word in _NOT_HERE)
    }
    return {
        "type": "object",
        "required": [member],
        "properties": {member: {"enum": list(choices)}},
        "allOf": [
            {"if": {"properties": {member: {"const": value}}}, "then": {"$ref": reference}}
            for value, reference in choices.items()
        ],
    }


def _references(schema: Any) -> Iterator[str]:
    for item in schema.values() if isinstance(schema, dict) else schema if isinstance(schema, list) else ():
        if isinstance(item, str) and item.startswith(_AFTER):
            yield item.removeprefix(_AFTER)
        yield from _references(item)


def _text(schemas: dict[str, Any]) -> str:
    lines = ",\n".join(
        f"{json.dumps(name)}: {json.dumps(schema, separators=(',', ':'))}" for name, schema in schemas.items()
    )
    return f"{{\n{lines}\n}}\n"


if __name__ == "__main__":
    SHAPES.write_text(_text(extract(json.loads(Path(sys.argv[1]).read_text("utf-8")))), encoding="utf-8")
