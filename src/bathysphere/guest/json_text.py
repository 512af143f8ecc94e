"""JSON for the wire, without what the standard module imports.

``json`` brings ``re``, ``enum`` and ``functools`` along, which made up a third of the time until a sandbox could take
its first command. Its fast half is written in C and needs none of them; that half alone is used here, in the Python
that the image has. Any other Python takes the standard module.
"""

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

if sys.version_info[:2] == (3, 11):
    from _json import encode_basestring_ascii, make_encoder, make_scanner

    class _Reading:
        strict = True
        object_hook = None
        object_pairs_hook = None
        parse_float = float
        parse_int = int
        parse_constant = float

    def _no_json(value: object) -> object:
        raise TypeError(f"{type(value).__name__} is nothing that JSON has")

    _scan = make_scanner(_Reading)  # type: ignore[arg-type]
    _encode = make_encoder(None, _no_json, encode_basestring_ascii, None, ":", ",", False, False, True)

    def loads(text: bytes) -> "Any":
        """The value of a JSON text in UTF-8. Raises ValueError and RecursionError."""
        string = text.decode().strip(" \t\n\r")
        try:
            value, end = _scan(string, 0)
        except StopIteration as error:
            raise ValueError(f"no JSON at {error.value}") from None
        if end != len(string):
            raise ValueError(f"more than one JSON value, at {end}")
        return value

    def dumps(value: object) -> bytes:
        """Compact JSON, ASCII only."""
        return "".join(_encode(value, 0)).encode()

else:
    import json

    def loads(text: bytes) -> "Any":
        """The value of a JSON text in UTF-8. Raises ValueError and RecursionError."""
        return json.loads(text.decode())

    def dumps(value: object) -> bytes:
        """Compact JSON, ASCII only."""
        return json.dumps(value, separators=(",", ":")).encode()
