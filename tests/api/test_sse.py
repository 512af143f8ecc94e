"""Streams as bytes (WIRE d): records, pings, failures before and after the first event, clients that go away."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Callable
from typing import Any

import pytest

from bathysphere.api.sse import EventStream, record
from bathysphere.wire.blocks import TextBlock
from bathysphere.wire.errors import Overloaded
from bathysphere.wire.events import ContentBlockDelta, ContentBlockStart, Delta, MessageStop, StreamEvent

START = ContentBlockStart(index=0, content_block=TextBlock(text=""))


class Script:
    """A turn's events; a callable among them is awaited (to wait, or to fail)."""

    def __init__(self, *steps: StreamEvent | Callable[[], Any]) -> None:
        self.steps = steps
        self.ended = asyncio.Event()

    async def events(self) -> AsyncGenerator[StreamEvent, None]:
        try:
            for step in self.steps:
                if callable(step):
                    await step()
                else:
                    yield step
        finally:
            self.ended.set()


def read(raw: bytes) -> list[tuple[str, dict[str, Any]]]:
    """The events of a stream; every record has exactly an event and a data line."""
    records = raw.decode().split("\n\n")
    assert records.pop() == ""
    parsed = []
    for one in records:
        event, data = one.split("\n")
        assert event.startswith("event: ")
        assert data.startswith("data: ")
        parsed.append((event.removeprefix("event: "), json.loads(data.removeprefix("data: "))))
    return parsed


async def stream(script: Script, ping_seconds: float = 60) -> list[tuple[str, dict[str, Any]]]:
    events = EventStream(script.events(), "req_1", ping_seconds)
    await events.begin()
    return read(b"".join([part async for part in events.body()]))


async def fails() -> None:
    raise Overloaded("the model has too much to do")


async def breaks() -> None:
    raise RuntimeError("the launch code is 0000")


async def test_each_event_is_a_record_with_its_name_twice() -> None:
    delta = ContentBlockDelta(index=0, delta=Delta.text("line\nbreak \u2028 ü"))
    assert await stream(Script(START, delta, MessageStop())) == [
        (
            "content_block_start",
            {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        ),
        (
            "content_block_delta",
            {
                "type": "content_block_delta",
                "index": 0,
                "delta": {"type": "text_delta", "text": "line\nbreak \u2028 ü"},
            },
        ),
        ("message_stop", {"type": "message_stop"}),
    ]


def test_no_text_can_end_a_record_early() -> None:
    """Neither of the protocol's kind nor of those that a client's own line reader may know."""
    written = record("x", {"text": "a\n\nevent: error\r\n\x0b\x0c\x1c\x85\u2028\u2029"})
    assert len(written.decode().splitlines()) == 3
    assert json.loads(written.decode().splitlines()[1].removeprefix("data: "))["text"].endswith("\x85\u2028\u2029")


async def test_silence_is_filled_with_pings() -> None:
    pinged = asyncio.Event()
    events = EventStream(Script(START, pinged.wait, MessageStop()).events(), "req_1", 0.01)
    await events.begin()
    names = []
    async for part in events.body():
        names.append(read(part)[0][0])
        if names[-1] == "ping":
            pinged.set()
    assert names[0] == "content_block_start"
    assert names[1] == "ping"
    assert names[-1] == "message_stop"


async def test_a_failure_before_the_first_event_can_still_be_an_http_status() -> None:
    script = Script(fails, START)
    with pytest.raises(Overloaded):
        await EventStream(script.events(), "req_1", 60).begin()
    assert script.ended.is_set()


async def test_a_failure_in_mid_stream_is_an_error_event_and_the_last() -> None:
    events = await stream(Script(START, fails, MessageStop()))
    assert events[1:] == [
        (
            "error",
            {
                "type": "error",
                "error": {"type": "overloaded_error", "message": "the model has too much to do"},
                "request_id": "req_1",
            },
        )
    ]


async def test_an_unforeseen_failure_tells_nothing_of_the_inside() -> None:
    name, data = (await stream(Script(START, breaks)))[-1]
    assert name == "error"
    assert data["error"] == {"type": "api_error", "message": "Internal server error"}


async def test_a_client_that_goes_away_ends_the_turn() -> None:
    never = asyncio.Event()
    script = Script(START, never.wait)
    events = EventStream(script.events(), "req_1", 60)
    await events.begin()
    body = events.body()
    await anext(body)
    await body.aclose()
    assert script.ended.is_set()


async def test_a_client_that_reads_slowly_slows_the_turn_and_not_the_memory() -> None:
    sent = 0

    async def count() -> None:
        nonlocal sent
        sent += 1

    steps: list[Any] = []
    for _ in range(5000):
        steps += [ContentBlockDelta(index=0, delta=Delta.text("x")), count]
    events = EventStream(Script(*steps).events(), "req_1", 60)
    await events.begin()
    for _ in range(100):
        await asyncio.sleep(0)
    assert sent < 1000
    assert b"".join([part async for part in events.body()]).count(b"event: ") == 5000
