"""Retries and clients that go away: whose retry a request is, what goes on without a client, what is kept how long."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from bathysphere.api.attempts import Attempt
from bathysphere.api.retries import Retries
from bathysphere.api.shared_turn import SharedTurn
from bathysphere.settings import RetrySettings
from bathysphere.wire.blocks import TextBlock
from bathysphere.wire.errors import Conflict, InvalidRequest, Overloaded
from bathysphere.wire.events import (
    ContentBlockDelta,
    ContentBlockStart,
    ContentBlockStop,
    Delta,
    MessageDelta,
    MessageStart,
    MessageStop,
    StopDelta,
    StreamEvent,
)
from bathysphere.wire.message import Container, Message, Usage

FIRST = Attempt(owner="apikey_1", content=b"digest", idempotency_key=None, retried=False)
RETRY = replace(FIRST, retried=True)
KEYED = replace(FIRST, idempotency_key="a-key")
START = MessageStart(
    message=Message(id="msg_1", model="m", content=[], stop_reason=None, stop_sequence=None, usage=Usage())
)
STOP = MessageDelta(
    delta=StopDelta(stop_reason="end_turn", container=Container(id="container_new", expires_at="2026-11-22T10:00:00Z")),
    usage=Usage(),
)


class Work:
    """A turn that says "ab", and between the two letters waits until it may go on, with code running."""

    def __init__(
        self, *, code: bool = True, container_id: str | None = None, error: Exception | None = None, text: str = "ab"
    ) -> None:
        self.container_id = container_id
        self.ran_code = False
        self.go_on = asyncio.Event()
        self.halfway = asyncio.Event()
        self.closed = asyncio.Event()
        self.discarded = False
        self.times = 0
        self._code, self._error, self._text = code, error, text

    async def events(self) -> AsyncGenerator[StreamEvent, None]:
        self.times += 1
        try:
            yield START
            yield ContentBlockStart(index=0, content_block=TextBlock(text=""))
            middle = len(self._text) // 2
            yield ContentBlockDelta(index=0, delta=Delta.text(self._text[:middle]))
            self.ran_code = self._code
            self.halfway.set()
            await self.go_on.wait()
            if self._error is not None:
                raise self._error
            yield ContentBlockDelta(index=0, delta=Delta.text(self._text[middle:]))
            yield ContentBlockStop(index=0)
            yield STOP
            yield MessageStop()
        finally:
            self.closed.set()

    async def discard(self) -> None:
        self.discarded = True


@asynccontextmanager
async def retrying(**settings: Any) -> AsyncIterator[Retries]:
    """A table of turns, with a long grace, that leaves no task behind."""
    retries = Retries(RetrySettings.model_validate({"grace_seconds": 60} | settings))
    try:
        yield retries
    finally:
        await retries.close()
        assert retries.running == 0
        assert asyncio.all_tasks() == {asyncio.current_task()}


async def read(turn: SharedTurn) -> str:
    return "".join([event.delta.get("text") async for event in turn.events() if isinstance(event, ContentBlockDelta)])


async def go_away(turn: SharedTurn, work: Work) -> None:
    """A client that reads until the code runs."""
    async with aclosing(turn.events()) as events:
        async for event in events:
            if isinstance(event, ContentBlockDelta):
                break
        await work.halfway.wait()


async def begin(retries: Retries, work: Work, attempt: Attempt = FIRST, *, streamed: bool = True) -> SharedTurn:
    assert await retries.find(attempt) is None
    return retries.begin(attempt, work, streamed=streamed)


async def test_a_retry_hears_the_turn_from_its_beginning_and_then_live() -> None:
    async with retrying() as retries:
        work = Work()
        turn = await begin(retries, work)
        await go_away(turn, work)
        again = await retries.find(RETRY)
        assert again is turn
        reading = asyncio.create_task(read(again))
        await asyncio.sleep(0)
        work.go_on.set()
        assert await reading == "ab"
        assert work.times == 1


async def test_a_retry_gets_the_answer_of_a_turn_that_ended_meanwhile_and_may_get_it_twice() -> None:
    async with retrying() as retries:
        work = Work()
        turn = await begin(retries, work)
        await go_away(turn, work)
        work.go_on.set()
        await turn.wait()
        for _ in range(2):
            found = await retries.find(RETRY)
            assert found is turn
            assert (await found.whole()).decode().count("event: ") == 6
        assert work.times == 1
        assert not work.discarded


async def test_an_answer_that_is_not_streamed_is_one_message() -> None:
    async with retrying() as retries:
        work = Work()
        turn = await begin(retries, work, streamed=False)
        waiting = asyncio.create_task(turn.whole())
        await work.halfway.wait()
        waiting.cancel()
        await asyncio.wait([waiting])
        work.go_on.set()
        found = await retries.find(RETRY)
        assert found is turn
        assert b'"text":"ab"' in (await found.whole()).replace(b" ", b"")


async def test_a_first_try_is_never_taken_for_a_retry() -> None:
    async with retrying() as retries:
        work = Work()
        turn = await begin(retries, work)
        await go_away(turn, work)
        assert await retries.find(FIRST) is None


async def test_nobody_elses_turn_is_found() -> None:
    async with retrying() as retries:
        work = Work()
        await begin(retries, work, KEYED)
        for stranger in (replace(RETRY, owner="apikey_2"), replace(KEYED, owner="apikey_2", retried=True)):
            assert await retries.find(stranger) is None
        assert await retries.find(replace(RETRY, content=b"other")) is None


async def test_an_idempotency_key_needs_no_other_sign_and_holds_for_one_content() -> None:
    async with retrying() as retries:
        work = Work()
        turn = await begin(retries, work, KEYED)
        assert await retries.find(KEYED) is turn
        work.go_on.set()
        await turn.whole()
        assert await retries.find(KEYED) is turn
        with pytest.raises(InvalidRequest, match="came with another request before"):
            await retries.find(replace(KEYED, content=b"other"))
        assert await retries.find(replace(KEYED, idempotency_key="another-key")) is None


async def test_of_several_that_sent_the_same_at_once_the_one_without_its_answer_retries() -> None:
    async with retrying() as retries:
        works = [Work() for _ in range(3)]
        turns = [await begin(retries, work) for work in works]
        readings = [asyncio.create_task(read(turn)) for turn in (turns[0], turns[2])]
        await go_away(turns[1], works[1])
        assert await retries.find(RETRY) is turns[1]
        reading = asyncio.create_task(read(turns[1]))
        await asyncio.sleep(0)
        assert await retries.find(RETRY) is None, "all have somebody now; whose this is cannot be known"
        for work in works:
            work.go_on.set()
        await asyncio.gather(reading, *readings)


async def test_the_retry_of_a_try_that_failed_is_not_taken_for_anothers() -> None:
    async with retrying() as retries:
        first, second = Work(), Work(error=Overloaded("too much to do"))
        turn = await begin(retries, first)
        reading = asyncio.create_task(read(turn))
        failing = await begin(retries, second)
        second.go_on.set()
        with pytest.raises(Overloaded):
            await read(failing)
        assert await retries.find(RETRY) is None
        retries.failed(FIRST)
        assert await retries.find(RETRY) is None
        assert await retries.find(RETRY) is turn, "one more retry than failures: it is the first one's"
        first.go_on.set()
        await reading


async def test_a_turn_that_failed_is_really_tried_again() -> None:
    async with retrying() as retries:
        work = Work(error=Overloaded("too much to do"))
        turn = await begin(retries, work, KEYED)
        work.go_on.set()
        with pytest.raises(Overloaded):
            await read(turn)
        assert await retries.find(replace(KEYED, retried=True)) is None
        assert await retries.find(RETRY) is None


async def test_without_code_a_turn_ends_with_its_client() -> None:
    async with retrying() as retries:
        work = Work(code=False)
        turn = await begin(retries, work)
        await go_away(turn, work)
        await turn.wait()
        assert work.closed.is_set()
        assert await retries.find(RETRY) is None


async def test_a_retry_waits_until_a_stopped_turn_has_undone_what_it_did_and_is_then_carried_out() -> None:
    class Undoing(Work):
        async def events(self) -> AsyncGenerator[StreamEvent, None]:
            try:
                async for event in super().events():
                    yield event
            finally:
                await self.may_undo.wait()
                self.undone = True

        may_undo = asyncio.Event()
        undone = False

    async with retrying() as retries:
        work = Undoing(code=False)
        turn = await begin(retries, work)
        await go_away(turn, work)
        finding = asyncio.create_task(retries.find(RETRY))
        await asyncio.sleep(0)
        turn.stop()  # by the server's end, or another request in its container
        await asyncio.sleep(0)
        work.may_undo.set()
        assert await finding is None
        assert work.undone


async def test_with_an_idempotency_key_it_goes_on() -> None:
    async with retrying() as retries:
        work = Work(code=False)
        turn = await begin(retries, work, KEYED)
        await go_away(turn, work)
        work.go_on.set()
        await turn.wait()
        assert await retries.find(KEYED) is turn


async def test_when_the_grace_is_over_the_turn_is_stopped() -> None:
    async with retrying(grace_seconds=0.01) as retries:
        work = Work()
        turn = await begin(retries, work)
        await go_away(turn, work)
        await turn.wait()
        assert work.closed.is_set()
        assert await retries.find(RETRY) is None, (
            "its container was new and is gone: it can be done again from the start"
        )


async def test_code_that_was_stopped_in_a_container_that_stays_is_not_run_again_by_a_retry() -> None:
    async with retrying(grace_seconds=0.01) as retries:
        work = Work(container_id="container_1")
        turn = await begin(retries, work)
        await go_away(turn, work)
        await turn.wait()
        with pytest.raises(Conflict, match="container_1") as refused:
            await retries.find(RETRY)
        assert refused.value.should_retry is False
        assert await retries.find(FIRST) is None, "sent anew, it is done again"


async def test_a_turn_that_nobody_waits_for_gives_way_to_its_own_client_only() -> None:
    async with retrying() as retries:
        works = [Work(container_id=name) for name in ("container_1", "container_2", "container_1")]
        turns = [await begin(retries, work) for work in works]
        reading = asyncio.create_task(read(turns[2]))
        for turn, work in zip(turns[:2], works[:2], strict=True):
            await go_away(turn, work)
        retries.give_way("apikey_2", "container_1")
        await asyncio.sleep(0)
        assert retries.running == 3
        retries.give_way("apikey_1", "container_1")
        await turns[0].wait()
        assert retries.running == 2
        works[2].go_on.set()
        assert await reading == "ab"


async def test_a_reader_that_stands_still_does_not_hold_up_the_retry() -> None:
    class Long(Work):
        async def events(self) -> AsyncGenerator[StreamEvent, None]:
            self.ran_code = True
            yield START
            yield ContentBlockStart(index=0, content_block=TextBlock(text=""))
            for _ in range(5000):
                self.times += 1
                yield ContentBlockDelta(index=0, delta=Delta.text("x"))
            yield ContentBlockStop(index=0)
            yield STOP
            yield MessageStop()

    async with retrying() as retries:
        work = Long()
        turn = await begin(retries, work)
        dead = turn.events()
        await anext(dead)
        for _ in range(1000):
            await asyncio.sleep(0)
        assert work.times < 1000, "while it is the only one, the turn waits for it"
        found = await retries.find(RETRY)
        assert found is turn
        assert await read(found) == "x" * 5000
        await dead.aclose()


async def test_an_answer_that_is_too_large_is_not_kept_and_not_made_again() -> None:
    for streamed in (True, False):
        async with retrying(answer_bytes=1024) as retries:
            work = Work(text="x" * 4000)
            turn = await begin(retries, work, streamed=streamed)
            reading = asyncio.create_task(read(turn) if streamed else turn.whole())
            work.go_on.set()
            assert len(await reading) >= 4000, "whoever waits for it gets it"
            with pytest.raises(Conflict, match="was not kept"):
                await retries.find(RETRY)


async def test_the_oldest_answers_give_way() -> None:
    async with retrying(answers=2) as retries:
        attempts = [replace(FIRST, content=str(number).encode()) for number in range(3)]
        for attempt in attempts:
            work = Work()
            turn = await begin(retries, work, attempt)
            work.go_on.set()
            await turn.whole()
        found = [await retries.find(replace(attempt, retried=True)) for attempt in attempts]
        assert [turn is not None for turn in found] == [False, True, True]


async def test_all_answers_together_stay_within_their_bytes() -> None:
    async with retrying(answers_bytes=20_000) as retries:
        attempts = [replace(FIRST, content=str(number).encode()) for number in range(10)]
        for attempt in attempts:
            work = Work(text="x" * 4000)
            turn = await begin(retries, work, attempt)
            work.go_on.set()
            await turn.whole()
        found = [await retries.find(replace(attempt, retried=True)) for attempt in attempts]
        kept = [turn is not None for turn in found]
        assert kept == sorted(kept), "the newest are kept"
        assert 2 <= sum(kept) <= 5


async def test_an_answer_is_kept_for_a_while_and_what_nobody_was_told_of_goes_with_it() -> None:
    async with retrying(keep_seconds=0.01) as retries:
        heard, unheard = Work(), Work()
        for work, attempt in ((heard, FIRST), (unheard, replace(FIRST, content=b"other"))):
            turn = await begin(retries, work, attempt)
            if work is heard:
                work.go_on.set()
                await read(turn)
            else:
                await go_away(turn, work)
                work.go_on.set()
                await turn.wait()
        while await retries.find(RETRY) is not None or not unheard.discarded:
            await asyncio.sleep(0.005)
        assert not heard.discarded


async def test_closing_stops_what_runs_and_tells_who_reads() -> None:
    retries = Retries(RetrySettings())
    work, not_even_begun = Work(), Work()
    reading = asyncio.create_task(read(await begin(retries, work)))
    await work.halfway.wait()
    retries.begin(FIRST, not_even_begun, streamed=True)
    await retries.close()
    assert work.closed.is_set()
    assert retries.running == 0
    with pytest.raises(Overloaded):
        await reading
