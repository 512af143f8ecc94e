"""``multipart/form-data`` as it comes in, piece by piece: nothing but the headers of one part is ever kept.

Starlette's own form parser takes a part without a filename for text and holds it in memory; SDKs send files that way
(WIRE e).
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterable, AsyncIterator
from dataclasses import dataclass
from email.errors import MessageError
from email.message import Message
from email.utils import collapse_rfc2231_value
from typing import Final

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser

# It warns of every malformed byte, and so lets clients fill the log. What matters is in the exception.
logging.getLogger("python_multipart").setLevel(logging.ERROR)

_HEADER_BYTES: Final = 8 * 1024
_HEADER_COUNT: Final = 16
PARTS: Final = 64
"""How many a body may have, where nothing else is said."""
# RFC 2046 5.1.1
_BOUNDARY_CHARACTERS: Final = 70
_PLAIN_ENCODINGS: Final = frozenset({"", "7bit", "8bit", "binary"})


class MalformedMultipart(Exception):
    """The body is not what its content type says; the message says where it goes wrong."""


@dataclass(frozen=True, slots=True)
class PartBegin:
    """A part begins. ``filename`` is None when the client gave none; it is as hostile as everything else here."""

    name: str
    filename: str | None
    content_type: str | None


@dataclass(frozen=True, slots=True)
class PartData:
    """Bytes of the part that began last."""

    data: bytes


@dataclass(frozen=True, slots=True)
class PartEnd:
    """The part is complete."""


Event = PartBegin | PartData | PartEnd


async def events(content_type: str | None, body: AsyncIterable[bytes], parts: int = PARTS) -> AsyncIterator[Event]:
    """The parts of a body, of which there may be ``parts``. Ends only when the body was complete.

    Raises MalformedMultipart, and whatever reading the body raises.
    """
    parser = _Parser(boundary(content_type), parts)
    async for chunk in body:
        for event in parser.feed(chunk):
            yield event
    parser.finish()


def boundary(content_type: str | None) -> bytes:
    """The boundary that a Content-Type header names. Raises MalformedMultipart."""
    header = Message()
    header["content-type"] = content_type or ""
    if header.get_content_type() != "multipart/form-data":
        raise MalformedMultipart("the Content-Type must be multipart/form-data")
    try:
        found = (header.get_boundary() or "").encode("ascii")
    except (UnicodeEncodeError, MessageError, ValueError) as error:
        raise MalformedMultipart("the Content-Type's boundary cannot be read") from error
    if not 1 <= len(found) <= _BOUNDARY_CHARACTERS or not found.isascii() or any(byte < 0x20 for byte in found):
        raise MalformedMultipart(f"the Content-Type must name a boundary of 1 to {_BOUNDARY_CHARACTERS} characters")
    return found


class _Parser:
    """Collects what the parser calls back with, for one chunk at a time."""

    def __init__(self, boundary: bytes, parts: int) -> None:
        self._most_parts = parts
        self._events: list[Event] = []
        self._headers: dict[str, bytes] = {}
        self._name = b""
        self._value = b""
        self._parts = 0
        self._complete = False
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._part_begin,
                "on_header_field": self._header_field,
                "on_header_value": self._header_value,
                "on_header_end": self._header_end,
                "on_headers_finished": self._headers_finished,
                "on_part_data": self._part_data,
                "on_part_end": self._part_end,
                "on_end": self._end,
            },
            max_header_count=_HEADER_COUNT,
            max_header_size=_HEADER_BYTES,
        )

    def feed(self, chunk: bytes) -> list[Event]:
        try:
            self._parser.write(chunk)
        except FormParserError as error:
            raise MalformedMultipart(str(error)) from error
        found, self._events = self._events, []
        return found

    def finish(self) -> None:
        if not self._complete:
            raise MalformedMultipart("the body ends before its closing boundary")

    def _part_begin(self) -> None:
        self._parts += 1
        if self._parts > self._most_parts:
            raise MalformedMultipart(f"more than {self._most_parts} parts")
        self._headers = {}

    def _header_field(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _header_end(self) -> None:
        name = self._name.decode("ascii").lower()
        if name in self._headers:
            raise MalformedMultipart(f"a part has two {name} headers")
        self._headers[name] = self._value
        self._name = self._value = b""

    def _headers_finished(self) -> None:
        name, filename = _disposition(self._headers.get("content-disposition"))
        encoding = _text(self._headers.get("content-transfer-encoding", b"")).strip().lower()
        if encoding not in _PLAIN_ENCODINGS:
            raise MalformedMultipart("Content-Transfer-Encoding is not supported: send the bytes as they are")
        content_type = self._headers.get("content-type")
        self._events.append(PartBegin(name, filename, None if content_type is None else _text(content_type)))

    def _part_data(self, data: bytes, start: int, end: int) -> None:
        self._events.append(PartData(data[start:end]))

    def _part_end(self) -> None:
        self._events.append(PartEnd())

    def _end(self) -> None:
        self._complete = True


def _disposition(value: bytes | None) -> tuple[str, str | None]:
    """The name and the filename of a part: plain, quoted, or in the extended forms of RFC 2231, which win."""
    if value is None:
        raise MalformedMultipart("a part has no Content-Disposition header")
    header = Message()
    # Folded lines and other white space of RFC 822 would become part of the names.
    header["content-disposition"] = " ".join(_text(value).split("\n"))
    try:
        kind = header.get_content_disposition()
        parameters = header.get_params(failobj=[], header="content-disposition")
        found: dict[str, str] = {}
        for name, given in parameters:
            if isinstance(given, tuple):
                found[name.lower()] = collapse_rfc2231_value(given)
            else:
                found.setdefault(name.lower(), given)
    except (MessageError, ValueError, TypeError, LookupError) as error:
        raise MalformedMultipart("a part's Content-Disposition header cannot be read") from error
    if kind != "form-data" or "name" not in found:
        raise MalformedMultipart("a part's Content-Disposition must be form-data with a name")
    return found["name"], found.get("filename")


def _text(value: bytes) -> str:
    """Header bytes as text. Every browser and SDK sends UTF-8; what is not cannot be told apart and is Latin-1."""
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return value.decode("latin-1")
