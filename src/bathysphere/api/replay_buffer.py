"""The events of a turn so far, in few pieces: what a client that comes later is told first."""

from __future__ import annotations

from typing import Final

from bathysphere.wire.events import ContentBlockDelta, Delta, Ping, StreamEvent

_TEXTS: Final = {"text_delta": "text", "input_json_delta": "partial_json", "thinking_delta": "thinking"}
"""The member of each kind of delta whose pieces can be written as one."""

_EVENT_BYTES: Final = 200
"""What an event takes beside its text, roughly."""


class ReplayBuffer:
    """Events, with the pieces of one block's text joined and without pings. Their meaning is the same."""

    def __init__(self) -> None:
        self._events: list[StreamEvent] = []
        self._open: tuple[int, str] | None = None
        self._pieces: list[str] = []
        self.size_bytes = 0
        """Roughly what they take."""

    def add(self, event: StreamEvent) -> None:
        """The next event."""
        if isinstance(event, Ping):
            return
        if isinstance(event, ContentBlockDelta) and event.delta.type in _TEXTS:
            place = event.index, event.delta.type
            piece = event.delta.get(_TEXTS[event.delta.type])
            if self._open != place:
                self._join()
                self._open = place
                self.size_bytes += _EVENT_BYTES
            self._pieces.append(piece)
            self.size_bytes += len(piece)
            return
        self._join()
        self._events.append(event)
        self.size_bytes += _EVENT_BYTES + len(event.model_dump_json())

    def events(self) -> list[StreamEvent]:
        """All of them, in order; the list is the caller's."""
        self._join()
        return list(self._events)

    def clear(self) -> None:
        """Forget everything."""
        self._events, self._open, self._pieces, self.size_bytes = [], None, [], 0

    def _join(self) -> None:
        if self._open is None:
            return
        index, kind = self._open
        delta = Delta.model_validate({"type": kind, _TEXTS[kind]: "".join(self._pieces)})
        self._events.append(ContentBlockDelta(index=index, delta=delta))
        self._open, self._pieces = None, []
