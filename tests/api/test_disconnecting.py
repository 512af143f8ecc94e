"""Work ends when its client goes away, and only then."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from starlette.requests import ClientDisconnect, Request
from starlette.types import Message

from bathysphere.api.disconnecting import unless_gone


def request(leaving: asyncio.Event) -> Request:
    """A request whose client goes away when told to."""

    async def receive() -> Message:
        await leaving.wait()
        return {"type": "http.disconnect"}

    return Request({"type": "http"}, receive)


async def test_the_outcome_is_handed_on() -> None:
    async def work() -> str:
        await asyncio.sleep(0)
        return "done"

    async def failing() -> None:
        raise LookupError("as it was")

    assert await unless_gone(request(asyncio.Event()), work()) == "done"
    with pytest.raises(LookupError, match="as it was"):
        await unless_gone(request(asyncio.Event()), failing())
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == {asyncio.current_task()}, "nobody watches any longer"


async def left(
    leave: Callable[[asyncio.Event, asyncio.Task[None]], Awaitable[None]],
) -> tuple[asyncio.Task[None], bool]:
    """The task of a request with endless work, after it was left, and whether all was undone by then."""
    leaving, begun, undone = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def work() -> None:
        try:
            begun.set()
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0.01)  # what is undone takes its time
            undone.set()

    serving = asyncio.create_task(unless_gone(request(leaving), work()))
    await begun.wait()
    await leave(leaving, serving)
    await asyncio.wait([serving])
    return serving, undone.is_set()


async def test_the_work_is_undone_to_its_end_when_the_client_goes_away() -> None:
    async def client_leaves(leaving: asyncio.Event, _serving: asyncio.Task[None]) -> None:
        leaving.set()

    serving, undone = await left(client_leaves)
    assert undone
    assert isinstance(serving.exception(), ClientDisconnect)
    assert serving.cancelling() == 0, "it can go on and answer"


async def test_a_server_that_ends_is_no_client_that_goes_away() -> None:
    async def server_ends(_leaving: asyncio.Event, serving: asyncio.Task[None]) -> None:
        serving.cancel()

    serving, undone = await left(server_ends)
    assert undone
    assert serving.cancelled()


async def test_both_at_once_count_as_the_servers_end() -> None:
    async def both(leaving: asyncio.Event, serving: asyncio.Task[None]) -> None:
        leaving.set()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        serving.cancel()

    serving, _ = await left(both)
    assert serving.cancelled()
