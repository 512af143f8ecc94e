"""Identifiers as the protocol shapes them: a prefix that names the kind, then 24 characters (WIRE l).

That of a request is also the id of its trace.
"""

from __future__ import annotations

import re
import secrets
from typing import Final

# Base58: no 0, O, I and l, so that an id can be read aloud.
_ALPHABET: Final = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_LENGTH: Final = 22
_COUNT: Final = len(_ALPHABET) ** _LENGTH

ID_PATTERN: Final = re.compile(r"[a-z]+_[A-Za-z0-9_-]{1,120}")
REQUEST_ID_PATTERN: Final = re.compile(r"req_[0-9a-f]{32}")


def new_request_id() -> str:
    """A fresh, unguessable id of a request: ``req_`` and the 32 digits of its trace (W3C Trace Context, trace-id)."""
    return f"req_{secrets.token_hex(16)}"


def new_id(kind: str) -> str:
    """A fresh, unguessable id (128 bits): ``new_id("file")`` gives ``file_01...``.

    Kinds in use: ``msg``, ``srvtoolu``, ``toolu``, ``container``, ``file``, ``org``, ``wrkspc``, ``apikey``,
    ``adminkey``.
    """
    number = secrets.randbelow(_COUNT)
    characters = []
    for _ in range(_LENGTH):
        number, digit = divmod(number, len(_ALPHABET))
        characters.append(_ALPHABET[digit])
    return f"{kind}_01" + "".join(characters)
