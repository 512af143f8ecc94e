"""The ``input_schema`` of a tool that code may call: checked when declared, and then against each call (WIRE h.4).

A schema is a client's and the arguments are a program's: neither may make the server fetch anything, or take long.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, Final

import jsonschema_rs
from jsonschema_rs import FancyRegexOptions, ReferencingError, RegexOptions, ValidationError

MAX_SCHEMA_BYTES: Final = 256 * 1024
"""Size of one schema, as JSON."""

MAX_ARGUMENTS_BYTES: Final = 512 * 1024
"""Size of one call's arguments, as JSON."""

_MOST_EXPANDED: Final = 20_000
"""Subschemas of a schema in which each reference has been replaced by what it stands for."""

_MOST_WORK: Final = 50_000_000
"""Subschemas times bytes of arguments: what a check may come to at worst."""

_MOST_WORK_TOLD: Final = 40_000
"""The same for finding out what is wrong, which takes the validator a hundred times longer."""

_HIGHEST: Final = 128
"""Levels of such a schema: the validator goes into each by recursion."""

_PATTERN_BYTES: Final = 1024 * 1024
_BACKTRACKS: Final = 2_000
_COMPLAINTS: Final = 3
_COMPLAINT_CHARACTERS: Final = 300

_MAPS: Final = frozenset(
    ("properties", "patternProperties", "$defs", "definitions", "dependentSchemas", "dependencies")
)
_LISTS: Final = frozenset(("allOf", "anyOf", "oneOf", "prefixItems", "items"))
_SINGLE: Final = frozenset(
    (
        "items",
        "additionalItems",
        "additionalProperties",
        "not",
        "if",
        "then",
        "else",
        "contains",
        "propertyNames",
        "unevaluatedItems",
        "unevaluatedProperties",
        "contentSchema",
    )
)
_UNEVALUATED: Final = frozenset(("unevaluatedItems", "unevaluatedProperties"))
_LINEAR: Final = RegexOptions(size_limit=_PATTERN_BYTES, dfa_size_limit=_PATTERN_BYTES)
# Patterns with lookaround, which only an engine that goes back can match; it gives up after so many steps back.
_BOUNDED: Final = FancyRegexOptions(
    backtrack_limit=_BACKTRACKS, size_limit=_PATTERN_BYTES, dfa_size_limit=_PATTERN_BYTES
)


def check_schema(schema: dict[str, Any]) -> None:
    """Raises ValueError, with what is wrong, for a schema that calls cannot be checked against."""
    text = json.dumps(schema)
    if len(text) > MAX_SCHEMA_BYTES:
        raise ValueError(f"it has more than {MAX_SCHEMA_BYTES >> 10} KiB, too much for a tool that code calls")
    _compiled(text)


def complaint(schema: dict[str, Any], arguments: dict[str, Any]) -> str | None:
    """What is wrong with a call's arguments; None when they fit a schema that has been checked."""
    given_bytes = len(json.dumps(arguments))
    if given_bytes > MAX_ARGUMENTS_BYTES:
        return f"the arguments have more than {MAX_ARGUMENTS_BYTES >> 10} KiB"
    size, validator = _compiled(json.dumps(schema))
    if size * given_bytes > _MOST_WORK:
        return f"the arguments have {given_bytes} bytes, too many to be checked against so large a schema"
    if validator.is_valid(arguments):
        return None
    if size * given_bytes > _MOST_WORK_TOLD:
        return "they are too large to be told in detail what does not fit"
    try:
        found: list[str] = []
        for error in validator.iter_errors(arguments):
            if len(found) == _COMPLAINTS:
                found.append("and more")
                break
            found.append(_told(error))
    except (ValidationError, ReferencingError, ValueError) as error:
        found = [f"they cannot be checked: {_cut(str(error))}"]
    return "; ".join(found) or "they do not fit"


def _told(error: ValidationError) -> str:
    place = ".".join(str(part)[:100] for part in error.instance_path)
    return f"{place}: {_cut(error.message)}" if place else _cut(error.message)


def _cut(text: str) -> str:
    line = text.partition("\n")[0]
    return line if len(line) <= _COMPLAINT_CHARACTERS else line[:_COMPLAINT_CHARACTERS] + "…"


def _refuse(uri: str) -> Any:
    raise ValueError(f"references out of the schema are not followed: {uri[:200]}")


