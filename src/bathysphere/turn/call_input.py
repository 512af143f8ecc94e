"""The input of a call, while a model writes it: what is passed on is always the beginning of a JSON object.

SDKs parse a call's input as it streams, and raise when it is no JSON (WIRE d). Models write raw line breaks into
strings, forget quotes, or are cut off. So each piece is checked as it comes: what is right is passed on at once, what
only needs escaping is escaped, the rest is withheld, and at the end the object is closed.
"""

from __future__ import annotations

import json
import math
import re
from enum import Enum, auto
from typing import Any, Final

MAX_DEPTH: Final = 64
"""Objects and arrays within each other; what goes deeper is withheld."""

_PLAIN: Final = re.compile('[^"\\\\\x00-\x1f\ud800-\udfff]+')
_SPACE: Final = " \t\n\r"
_SIMPLE_ESCAPES: Final = '"\\/bfnrt'
_HEX: Final = frozenset("0123456789abcdefABCDEF")
_TOKEN: Final = frozenset("+-.0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_")
_LONGEST_TOKEN: Final = 400
_REPLACEMENT: Final = "\\ufffd"


class _At(Enum):
    """What may stand next."""

    START = auto()
    FIRST_KEY = auto()
    KEY = auto()
    COLON = auto()
    VALUE = auto()
    FIRST_ITEM = auto()
    ITEM = auto()
    AFTER = auto()
    KEY_STRING = auto()
    STRING = auto()
    TOKEN = auto()
    END = auto()


_STRINGS: Final = (_At.KEY_STRING, _At.STRING)
_BEFORE_VALUE: Final = (_At.VALUE, _At.FIRST_ITEM, _At.ITEM)


