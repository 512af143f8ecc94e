"""Bash and the text editor: how each is shown to a model, carried out, and answered (WIRE a.2, a.3, b).

The third sub-tool, Python in the interpreter, is in ``cells``.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bathysphere.containers.host import (
    Command,
    Created,
    DiskFull,
    EditorCommand,
    EditorFailed,
    HostError,
    Replaced,
    Viewed,
)
from bathysphere.turn.results import ERROR_MEANING, OpenContainer, error_code, result_content
from bathysphere.wire.blocks import BashResultBlock, EditorResultBlock, SubToolResultBlock
from bathysphere.wire.tools import SubToolName


class _BashInput(BaseModel):
    model_config = ConfigDict(strict=True)

    command: str = Field(min_length=1, max_length=1024 * 1024)


@dataclass(frozen=True, slots=True)
class SubTool:
    """One sub-tool: its declaration for the model, and how it runs.

    ``run`` takes the model's input as it came (it may be anything) and always gives a result block: what went
    wrong is a documented error code in it, never an exception.
    """

    name: SubToolName
    description: str
    input_schema: dict[str, Any]
    refuse: Callable[[str, str], SubToolResultBlock]
    """The result with an error code alone: of the call's id, and the code."""
    run: Callable[[str, Any, OpenContainer, float], Awaitable[SubToolResultBlock]]

    def declaration(self) -> dict[str, Any]:
        """The tool as an ordinary client tool, for the upstream."""
        return {"name": self.name, "description": self.description, "input_schema": self.input_schema}


def _bash_error(call_id: str, code: str) -> BashResultBlock:
    return BashResultBlock(
        tool_use_id=call_id, content={"type": "bash_code_execution_tool_result_error", "error_code": code}
    )


def _editor_error(call_id: str, code: str, message: str) -> EditorResultBlock:
    return EditorResultBlock(
        tool_use_id=call_id,
        content={
            "type": "text_editor_code_execution_tool_result_error",
            "error_code": code,
            "error_message": message,
        },
    )


async def _run_bash(call_id: str, given: Any, container: OpenContainer, seconds: float) -> BashResultBlock:
    try:
        source = _BashInput.model_validate(given).command
    except ValidationError:
        return _bash_error(call_id, "invalid_tool_input")
    try:
        result = await (await container()).run(Command("bash", source, seconds))
    except HostError as error:
        return _bash_error(call_id, error_code(error))
    if result.timed_out:
        return _bash_error(call_id, "execution_time_exceeded")
    if result.too_large:
        return _bash_error(call_id, "output_file_too_large")
    return BashResultBlock(tool_use_id=call_id, content=result_content(result, "bash_code_execution"))


def _editor_command(given: Any) -> EditorCommand | str:
    """The checked command, or what is wrong with it."""
    try:
        command = EditorCommand.model_validate(given)
    except ValidationError as error:
        first = error.errors()[0]
        return f"{'.'.join(map(str, first['loc'])) or 'input'}: {first['msg']}"
    needed = {"view": (), "create": ("file_text",), "str_replace": ("old_str",)}[command.command]
    for name in needed:
        if getattr(command, name) is None:
            return f"{name}: the command {command.command} needs it"
    return command


async def _run_editor(call_id: str, given: Any, container: OpenContainer, seconds: float) -> EditorResultBlock:
    command = _editor_command(given)
    if isinstance(command, str):
        return _editor_error(call_id, "invalid_tool_input", command)
    try:
        outcome = await (await container()).edit(command)
    except DiskFull as error:
        return _editor_error(call_id, "unavailable", str(error))
    except HostError as error:
        code = error_code(error)
        return _editor_error(call_id, code, ERROR_MEANING[code])
    content: dict[str, Any]
    match outcome:
        case EditorFailed(error_code=code, message=message):
            return _editor_error(call_id, code, message)
        case Viewed():
            content = {
                "type": "text_editor_code_execution_view_result",
                "file_type": outcome.file_type,
                "content": outcome.content,
                "num_lines": outcome.num_lines,
                "start_line": outcome.start_line,
                "total_lines": outcome.total_lines,
                # The documents of November 2025 show these spellings; clients written from them read them.
                "numLines": outcome.num_lines,
                "startLine": outcome.start_line,
                "totalLines": outcome.total_lines,
            }
        case Created():
            content = {
                "type": "text_editor_code_execution_create_result",
                "is_file_update": outcome.is_file_update,
            }
        case Replaced():
            content = {
                "type": "text_editor_code_execution_str_replace_result",
                "old_start": outcome.old_start,
                "old_lines": outcome.old_lines,
                "new_start": outcome.new_start,
                "new_lines": outcome.new_lines,
                "lines": outcome.lines,
                "oldStart": outcome.old_start,
                "oldLines": outcome.old_lines,
                "newStart": outcome.new_start,
                "newLines": outcome.new_lines,
            }
    return EditorResultBlock(tool_use_id=call_id, content=content)


_TEXT: Final = {"type": "string"}

COMMAND_TOOLS: Final[dict[SubToolName, SubTool]] = {
    tool.name: tool
    for tool in (
        SubTool(
            name="bash_code_execution",
            description=(
                "Run a bash command in the container and get its standard output, standard error and return code. "
                "Every call is a fresh shell in /home/user: variables do not stay, files do. "
                "Save files that the user should get directly in $OUTPUT_DIR, which is new and empty for each call."
            ),
            input_schema={
                "type": "object",
                "properties": {"command": {**_TEXT, "description": "The command, or a whole script."}},
                "required": ["command"],
                "additionalProperties": False,
            },
            refuse=_bash_error,
            run=_run_bash,
        ),
        SubTool(
            name="text_editor_code_execution",
            description=(
                "View, create and edit text files in the container. `view` shows a file (also an image or a PDF) "
                "or lists a directory; `create` writes a whole file, replacing it if it exists; `str_replace` "
                "replaces old_str, which must stand in the file exactly once, by new_str."
            ),
            input_schema={
                "type": "object",
                "properties": {
                    "command": {"type": "string", "enum": ["view", "create", "str_replace"]},
                    "path": {**_TEXT, "description": "Absolute, or relative to /home/user."},
                    "file_text": {**_TEXT, "description": "create: the whole content."},
                    "old_str": {**_TEXT, "description": "str_replace: the text to replace."},
                    "new_str": {**_TEXT, "description": "str_replace: what to put there; empty to delete."},
                    "view_range": {
                        "type": "array",
                        "items": {"type": "integer"},
                        "minItems": 2,
                        "maxItems": 2,
                        "description": "view: first and last line, counted from 1; -1 as the last means the end.",
                    },
                },
                "required": ["command", "path"],
                "additionalProperties": False,
            },
            refuse=lambda call_id, code: _editor_error(call_id, code, ERROR_MEANING[code]),
            run=_run_editor,
        ),
    )
}
"""Each by its name; which of the sub-tools a request has is in ``wire.tools.VERSIONS``."""
