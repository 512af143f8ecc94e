"""Client tools told as Python: an async function with its docstring for each, as the code that calls them sees it."""

from __future__ import annotations

import json
from typing import Any, Final

MOST_PARAMETERS: Final = 60
"""Parameters of one tool that are told one by one."""

_DESCRIPTION_CHARACTERS: Final = 4_000
_PARAMETER_CHARACTERS: Final = 400
_TYPE_CHARACTERS: Final = 120
_LITERAL_CHARACTERS: Final = 60
_DEPTH: Final = 4
_TYPES: Final = {
    "string": "str",
    "integer": "int",
    "number": "float",
    "boolean": "bool",
    "null": "None",
    "object": "dict",
    "array": "list",
}


def parameters(schema: dict[str, Any]) -> tuple[str, ...]:
    """The names of a schema's properties, in their order."""
    properties = schema.get("properties")
    return tuple(properties)[:MOST_PARAMETERS] if isinstance(properties, dict) else ()


def documentation(description: str | None, schema: dict[str, Any]) -> str:
    """The docstring: what the tool does, then each parameter with its type."""
    lines = [_cut((description or "").strip(), _DESCRIPTION_CHARACTERS)] if description and description.strip() else []
    properties = schema.get("properties")
    given = properties if isinstance(properties, dict) else {}
    required = schema.get("required")
    needed = (
        frozenset(name for name in required if isinstance(name, str)) if isinstance(required, list) else frozenset()
    )
    if given:
        lines += ["", "args:"] if lines else ["args:"]
    for name in parameters(schema):
        lines.append(f"    {json.dumps(name, ensure_ascii=False)}: {_parameter(given[name], schema, name in needed)}")
    if len(given) > MOST_PARAMETERS:
        lines.append(f"    and {len(given) - MOST_PARAMETERS} more")
    return "\n".join(lines).replace('"""', "'''")


def definition(function: str, docstring: str) -> str:
    """The function as a model is shown it."""
    head = f"async def {function}(args: dict) -> str:"
    if not docstring:
        return f"{head} ..."
    body = "\n".join(f"    {line}" if line else "" for line in f'"""{docstring}\n"""'.splitlines())
    return f"{head}\n{body}"


def _parameter(schema: Any, root: dict[str, Any], required: bool) -> str:
    told = _cut(_type(schema, root, 0), _TYPE_CHARACTERS) + ("" if required else ", optional")
    described = schema.get("description") if isinstance(schema, dict) else None
    if isinstance(described, str) and described.strip():
        told += f" - {_cut(' '.join(described.split()), _PARAMETER_CHARACTERS)}"
    return told


def _type(schema: Any, root: dict[str, Any], depth: int) -> str:  # noqa: PLR0911 - one kind of schema a line
    if not isinstance(schema, dict) or depth == _DEPTH:
        return "Any"
    reference = schema.get("$ref")
    if isinstance(reference, str):
        return _type(_local(reference, root), root, depth + 1)
    if "const" in schema:
        return _literal([schema["const"]])
    if isinstance(schema.get("enum"), list):
        return _literal(schema["enum"])
    for name in ("anyOf", "oneOf"):
        if isinstance(schema.get(name), list):
            kinds = dict.fromkeys(_type(part, root, depth + 1) for part in schema[name][:10])
            return " | ".join(kinds) or "Any"
    kind = schema.get("type")
    if isinstance(kind, list):
        # Each once: what is within it would be told anew for every one.
        kinds = dict.fromkeys(one for one in kind[:7] if isinstance(one, str))
        return " | ".join(dict.fromkeys(_type({**schema, "type": one}, root, depth + 1) for one in kinds)) or "Any"
    if kind == "array":
        return f"list[{_type(schema['items'], root, depth + 1)}]" if isinstance(schema.get("items"), dict) else "list"
    if kind == "object" and isinstance(schema.get("properties"), dict) and schema["properties"]:
        members = [
            f"{json.dumps(name, ensure_ascii=False)}: {_type(part, root, depth + 1)}"
            for name, part in list(schema["properties"].items())[:10]
        ]
        return "{" + ", ".join(members) + "}"
    return _TYPES.get(kind, "Any") if isinstance(kind, str) else "Any"


def _literal(values: list[Any]) -> str:
    return " | ".join(_one_literal(value) for value in values[:10]) or "Any"


def _one_literal(value: Any) -> str:
    if isinstance(value, dict | list):
        return _TYPES["object" if isinstance(value, dict) else "array"]
    # Cut before, too: many parameters may refer to the same long one.
    shown = value[:_LITERAL_CHARACTERS] if isinstance(value, str) else value
    return json.dumps(shown, ensure_ascii=False)[:_LITERAL_CHARACTERS]


def _local(reference: str, root: dict[str, Any]) -> Any:
    found: Any = root
    for part in reference.split("/")[1:]:
        name = part.replace("~1", "/").replace("~0", "~")
        found = found.get(name) if isinstance(found, dict) else None
    return found


def _cut(text: str, characters: int) -> str:
    return text if len(text) <= characters else text[: characters - 1] + "…"
