"""A stream of server-sent events beside the specification: each event, and their order (WIRE d, k.2)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

from tests.specification.answers import ERROR, EVENT, complaints

_JSON_BLOCKS: Final = frozenset(("tool_use", "server_tool_use"))


class StreamCheck:
    """Takes the bytes of one stream, and says what is wrong with it."""

    def __init__(self, prefix: str) -> None:
        """``prefix`` is that of the endpoint's schemas: ``Beta`` or nothing."""
        self._prefix = prefix
        self._bytes = b""
        self._blocks = 0
        self._open: dict[str, Any] | None = None
        self._json = ""
        self._before = ""

    def feed(self, data: bytes) -> Iterator[str]:
        """What is wrong with the events that end in these bytes."""
        *records, self._bytes = (self._bytes + data).split(b"\n\n")
        for record in records:
            yield from self._record(record.decode())

    def end(self) -> Iterator[str]:
        """What is wrong with where it ended."""
        if self._bytes or self._before not in ("message_stop", "error"):
            yield f"the stream ends after {self._before or 'nothing'}"

    def _record(self, record: str) -> Iterator[str]:
        fields = dict(line.split(": ", 1) for line in record.split("\n"))
        if set(fields) != {"event", "data"}:
            yield f"a record with the fields {sorted(fields)}"
            return
        event = json.loads(fields["data"])
        kind = event.get("type")
        if kind != fields["event"]:
            yield f"event: {fields['event']} with data of type {kind}"
        if kind == "ping":
            if event != {"type": "ping"}:
                yield f"ping: {event}"
        elif kind == "error":
            yield from (f"error: {complaint}" for complaint in complaints(ERROR, event))
        else:
            yield from (f"{kind}: {complaint}" for complaint in complaints(self._prefix + EVENT, event))
            yield from (f"{kind}: {complaint}" for complaint in self._order(kind, event))
        if kind != "ping":
            self._before = kind

    def _order(self, kind: str, event: dict[str, Any]) -> Iterator[str]:
        if (kind == "message_start") != (self._before == "") or self._before in ("message_stop", "error"):
            yield f"stands after {self._before or 'nothing'}"
        if kind == "content_block_start":
            if self._open is not None or event["index"] != self._blocks:
                yield f"begins block {event['index']} where block {self._blocks} is due, or still open"
            self._open, self._json = event["content_block"], ""
        elif kind in ("content_block_delta", "content_block_stop"):
            if self._open is None or event["index"] != self._blocks:
                yield f"speaks of block {event['index']}, and block {self._blocks} is due"
            elif kind == "content_block_delta":
                self._json += event["delta"].get("partial_json", "")
            else:
                if self._open["type"] in _JSON_BLOCKS and self._json:
                    yield from self._input()
                self._open = None
                self._blocks += 1
        elif self._open is not None:
            yield f"stands inside of block {self._blocks}"

    def _input(self) -> Iterator[str]:
        try:
            if not isinstance(json.loads(self._json), dict):
                yield "the input is no object"
        except ValueError as error:
            yield f"the input is no JSON: {error}"
