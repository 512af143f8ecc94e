"""What SUMIFS, COUNTIF and exact lookups compare with: ``">=5"``, ``"<>done"``, ``"North*"``."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache

from .values import ERRORS, Error, Failed, Scalar, Unsupported, compare, kind, number

_OPERATORS = ("<=", ">=", "<>", "=", "<", ">")


@lru_cache(maxsize=1024)
def wildcards(pattern: str) -> re.Pattern[str] | None:
    """The pattern of a text with ``*``, ``?`` or ``~``; None for a plain text."""
    if not re.search(r"[*?~]", pattern):
        return None
    if pattern.count("*") > 8:
        raise Unsupported("a pattern with more than eight asterisks")
    parts = re.findall(r"~[*?~]|\*|\?|[^*?~]+|~", pattern)
    translated = (
        ".*" if part == "*" else "." if part == "?" else re.escape(part[1:] if part[:1] == "~" and part[1:] else part)
        for part in parts
    )
    return re.compile("".join(translated), re.IGNORECASE | re.DOTALL)


def same(value: Scalar, wanted: Scalar) -> bool:
    """Whether an exact lookup finds ``wanted`` in ``value``."""
    if isinstance(value, Error) or value is None or kind(value) != kind(wanted if wanted is not None else 0):
        return False
    if isinstance(value, str) and isinstance(wanted, str) and (pattern := wildcards(wanted)):
        return pattern.fullmatch(value) is not None
    return compare(value, wanted) == 0


def criterion(wanted: Scalar) -> Callable[[Scalar], bool]:
    """The test that a criterion stands for."""
    if isinstance(wanted, Error):
        return lambda value: value == wanted
    operator, operand = "=", wanted
    if wanted is None:
        operand = 0
    elif isinstance(wanted, str):
        operator = next((sign for sign in _OPERATORS if wanted.startswith(sign)), "")
        rest = wanted[len(operator) :]
        if rest == "":
            if operator == "":
                return lambda value: value is None or value == ""
            if operator == "=":
                return lambda value: value is None
            if operator == "<>":
                return lambda value: value is not None
            return lambda value: False
        operand, operator = _operand(rest), operator or "="
    if operator in ("=", "<>"):
        equal = _equal(operand)
        return equal if operator == "=" else lambda value: not equal(value)
    signs = {"<": (-1,), "<=": (-1, 0), ">": (1,), ">=": (1, 0)}[operator]

    def ordered(value: Scalar) -> bool:
        if value is None or isinstance(value, Error) or kind(value) != kind(operand):
            return False
        return compare(value, operand) in signs

    return ordered


def _operand(text: str) -> Scalar:
    if text.upper() in ("TRUE", "FALSE"):
        return text.upper() == "TRUE"
    if text in ERRORS:
        return ERRORS[text]
    try:
        return number(text)
    except Failed:
        return text
    except Unsupported:
        # "3 May" or "1,000": a reader may take it as a number, "Q1" nobody does.
        if re.match(r"\s*[-+$€£]?\d", text):
            raise
        return text


def _equal(operand: Scalar) -> Callable[[Scalar], bool]:
    if isinstance(operand, Error):
        return lambda value: value == operand
    if isinstance(operand, str):
        if pattern := wildcards(operand):
            return lambda value: isinstance(value, str) and pattern.fullmatch(value) is not None
        folded = operand.casefold()
        return lambda value: isinstance(value, str) and value.casefold() == folded
    if isinstance(operand, bool):
        return lambda value: isinstance(value, bool) and value == operand

    def numeric(value: Scalar) -> bool:
        if isinstance(value, str):
            # A number that is stored as text counts as that number here.
            try:
                value = number(value)
            except (Failed, Unsupported):
                return False
        return isinstance(value, int | float) and not isinstance(value, bool) and compare(value, operand) == 0

    return numeric