class CallInput:
    """The input of one call. Feed it the pieces as they come, then ``close`` it."""

    def __init__(self) -> None:
        self._at = _At.START
        self._stack: list[str] = []
        self._held = ""  # an escape or a literal: not passed on before it is known to be right
        self._comma = False  # one that is passed on with what follows it
        self._high = ""  # an escaped high surrogate that waits for its other half
        self._broken = False
        self._passed: list[str] = []

    def feed(self, piece: str) -> str:
        """The part of what has come that can be passed on; it may be empty."""
        if self._broken:
            return ""
        out: list[str] = []
        place = 0
        while place < len(piece):
            # Most of what models write is plain text within a string; it is taken in one step.
            plain = _PLAIN.match(piece, place) if self._at in _STRINGS and not self._held else None
            if plain:
                self._flush_high(out)
                out.append(plain[0])
                place = plain.end()
                continue
            if not self._take(piece[place], out):
                self._broken = True
                break
            place += 1
        return self._pass(out)

    def close(self) -> str:
        """What makes the passed text a whole JSON object; empty when the model did that, or wrote nothing."""
        if self._at in (_At.START, _At.END):
            return ""
        self._broken = True
        out: list[str] = []
        if self._at in _STRINGS:
            self._flush_high(out)
            out.append('"')
        if self._at in (_At.KEY_STRING, _At.COLON):
            out.append(":null")
        elif self._at is _At.VALUE or (self._at is _At.TOKEN and self._stack[-1] == "{"):
            out.append("null")
        out.extend("}" if bracket == "{" else "]" for bracket in reversed(self._stack))
        return self._pass(out)

    @property
    def value(self) -> dict[str, Any] | None:
        """The input; None when the model did not write a whole JSON object. An input without any text is empty."""
        if self._broken:
            return None
        if self._at is _At.START:
            return {}
        return self.passed_value if self._at is _At.END else None

    @property
    def passed_value(self) -> dict[str, Any]:
        """What a client makes of the text that was passed on; after ``close``."""
        text = "".join(self._passed)
        value: dict[str, Any] = json.loads(text) if text.strip() else {}
        return value

    def _pass(self, out: list[str]) -> str:
        text = "".join(out)
        self._passed.append(text)
        return text

    def _take(self, character: str, out: list[str]) -> bool:
        """One character. False when it can't stand here."""
        if self._at in _STRINGS:
            return self._take_in_string(character, out)
        if self._at is _At.TOKEN:
            if character in _TOKEN:
                self._held += character
                return len(self._held) <= _LONGEST_TOKEN
            if not _is_literal(self._held):
                return False
            self._flush(out)
            out.append(self._held)
            self._held = ""
            self._at = _At.AFTER
        if character in _SPACE:
            if self._at not in (_At.START, _At.END):
                out.append(" " if character in "\n\r" else character)
            return True
        return self._take_structure(character, out)

    def _take_structure(self, character: str, out: list[str]) -> bool:  # noqa: PLR0911 - one rule a line
        at = self._at
        if at is _At.START:
            return character == "{" and self._open(character, out)
        if character == '"' and at in (_At.FIRST_KEY, _At.KEY):
            return self._begin(_At.KEY_STRING, character, out)
        if character == ":" and at is _At.COLON:
            out.append(character)
            self._at = _At.VALUE
            return True
        if at in _BEFORE_VALUE and character != "]":
            if character in "{[":
                return self._open(character, out)
            if character == '"':
                return self._begin(_At.STRING, character, out)
            if character in _TOKEN:
                self._held = character
                self._at = _At.TOKEN
                return True
            return False
        if character == "," and at is _At.AFTER:
            self._comma = True
            self._at = _At.KEY if self._stack[-1] == "{" else _At.ITEM
            return True
        closes = {"}": ("{", _At.FIRST_KEY), "]": ("[", _At.FIRST_ITEM)}.get(character)
        if closes is None or not self._stack or self._stack[-1] != closes[0] or at not in (closes[1], _At.AFTER):
            return False
        out.append(character)
        self._stack.pop()
        self._at = _At.AFTER if self._stack else _At.END
        return True

    def _open(self, bracket: str, out: list[str]) -> bool:
        if len(self._stack) == MAX_DEPTH:
            return False
        self._flush(out)
        out.append(bracket)
        self._stack.append(bracket)
        self._at = _At.FIRST_KEY if bracket == "{" else _At.FIRST_ITEM
        return True

    def _begin(self, kind: _At, quote: str, out: list[str]) -> bool:
        self._flush(out)
        out.append(quote)
        self._at = kind
        return True

    def _flush(self, out: list[str]) -> None:
        """Pass on a comma that has turned out to be followed by something."""
        if self._comma:
            out.append(",")
            self._comma = False

    def _take_in_string(self, character: str, out: list[str]) -> bool:
        if self._held:
            return self._take_escape(character, out)
        if character == "\\":
            self._held = character
            return True
        self._flush_high(out)
        if character == '"':
            out.append(character)
            self._at = _At.COLON if self._at is _At.KEY_STRING else _At.AFTER
        elif character < " ":
            out.append(json.dumps(character)[1:-1])
        elif "\ud800" <= character <= "\udfff":
            out.append(_REPLACEMENT)
        else:
            out.append(character)
        return True

    def _take_escape(self, character: str, out: list[str]) -> bool:
        self._held += character
        if len(self._held) == 2:
            if character == "u":
                return True
            if character not in _SIMPLE_ESCAPES:
                return False
            self._flush_high(out)
            out.append(self._held)
            self._held = ""
            return True
        if character not in _HEX:
            return False
        if len(self._held) == 6:
            self._take_unicode(self._held, out)
            self._held = ""
        return True

    def _take_unicode(self, escape: str, out: list[str]) -> None:
        """A half of a surrogate pair alone is no character, and parsers refuse it."""
        code = int(escape[2:], 16)
        if 0xDC00 <= code <= 0xDFFF and self._high:
            out.append(self._high + escape)
            self._high = ""
            return
        self._flush_high(out)
        if 0xD800 <= code <= 0xDBFF:
            self._high = escape
        else:
            out.append(_REPLACEMENT if 0xDC00 <= code <= 0xDFFF else escape)

    def _flush_high(self, out: list[str]) -> None:
        if self._high:
            out.append(_REPLACEMENT)
            self._high = ""


def _is_literal(token: str) -> bool:
    """Whether this is ``true``, ``false``, ``null`` or a number that JSON knows."""
    if token in ("true", "false", "null"):
        return True
    if token[0] not in "-0123456789":
        return False
    try:
        # One like 1e999 is none that an answer could carry.
        return math.isfinite(json.loads(token))
    except (ValueError, OverflowError):
        return False
