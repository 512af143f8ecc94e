"""What code may pass to a tool: a JSON object within bounds, checked alike by the interpreter and by process 1."""

import math

from .json_text import loads

LONGEST = 1024 * 1024
"""Bytes of the arguments of one call, as JSON."""

DEEPEST = 64
"""Levels of lists and objects in one another."""

LARGEST_INTEGER = 1024
"""Bits."""


class Unfit(Exception):
    """The arguments cannot be passed on; the message says why."""


def check(text: bytes) -> None:
    """Raises Unfit for what is no JSON object or breaks a bound."""
    if len(text) > LONGEST:
        raise Unfit(f"the arguments are {len(text)} bytes of JSON, more than the {LONGEST} allowed")
    try:
        value = loads(text)
    except (ValueError, RecursionError):
        raise Unfit("the arguments are no JSON, or nested too deeply") from None
    if not isinstance(value, dict):
        raise Unfit("the arguments are no dict")
    _check(value, DEEPEST)


def _check(value: object, levels: int) -> None:
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            raise Unfit("a text in the arguments holds half of a surrogate pair, which is no character") from None
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise Unfit("the arguments hold a number that JSON does not have (nan or infinity)")
    elif isinstance(value, int):
        if value.bit_length() > LARGEST_INTEGER:
            raise Unfit(f"the arguments hold an integer of more than {LARGEST_INTEGER} bits")
    elif isinstance(value, list | dict):
        if not levels:
            raise Unfit(f"the arguments are nested more than {DEEPEST} levels deep")
        if isinstance(value, dict):
            for key in value:
                _check(key, levels)
            value = list(value.values())
        for item in value:
            _check(item, levels - 1)
