"""Work that is only done for as long as the client waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import nullcontext
from typing import Any, TypeVar

from fastapi import Request
from starlette.requests import ClientDisconnect

from bathysphere.api.draining import Draining, ending

T = TypeVar("T")


async def unless_gone(request: Request, work: Coroutine[Any, Any, T], draining: Draining | None = None) -> T:
    """The outcome of the work, which is ended when the client goes away. Raises ClientDisconnect then.

    With ``draining`` it is ended with the server, too, and Overloaded is raised. The request's body has been read
    before.
    """

    waiting = asyncio.current_task()
    assert waiting is not None
    gone = over = False

    async def watch() -> None:
        nonlocal gone
        while (await request.receive())["type"] != "http.disconnect":
            pass
        gone = True
        waiting.cancel()

    def interrupt() -> None:
        nonlocal over
        if not gone:
            over = True
            waiting.cancel()

    # The work stays in the request's own task, as most clients wait: a task for it and its end cost as much as
    # all else that is done here for a short command.
    watching = asyncio.create_task(watch())
    try:
        with nullcontext() if draining is None else draining.interrupting(interrupt):
            return await work
    except asyncio.CancelledError:
        if gone and waiting.uncancel() == 0:
            raise ClientDisconnect from None
        if over and waiting.uncancel() == 0:
            raise ending() from None
        raise
    finally:
        watching.cancel()
