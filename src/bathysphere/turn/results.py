"""The results of sub-tools on the wire, and how failures of the host are told in them (WIRE a.3, b)."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Any, Final

from bathysphere.containers.container import CommandResult, Container
from bathysphere.containers.host import HostError, TooManySandboxes, UnknownContainer
from bathysphere.containers.loggable import loggable
from bathysphere.containers.quotas import QuotaReached
from bathysphere.wire.blocks import CodeResultBlock

_log = logging.getLogger(__name__)

OpenContainer = Callable[[], Awaitable[Container]]
"""Gives the turn's container; the first call makes it when the request named none."""

ERROR_MEANING: Final = {
    "invalid_tool_input": "The tool was called with parameters that it does not take.",
    "unavailable": "The tool is temporarily unavailable. Try the call again.",
    "too_many_requests": (
        "Too many calls at once, too many containers at work, or a quota has been used up. Try again a little later; "
        "when that does not help, go on without it."
    ),
    "execution_time_exceeded": "The command ran longer than it may and was ended, with all it had started.",
    "container_expired": "The container has expired; what it held is gone.",
    "output_file_too_large": (
        "A file in $OUTPUT_DIR is larger than a returned file may be. It is still in the container."
    ),
    "file_not_found": "The file does not exist.",
    "string_not_found": "old_str was not found in the file.",
}
"""What a model is told about an error code, for results that carry a code alone."""


def error_code(error: HostError) -> str:
    """The code of a result whose call the host could not carry out."""
    # The documented results have room for a code only; the operator is told the rest.
    _log.warning("a call could not be carried out: %s", loggable(error))
    match error:
        case TooManySandboxes() | QuotaReached():
            return "too_many_requests"
        case UnknownContainer():
            return "container_expired"
        case _:
            return "unavailable"


def code_error(call_id: str, code: str) -> CodeResultBlock:
    """A cell's result with an error code alone."""
    return CodeResultBlock(
        tool_use_id=call_id, content={"type": "code_execution_tool_result_error", "error_code": code}
    )


def result_content(result: CommandResult, kind: str) -> dict[str, Any]:
    """What a command or cell did, as the content of its result block (WIRE b.2, b.4)."""
    return {
        "type": f"{kind}_result",
        "stdout": result.stdout,
        "stderr": result.stderr,
        "return_code": result.return_code,
        "content": [{"type": f"{kind}_output", "file_id": file_id} for file_id in result.file_ids],
    }