@lru_cache(maxsize=256)
def _compiled(text: str) -> tuple[int, jsonschema_rs.Validator]:
    """The number of subschemas of a schema, given as JSON, and its validator. Raises ValueError."""
    schema = json.loads(text)
    size = _Expansion(schema).check()
    try:
        try:
            return size, jsonschema_rs.validator_for(schema, retriever=_refuse, pattern_options=_LINEAR)
        except ValidationError as error:
            if "regex" not in str(error):
                raise
            return size, jsonschema_rs.validator_for(schema, retriever=_refuse, pattern_options=_BOUNDED)
    except (ValidationError, ReferencingError, ValueError, TypeError) as error:
        raise ValueError(f"JSON schema is invalid. {_cut(str(error))}") from error


class _Expansion:
    """Follows the references of a schema, to find those that lead back to themselves or expand without measure."""

    def __init__(self, schema: dict[str, Any]) -> None:
        self._schema = schema
        self._measured: dict[int, tuple[int, int]] = {}
        self._open: set[int] = set()

    def check(self) -> int:
        """The number of subschemas. Raises ValueError."""
        size, height = self._measure(self._schema)
        if size > _MOST_EXPANDED:
            raise ValueError("its references expand to too large a schema")
        if height > _HIGHEST:
            raise ValueError(f"its parts and references lead deeper than {_HIGHEST} levels")
        return size

    def _measure(self, schema: Any) -> tuple[int, int]:
        """How many subschemas there are below this one, references followed, and on how many levels."""
        if not isinstance(schema, dict):
            return 1, 1
        key = id(schema)
        if key in self._measured:
            return self._measured[key]
        if len(self._open) > _HIGHEST:
            return 1, _HIGHEST
        self._refuse_base(schema)
        self._open.add(key)
        parts = list(_parts(schema))
        if (reference := schema.get("$ref")) is not None:
            parts.append(self._target(reference))
            if id(parts[-1]) in self._open:
                raise ValueError(f"Circular $ref detected: {str(reference)[:200]}")
        for dynamic in ("$recursiveRef", "$dynamicRef"):
            if dynamic in schema:
                raise ValueError(f"Circular $ref detected: {dynamic} {str(schema[dynamic])[:200]}")
        below = [self._measure(part) for part in parts]
        self._open.discard(key)
        size, height = sum(part[0] for part in below), max((part[1] for part in below), default=0)
        if not _UNEVALUATED.isdisjoint(schema):
            # What is evaluated is found out anew, on each level below: within one another that doubles every time.
            size *= 2 + height
        found = min(1 + size, _MOST_EXPANDED + 1), 1 + height
        self._measured[key] = found
        return found

    def _refuse_base(self, schema: dict[str, Any]) -> None:
        """References below a name of its own are the validator's to resolve: it would follow others than we have."""
        if schema is self._schema:
            return
        old = "draft-04" in str(self._schema.get("$schema"))
        for name in ("$id", "id") if old else ("$id",):
            if isinstance(schema.get(name), str):
                raise ValueError(f"only the schema itself can have an {name}, not a part of it")

    def _target(self, reference: Any) -> Any:
        # "%" as well: what it stands for is decoded by some validators, and then leads elsewhere.
        if not isinstance(reference, str) or not (reference == "#" or reference.startswith("#/")) or "%" in reference:
            raise ValueError(
                f"$ref {str(reference)[:200]!r} cannot be followed: only references within the schema can, as #/$defs/x"
            )
        found: Any = self._schema
        for part in reference.split("/")[1:]:
            name = part.replace("~1", "/").replace("~0", "~")
            if isinstance(found, list) and name.isdecimal() and int(name) < len(found):
                found = found[int(name)]
            elif isinstance(found, dict) and name in found:
                found = found[name]
            else:
                raise ValueError(f"$ref {reference[:200]!r} leads to nothing")
            if isinstance(found, dict):
                self._refuse_base(found)
        return found


def _parts(schema: dict[str, Any]) -> Iterator[Any]:
    for name, value in schema.items():
        if name in _MAPS and isinstance(value, dict):
            yield from value.values()
        elif name in _LISTS and isinstance(value, list):
            yield from value
        elif name in _SINGLE and isinstance(value, dict):
            yield value
