"""What a turn uses, from its beginning to its end, however it ends: one row in the books (docs/metering.md)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Final

from bathysphere.containers.container import Container
from bathysphere.containers.host import DiskFull
from bathysphere.containers.recording import Actor
from bathysphere.containers.records import Records
from bathysphere.store.metered_requests import MeteredRequest
from bathysphere.wire.errors import ApiError, Overloaded
from bathysphere.wire.message import Usage

_MODEL_CHARACTERS: Final = 200


class MeteredTurn:
    """A turn while it goes on.

    ``usage`` is what its model has reported by now, ``container`` the one that it uses; who carries it out sets them.
    """

    def __init__(self, actor: Actor, model: str, batch_id: str | None, records: Records) -> None:
        self._actor = actor
        self._model = model[:_MODEL_CHARACTERS]
        self._batch_id = batch_id
        self._records = records
        self.usage = Usage()
        self.container: Container | None = None

    def check(self) -> None:
        """Raises Overloaded when what the turn uses could not be written down."""
        try:
            self._records.check()
        except DiskFull as error:
            raise Overloaded(str(error)) from error

    @contextmanager
    def metered(self) -> Iterator[None]:
        """The turn is carried out inside."""
        began, started = datetime.now(UTC), time.monotonic()
        outcome = "finished"
        try:
            yield
        except (asyncio.CancelledError, GeneratorExit):
            outcome = "cancelled"
            raise
        except ApiError as error:
            outcome = error.type
            raise
        except BaseException:
            outcome = "api_error"
            raise
        finally:
            self._records.append(self._row(began, time.monotonic() - started, outcome))

    def _row(self, began: datetime, seconds: float, outcome: str) -> MeteredRequest:
        usage, container = self.usage, self.container
        used = container.used if container is not None else None
        created = usage.cache_creation
        long_lived = created.ephemeral_1h_input_tokens
        return MeteredRequest(
            request_id=self._actor.request_id or "",
            workspace_id=self._actor.workspace_id,
            api_key_id=self._actor.api_key_id or "",
            batch_id=self._batch_id,
            container_id=None if container is None else container.id,
            model=self._model,
            service_tier="batch" if self._batch_id is not None else usage.service_tier or "standard",
            inference_geo=usage.inference_geo or "not_available",
            started_at=began,
            duration_seconds=seconds,
            outcome=outcome,
            uncached_input_tokens=usage.input_tokens,
            cache_read_input_tokens=usage.cache_read_input_tokens,
            # Upstreams that do not tell how long they keep what they were sent keep it for five minutes.
            cache_creation_5m_tokens=max(
                created.ephemeral_5m_input_tokens, usage.cache_creation_input_tokens - long_lived
            ),
            cache_creation_1h_tokens=long_lived,
            output_tokens=usage.output_tokens,
            tool_calls=usage.server_tool_use.code_execution_requests if usage.server_tool_use is not None else 0,
            cpu_seconds=used.cpu_seconds if used is not None else 0.0,
            peak_memory_bytes=used.peak_memory_bytes if used is not None else 0,
            stored_bytes=used.stored_bytes if used is not None else 0,
        )
