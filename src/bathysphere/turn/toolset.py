"""The sub-tools that one request has: shown to the model, carried out, refused."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from bathysphere.settings import SandboxLimits
from bathysphere.turn.cells import CellOutcome, Cells
from bathysphere.turn.code_tools import CodeTools
from bathysphere.turn.results import OpenContainer, code_error
from bathysphere.turn.subtools import COMMAND_TOOLS
from bathysphere.wire.blocks import ServerToolUseBlock, SubToolResultBlock
from bathysphere.wire.tools import SubToolName, Tool, ToolVersion, UnsupportedTool, may_call

_CELL: Final = """\
Run Python in the container's interpreter and get its standard output, standard error and return code. Variables, \
functions and imports stay for later calls; the value of a last line that is an expression is shown, as in a notebook. \
`await` works at the top level. Print what you want to see."""
_CELL_LIMIT: Final = " A call may run for {seconds:g} seconds, not counting the time in which it waits for tools."
_CELL_SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {"code": {"type": "string", "description": "The Python program to run."}},
    "required": ["code"],
    "additionalProperties": False,
}


class Toolset:
    """The sub-tools of a version, and the client's tools beside them."""

    def __init__(self, version: ToolVersion, code_tools: CodeTools, limits: SandboxLimits) -> None:
        self.version = version
        self.cells = Cells(version, code_tools, limits)
        self._code_tools = code_tools
        self._limits = limits

    def __contains__(self, name: str) -> bool:
        return name in self.version.sub_tools

    @property
    def main(self) -> SubToolName:
        """The sub-tool that stands for all of them when ``code_execution`` is forced."""
        return "code_execution" if "code_execution" in self.version.sub_tools else self.version.sub_tools[0]

    def declarations(self) -> list[dict[str, Any]]:
        """The sub-tools as ordinary client tools, for the upstream."""
        return [
            self._cell_declaration() if name == "code_execution" else COMMAND_TOOLS[name].declaration()
            for name in self.version.sub_tools
        ]

    def _cell_declaration(self) -> dict[str, Any]:
        text = _CELL
        if self.version.tells_limit:
            text += _CELL_LIMIT.format(seconds=self._limits.cell_seconds)
        if functions := self._code_tools.description():
            text += f"\n\n{functions}"
        return {"name": "code_execution", "description": text, "input_schema": _CELL_SCHEMA}

    async def run(
        self, call: ServerToolUseBlock, given: Any, container: OpenContainer, *, sent_back: bool
    ) -> SubToolResultBlock | CellOutcome:
        """Carry out a call of a sub-tool. ``given`` is its input as it came: it may be anything.

        What went wrong is a documented error code in the result. Raises as ``Cells``.
        """
        if call.name == "code_execution":
            return await self.cells.run(call.id, given, container, sent_back)
        return await COMMAND_TOOLS[_name(call)].run(call.id, given, container, self._limits.command_seconds)

    @staticmethod
    def refuse(call: ServerToolUseBlock, code: str) -> SubToolResultBlock:
        """The result of a call that is not carried out."""
        if call.name == "code_execution":
            return code_error(call.id, code)
        return COMMAND_TOOLS[_name(call)].refuse(call.id, code)


def upstream_tools(tools: Iterable[Tool], toolset: Toolset | None) -> list[dict[str, Any]]:
    """The tools as an upstream is offered them: those that the model itself may call, and ours."""
    offered: list[dict[str, Any]] = []
    ours = [] if toolset is None else toolset.declarations()
    for tool in tools:
        if tool.type is not None and tool.type.startswith("code_execution_"):
            offered += ours
            ours = []
        elif isinstance(tool, UnsupportedTool) or may_call(tool, "direct"):
            shown = tool.model_dump(mode="json", exclude_unset=True)
            shown.pop("allowed_callers", None)  # who may call it is our affair
            offered.append(shown)
    return [*ours, *offered]


def _name(call: ServerToolUseBlock) -> SubToolName:
    assert call.name in COMMAND_TOOLS, "checked when the request was parsed, or named by us"
    return call.name
