"""Client tools told as Python functions."""

from __future__ import annotations

import ast
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bathysphere.turn.signatures import definition, documentation, parameters


def test_a_tool_as_a_function() -> None:
    schema = {
        "type": "object",
        "properties": {
            "city": {"type": "string", "description": "A city,\n  anywhere."},
            "unit": {"enum": ["c", "f"]},
            "days": {"type": "array", "items": {"type": "integer"}},
        },
        "required": ["city"],
    }
    assert parameters(schema) == ("city", "unit", "days")
    assert definition("get_weather", documentation("The weather.", schema)) == (
        "async def get_weather(args: dict) -> str:\n"
        '    """The weather.\n'
        "\n"
        "    args:\n"
        '        "city": str - A city, anywhere.\n'
        '        "unit": "c" | "f", optional\n'
        '        "days": list[int], optional\n'
        '    """'
    )


@pytest.mark.parametrize(
    ("schema", "told"),
    [
        ({"type": "number"}, "float"),
        ({"type": ["string", "null"]}, "str | None"),
        ({"anyOf": [{"type": "integer"}, {"type": "boolean"}]}, "int | bool"),
        ({"const": 3}, "3"),
        ({"enum": [{"x": 1}, [1], None]}, "dict | list | null"),
        ({"type": ["string", "string", "string"]}, "str"),
        ({"type": "object"}, "dict"),
        ({"type": "object", "properties": {"x": {"type": "integer"}}}, '{"x": int}'),
        ({"$ref": "#/$defs/color"}, '"red" | "green"'),
        ({"$ref": "#/nowhere"}, "Any"),
        ({}, "Any"),
        (True, "Any"),
    ],
    ids=str,
)
def test_types(schema: Any, told: str) -> None:
    root = {"$defs": {"color": {"enum": ["red", "green"]}}, "properties": {"a": schema}, "required": ["a"]}
    assert documentation(None, root) == f'args:\n    "a": {told}'


def test_it_is_bounded() -> None:
    schema = {"properties": {f"p{n}": {"enum": ["x" * 1000] * 100, "description": "y" * 5000} for n in range(500)}}
    text = documentation("z" * 100_000, schema)
    assert len(text) < 50_000
    assert text.endswith("and 440 more")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=20,
)
KEYWORDS = st.sampled_from(["type", "properties", "enum", "anyOf", "items", "required", "$ref", "description", "const"])


@given(st.text(max_size=200), st.dictionaries(KEYWORDS, JSON, max_size=5))
def test_any_schema_can_be_told(description: str, schema: dict[str, Any]) -> None:
    text = definition("f", documentation(description.replace("\\", "").replace("\x00", ""), schema))
    assert text.startswith("async def f(args: dict) -> str:")


def test_a_description_cannot_end_the_docstring() -> None:
    text = definition("f", documentation('""" + secret() + """', {}))
    (function,) = ast.parse(text).body
    assert isinstance(function, ast.AsyncFunctionDef)
    assert len(function.body) == 1
