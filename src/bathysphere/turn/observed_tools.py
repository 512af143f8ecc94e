"""Calls of sub-tools as metrics and spans: by name and by how they end, never by what is in them."""

from __future__ import annotations

import time
from collections.abc import Awaitable
from typing import Any

from bathysphere.telemetry import metrics, tracing
from bathysphere.turn.cells import WaitingCell
from bathysphere.wire.blocks import ServerToolUseBlock, SubToolResultBlock


async def observed(
    call: ServerToolUseBlock, running: Awaitable[SubToolResultBlock | WaitingCell]
) -> SubToolResultBlock | WaitingCell:
    """What comes of a call that is being carried out."""
    began = time.perf_counter()
    outcome = "cancelled"
    with tracing.span(call.name, call_id=call.id) as span:
        try:
            result = await running
            outcome = _outcome(result)
        except Exception as error:
            outcome = type(error).__name__
            raise
        finally:
            metrics.TOOL_CALL_SECONDS.labels(call.name, outcome).observe(time.perf_counter() - began)
            span.set(outcome=outcome)
    return result


def _outcome(result: SubToolResultBlock | WaitingCell) -> str:
    if isinstance(result, WaitingCell):
        return "waiting"
    content: Any = result.content
    if not isinstance(content, dict):
        return "completed"
    if (code := content.get("error_code")) is not None:
        return str(code)
    return "nonzero_exit" if content.get("return_code", 0) else "completed"
