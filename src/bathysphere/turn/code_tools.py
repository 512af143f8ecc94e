"""The client's tools that code in the container may call: which they are, and whether a call of one is right."""

from __future__ import annotations

import json
import keyword
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from bathysphere.containers.host import ToolAnswer, ToolCall, ToolFunction
from bathysphere.turn.argument_schema import check_schema, complaint
from bathysphere.turn.signatures import definition, documentation, parameters
from bathysphere.wire.errors import InvalidRequest
from bathysphere.wire.tools import ClientTool, ClientTypedTool, may_call

MOST_TOOLS: Final = 256
"""Tools that code may call, of one request."""

MOST_SCHEMA_BYTES: Final = 1024 * 1024
"""Size of their schemas together, as JSON: all other requests wait while they are looked at."""

_NOT_FROM_CODE: Final = ("computer_toolset_", "browser_toolset_")
_DOCUMENTED_CHARACTERS: Final = 40_000
_ANY_ARGUMENTS: Final[dict[str, Any]] = {"type": "object"}

_USE: Final = """\
The functions below are defined in it already. Each is a tool that runs outside of the container: call it with one \
dict, as in `text = await {function}({{...}})`. It returns text; use json.loads where that is JSON. Call several at \
once with asyncio.gather. Only what you print comes back to you, not what the functions return."""


@dataclass(frozen=True, slots=True)
class CodeTool:
    """A tool under its name and as the function that code calls."""

    name: str
    function: str
    documentation: str
    schema: dict[str, Any]


class CodeTools:
    """The tools of one request that code may call; empty when there are none."""

    def __init__(self, tools: Iterable[CodeTool] = ()) -> None:
        self._tools = {tool.function: tool for tool in tools}

    def __bool__(self) -> bool:
        return bool(self._tools)

    @classmethod
    def declared(cls, tools: Iterable[tuple[int, ClientTool | ClientTypedTool]]) -> CodeTools:
        """Those of a request's tools, each with its place in ``tools``. Raises InvalidRequest (WIRE h.4)."""
        found: dict[str, CodeTool] = {}
        size = 0
        for index, tool in tools:
            if not may_call(tool, "code"):
                continue
            size += len(json.dumps(tool.input_schema)) if isinstance(tool, ClientTool) else 0
            if size > MOST_SCHEMA_BYTES:
                raise InvalidRequest(
                    f"tools.{index}.custom.input_schema: the tools that can be called from code have more than "
                    f"{MOST_SCHEMA_BYTES >> 20} MiB of schemas together"
                )
            if len(found) == MOST_TOOLS:
                raise InvalidRequest(f"tools: more than {MOST_TOOLS} tools can be called from code")
            made = _code_tool(index, tool)
            if made.function in found:
                raise InvalidRequest(
                    f"tools.{index}.name: `{tool.name}` and `{found[made.function].name}` would be one and the same "
                    f"function of Python, {made.function}",
                    error_code="tool_name_conflict",
                )
            found[made.function] = made
        return cls(found.values())

    def functions(self) -> tuple[ToolFunction, ...]:
        """The tools as functions of the interpreter."""
        return tuple(
            ToolFunction(tool.function, parameters(tool.schema), tool.documentation) for tool in self._tools.values()
        )

    def tool_name(self, call: ToolCall) -> str:
        """The name under which the client knows the tool of a call that was not refused."""
        return self._tools[call.tool].name

    def refusal(self, call: ToolCall) -> ToolAnswer | None:
        """The exception that a wrong call raises in the code; None when the call is right."""
        tool = self._tools.get(call.tool)
        if tool is None:
            return ToolAnswer(call.id, f"there is no tool {call.tool[:200]!r} that code may call", "NameError")
        wrong = complaint(tool.schema, call.arguments)
        if wrong is None:
            return None
        return ToolAnswer(
            call.id, f"{tool.function}: the arguments do not fit the tool's input_schema: {wrong}", "ValueError"
        )

    def description(self) -> str:
        """What a model is told about them: empty when there are none, bounded when there are many."""
        if not self._tools:
            return ""
        room = _DOCUMENTED_CHARACTERS
        lines = [_USE.format(function=next(iter(self._tools)))]
        for tool in self._tools.values():
            told = definition(tool.function, tool.documentation)
            if len(told) > room:
                told = definition(tool.function, "")
            room -= len(told)
            lines.append(told)
        return "\n\n".join(lines)


def _code_tool(index: int, tool: ClientTool | ClientTypedTool) -> CodeTool:
    schema = _ANY_ARGUMENTS
    described: Any = f"The tool {tool.type}." if tool.type not in (None, "custom") else None
    if isinstance(tool, ClientTypedTool) and tool.type.startswith(_NOT_FROM_CODE):
        raise InvalidRequest(f"tools.{index}.allowed_callers: {tool.type} cannot be called from code")
    if (tool.model_extra or {}).get("strict"):
        raise InvalidRequest(
            f"tools.{index}.strict: a tool with `strict: true` cannot be called from code; leave out one of "
            "`strict` and the code execution callers in `allowed_callers`"
        )
    if isinstance(tool, ClientTool):
        schema, described = tool.input_schema, tool.description
        try:
            check_schema(schema)
        except ValueError as error:
            raise InvalidRequest(f"tools.{index}.custom.input_schema: {error}") from error
    return CodeTool(tool.name, _function_name(tool.name), documentation(described, schema), schema)


def _function_name(name: str) -> str:
    """The name as Python can have it; most are names of Python already."""
    made = name.replace("-", "_")
    if made[0].isdecimal():
        made = f"_{made}"
    return f"{made}_" if keyword.iskeyword(made) else made
