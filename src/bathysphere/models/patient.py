"""A model with time to spare: for work that nobody waits for, so that an upstream's limits only make it slower."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Final

from bathysphere.models.base import Model, SampleRequest
from bathysphere.models.failures import Transient
from bathysphere.models.retrying import retried
from bathysphere.wire.errors import Overloaded, RateLimited
from bathysphere.wire.events import StreamEvent

LONGEST_WAIT_SECONDS: Final = 300.0


class PatientModel:
    """Another model, whose samplings are tried again when it stays limited or overloaded beyond its own retries."""

    def __init__(self, model: Model, max_retries: int) -> None:
        self._model = model
        self._max_retries = max_retries

    async def sample(self, request: SampleRequest) -> AsyncGenerator[StreamEvent, None]:
        """See Model."""

        async def attempt() -> AsyncGenerator[StreamEvent, None]:
            try:
                async with aclosing(self._model.sample(request)) as events:
                    async for event in events:
                        yield event
            except (RateLimited, Overloaded) as error:
                raise Transient(error) from error.__cause__

        async with aclosing(retried(attempt, self._max_retries, LONGEST_WAIT_SECONDS)) as events:
            async for event in events:
                yield event

    async def count_tokens(self, request: SampleRequest) -> int:
        """See Model."""
        return await self._model.count_tokens(request)

    async def close(self) -> None:
        """The other model is its owner's to close."""
