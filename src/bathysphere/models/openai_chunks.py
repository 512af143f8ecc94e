"""The stream of OpenAI's chat completions, put into our events.

Servers differ: calls may be interleaved, whole in one chunk, without ids or indexes; usage may be missing. Our
blocks stand strictly one after another, so the first call streams on at once and later ones wait for its end.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any, Final

from bathysphere.models.composing import Composer
from bathysphere.wire.events import StreamEvent
from bathysphere.wire.ids import new_id
from bathysphere.wire.message import StopReason, Usage

_USABLE_ID: Final = re.compile(r"[a-zA-Z0-9_-]{1,200}")
_BUFFER_LIMIT: Final = 32 * 1024 * 1024
"""Characters of calls that wait for their turn; an upstream that sends more is out of its mind."""
_REASONS: Final[dict[str, StopReason]] = {"length": "max_tokens", "content_filter": "refusal"}


@dataclass(slots=True)
class _CallInTheMaking:
    """One tool call; ``waiting`` is what of its arguments has not become an event yet."""

    id: str
    name: str = ""
    waiting: str = ""
    told: bool = False
    indexes: set[int] = field(default_factory=set)


class ChunkTranslation:
    """Turns the chunks of one answer into events; ``finish`` gives the last ones."""

    def __init__(self, model: str, *, with_thinking: bool, stop_sequences: list[str]) -> None:
        self._model = model
        self._with_thinking = with_thinking
        self._stop_sequences = stop_sequences
        self._composer = Composer()
        self._calls: list[_CallInTheMaking] = []
        self._later_text = ""
        self._buffered = 0
        self._usage = Usage()
        self._reason: str | None = None
        self._stop_sequence: str | None = None
        self._refused = False
        self._started = False

    @property
    def ended(self) -> bool:
        """Whether the upstream has said why it stopped."""
        return self._reason is not None

    def chunk(self, data: dict[str, Any]) -> list[StreamEvent]:
        """The events of one chunk. Raises TypeError, AttributeError or ValueError when it is none."""
        events: list[StreamEvent] = []
        if not self._started:
            self._started = True
            events.append(self._composer.start(self._model, Usage()))
        if data.get("usage"):
            self._count(data["usage"])
        for choice in (data.get("choices") or [])[:1]:
            delta = choice.get("delta") or choice.get("message") or {}
            if self._with_thinking and not self._calls:
                events += self._composer.thinking(_text(delta.get("reasoning_content") or delta.get("reasoning")))
            if refusal := _text(delta.get("refusal")):
                self._refused = True
                events += self._text(refusal)
            events += self._text(_text(delta.get("content")))
            for entry in delta.get("tool_calls") or []:
                events += self._call_piece(entry)
            if choice.get("finish_reason"):
                self._reason = str(choice["finish_reason"])
                # vLLM tells which stop sequence it met; others don't.
                met = choice.get("stop_reason")
                self._stop_sequence = met if met in self._stop_sequences else None
        return events

    def _text(self, piece: str) -> list[StreamEvent]:
        if not self._calls:
            return self._composer.text(piece)
        self._later_text += piece
        return []

    def _call_for(self, entry: dict[str, Any], name: str) -> _CallInTheMaking:
        """Which call a piece belongs to: by index, else by id, else the last; a new one where none fits."""
        index, given_id = entry.get("index"), entry.get("id")
        if index is not None:
            known = next((call for call in self._calls if index in call.indexes), None)
            # Servers that send whole calls may number them all 0: another id with a name is another call.
            if known and not (given_id and name and known.name and given_id != known.id):
                return known
        else:
            known = next((call for call in self._calls if given_id and call.id == given_id), None)
            if known is None and self._calls and not name and not given_id:
                known = self._calls[-1]
            if known:
                return known
        taken = {call.id for call in self._calls}
        usable = isinstance(given_id, str) and _USABLE_ID.fullmatch(given_id) and given_id not in taken
        call = _CallInTheMaking(id=str(given_id) if usable else new_id("toolu"))
        if index is not None:
            for other in self._calls:
                other.indexes.discard(index)
            call.indexes.add(index)
        self._calls.append(call)
        return call

    def _call_piece(self, entry: dict[str, Any]) -> list[StreamEvent]:
        function = entry.get("function") or {}
        name = function.get("name") or ""
        call = self._call_for(entry, name)
        call.name = call.name or name
        arguments = function.get("arguments")
        if arguments is not None:
            piece = arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)
            self._buffered += len(piece)
            call.waiting += piece
        if call is self._calls[0]:
            return self._tell(call)
        if self._buffered > _BUFFER_LIMIT:
            raise ValueError("tool calls of more than 32 MiB")
        return []

    def _tell(self, call: _CallInTheMaking) -> list[StreamEvent]:
        """What can be told of a call now: nothing before its name is known."""
        if not call.name:
            return []
        events = [] if call.told else self._composer.call(call.name, call.id)
        call.told = True
        events += self._composer.input_json(call.waiting)
        call.waiting = ""
        return events

    def _count(self, usage: dict[str, Any]) -> None:
        prompt = int(usage.get("prompt_tokens") or 0)
        cached = min(prompt, int((usage.get("prompt_tokens_details") or {}).get("cached_tokens") or 0))
        self._usage = Usage(
            input_tokens=prompt - cached,
            cache_read_input_tokens=cached,
            output_tokens=int(usage.get("completion_tokens") or 0),
        )

    def finish(self) -> list[StreamEvent]:
        """The calls that waited, text that came between them, and the end."""
        events: list[StreamEvent] = []
        for call in self._calls[1:]:
            if call.name and not call.waiting:
                call.waiting = "{}"
            events += self._tell(call)
        if self._later_text.strip():
            events += self._composer.text(self._later_text)
        reason: StopReason = "end_turn"
        if self._refused:
            reason = "refusal"
        elif self._reason in _REASONS:
            reason = _REASONS[self._reason]
        elif self._composer.calls:
            reason = "tool_use"
        elif self._stop_sequence is not None:
            reason = "stop_sequence"
        return [*events, *self._composer.finish(reason, self._usage, self._stop_sequence)]


def _text(value: Any) -> str:
    """Text of a delta: a string, or a list of parts as some servers send it."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return "".join(part.get("text") or "" for part in value if isinstance(part, dict))
    return ""
