"""Schemas of tools that code may call: hostile ones take nothing from the server, and neither do hostile calls."""

from __future__ import annotations

from typing import Any

import pytest

from bathysphere.turn.argument_schema import check_schema, complaint


def doubling(levels: int) -> dict[str, Any]:
    """Small to write, and 2 ** levels subschemas once its references have been followed."""
    names = {f"a{n}": {"allOf": [{"$ref": f"#/$defs/a{n + 1}"}] * 2} for n in range(levels)}
    return {"$defs": names | {f"a{levels}": {}}, "$ref": "#/$defs/a0"}


def chain(length: int) -> dict[str, Any]:
    names = {f"a{n}": {"$ref": f"#/$defs/a{n + 1}"} for n in range(length)}
    return {"$defs": names | {f"a{length}": {}}, "$ref": "#/$defs/a0"}


def renamed(levels: int) -> dict[str, Any]:
    """As ``doubling``, below a name of its own, while the same references from the top lead to nothing of that."""
    return {
        "$defs": {f"a{n}": {} for n in range(levels + 1)},
        "items": {"$id": "http://localhost:1/"} | doubling(levels),
    }


def encoded(levels: int) -> dict[str, Any]:
    """As ``doubling``, with names that some decode: "%61" is an a."""
    names = {f"{n}a": {"allOf": [{"$ref": f"#/$defs/{n + 1}%61"}] * 2} for n in range(levels)}
    return {"$defs": names | {f"{n}%61": {} for n in range(levels + 1)}, "$ref": "#/$defs/0%61"}


def unevaluated(levels: int) -> dict[str, Any]:
    schema: dict[str, Any] = {"properties": {"a": {}}}
    for _ in range(levels):
        schema = {"allOf": [schema], "unevaluatedProperties": False}
    return schema


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        ({"$ref": "#"}, "Circular $ref detected: #"),
        ({"properties": {"a": {"items": {"$ref": "#/properties/a"}}}}, "Circular $ref detected: #/properties/a"),
        ({"$recursiveRef": "#"}, "Circular $ref detected"),
        ({"properties": {"a": {"$dynamicRef": "#a"}}}, "Circular $ref detected"),
        ({"$ref": "http://localhost:1/schema.json"}, "cannot be followed"),
        ({"$ref": "file:///etc/passwd"}, "cannot be followed"),
        ({"$ref": 5}, "cannot be followed"),
        ({"$ref": "#/$defs/nothing"}, "leads to nothing"),
        ({"$schema": "http://localhost:1/meta"}, "JSON schema is invalid"),
        ({"$id": "http://localhost:1/", "properties": {"a": {"$ref": "b"}}}, "cannot be followed"),
        ({"required": "a"}, "JSON schema is invalid"),
        ({"properties": {"a": {"pattern": "("}}}, "JSON schema is invalid"),
        ({"pattern": "(((a{1000}){1000}){1000}){1000}"}, "JSON schema is invalid"),
        (doubling(40), "too large"),
        (chain(5000), "too large"),
        (chain(200), "deeper"),
        (renamed(40), "can have an $id"),
        ({"x": {"$id": "a", "b": {}}, "$ref": "#/x/b"}, "can have an $id"),
        ({"$schema": "http://json-schema.org/draft-04/schema#", "items": {"id": "http://localhost:1/"}}, "an id,"),
        (encoded(40), "cannot be followed"),
        (unevaluated(40), "too large"),
        ({"description": "x" * 300_000}, "more than 256 KiB"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_calls_cannot_be_checked_against_is_refused(schema: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError) as caught:
        check_schema(schema)
    assert said in str(caught.value)
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize(
    "schema",
    [
        {},
        {"type": "object", "properties": {"$ref": {"type": "string"}, "items": {"type": "array"}}},
        {"$defs": {"a": {"type": "string"}}, "properties": {"x": {"$ref": "#/$defs/a"}, "y": {"$ref": "#/$defs/a"}}},
        {
            "$schema": "http://json-schema.org/draft-07/schema#",
            "definitions": {"a/b": {}},
            "$ref": "#/definitions/a~1b",
        },
        {"properties": {"email": {"type": "string", "format": "email", "pattern": "^(?!\\.)[a-z.]+@[a-z]+$"}}},
        doubling(8),
        chain(50),
        {"$id": "https://example.com/weather", "properties": {"id": {"type": "string"}, "$id": {"type": "string"}}},
        {"properties": {"a": {"type": "string", "id": "city"}}},
        unevaluated(2),
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_tools_really_have_is_taken(schema: dict[str, Any]) -> None:
    check_schema(schema)
    assert complaint(schema, {}) is None


def test_what_does_not_fit_is_told_with_its_place() -> None:
    schema = {"properties": {"a": {"type": "array", "items": {"type": "integer"}}}, "required": ["b"]}
    said = complaint(schema, {"a": [1, "x"]})
    assert said is not None
    assert 'a.1: "x" is not of type "integer"' in said
    assert '"b" is a required property' in said


def test_a_pattern_with_lookahead_is_checked() -> None:
    schema = {"properties": {"a": {"type": "string", "pattern": "^(?!bad)"}}}
    assert complaint(schema, {"a": "good"}) is None
    assert complaint(schema, {"a": "bad"}) is not None


@pytest.mark.parametrize("pattern", ["^(a+)+$", "^(?=(a+)+$)b", "(?=(a|aa)+$)b"])
def test_a_pattern_that_would_take_for_ever_gives_up(pattern: str) -> None:
    """And what could not be checked is refused."""
    schema = {"properties": {"a": {"type": "string", "pattern": pattern}}}
    check_schema(schema)
    assert complaint(schema, {"a": "a" * 50_000 + "!"}) is not None


def test_large_arguments_are_refused_before_they_are_checked() -> None:
    said = complaint({}, {"a": "x" * 600_000})
    assert said is not None
    assert "512 KiB" in said


def test_a_check_that_would_be_much_work_is_refused() -> None:
    choices = [{"type": "string", "minLength": length} for length in range(150)]
    schema = {"properties": {"a": {"items": {"anyOf": choices}}}}
    check_schema(schema)
    assert complaint(schema, {"a": ["x"] * 50}) is None
    said = complaint(schema, {"a": list(range(45_000))})
    assert said is not None
    assert "too" in said


def test_a_complaint_is_short() -> None:
    said = complaint({"additionalProperties": False}, {f"key{n}": "x" * 100 for n in range(100)})
    assert said is not None
    assert len(said) < 2000
