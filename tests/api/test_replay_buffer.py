"""What a client that comes later is told first means the same as what was told one by one."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from bathysphere.api.replay_buffer import ReplayBuffer
from bathysphere.turn.fold import OpenBlock
from bathysphere.wire.blocks import ResponseBlock, TextBlock, ThinkingBlock
from bathysphere.wire.events import (
    ContentBlockDelta,
    ContentBlockStart,
    ContentBlockStop,
    Delta,
    Ping,
    StreamEvent,
)


def text(index: int, piece: str) -> ContentBlockDelta:
    return ContentBlockDelta(index=index, delta=Delta.text(piece))


def blocks(events: Sequence[StreamEvent]) -> list[ResponseBlock]:
    written: list[ResponseBlock] = []
    opened: OpenBlock | None = None
    for event in events:
        match event:
            case ContentBlockStart():
                opened = OpenBlock(event.content_block)
            case ContentBlockDelta():
                assert opened is not None
                opened.take(event.delta)
            case ContentBlockStop():
                assert opened is not None
                written.append(opened.finish())
    return written


def test_pieces_of_one_text_become_one_and_pings_are_left_out() -> None:
    buffer = ReplayBuffer()
    start, stop = ContentBlockStart(index=0, content_block=TextBlock(text="")), ContentBlockStop(index=0)
    for event in (start, text(0, "He"), Ping(), text(0, "llo"), stop):
        buffer.add(event)
    assert buffer.events() == [start, text(0, "Hello"), stop]


def test_what_was_given_out_in_the_middle_stays_as_it_was() -> None:
    buffer = ReplayBuffer()
    buffer.add(text(0, "He"))
    before = buffer.events()
    buffer.add(text(0, "llo"))
    assert before == [text(0, "He")]
    assert buffer.events() == [text(0, "He"), text(0, "llo")]


def test_the_size_grows_with_the_text_and_not_with_the_number_of_pieces() -> None:
    buffer = ReplayBuffer()
    buffer.add(text(0, "x"))
    one = buffer.size_bytes
    for _ in range(1000):
        buffer.add(text(0, "x"))
    assert buffer.size_bytes == one + 1000
    buffer.clear()
    assert (buffer.size_bytes, buffer.events()) == (0, [])


DELTAS = st.one_of(
    st.text(max_size=3).map(Delta.text),
    st.text(max_size=3).map(Delta.thinking),
    st.text(max_size=3).map(
        lambda signature: Delta.model_validate({"type": "signature_delta", "signature": signature})
    ),
    st.just(Delta.model_validate({"type": "citations_delta", "citation": {"cited_text": "x"}})),
)
BLOCKS = st.lists(
    st.tuples(st.sampled_from([TextBlock(text=""), ThinkingBlock(thinking="", signature="")]), st.lists(DELTAS))
)


@given(BLOCKS, st.sets(st.integers(0, 60)))
def test_it_means_the_same(written: list[tuple[ResponseBlock, list[Delta]]], looked_at: set[int]) -> None:
    events: list[StreamEvent] = []
    for index, (block, deltas) in enumerate(written):
        events.append(ContentBlockStart(index=index, content_block=block))
        events += [ContentBlockDelta(index=index, delta=delta) for delta in deltas]
        events.append(ContentBlockStop(index=index))
    buffer = ReplayBuffer()
    for number, event in enumerate(events):
        buffer.add(event)
        if number in looked_at:
            assert blocks(buffer.events()) == blocks(events[: number + 1])
    assert blocks(buffer.events()) == blocks(events)
