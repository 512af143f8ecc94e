"""Tools a request declares, and the one table of every version of the code execution tool (WIRE a)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag

SubToolName = Literal["code_execution", "bash_code_execution", "text_editor_code_execution"]
Caller = Literal["direct", "code_execution_20250825", "code_execution_20260120", "code_execution_20260521"]
CodeCaller = Literal["code_execution_20250825", "code_execution_20260120"]


@dataclass(frozen=True, slots=True)
class ToolVersion:
    """What one version of the tool gives to the model (WIRE a.1).

    ``caller`` is how calls that its code makes are tagged in answers (WIRE b.1), None when its code can call none.
    ``cell_limit`` says which of the sandbox's limits ends a cell: that of cells, as a result that says so, or that
    of commands, as ``execution_time_exceeded``. ``tells_limit``: the model is told about it.
    """

    type: str
    sub_tools: tuple[SubToolName, ...]
    caller: CodeCaller | None = None
    cell_limit: Literal["cell", "command"] = "cell"
    tells_limit: bool = False

    def calling_tools(self) -> ToolVersion:
        """The version in a request whose tools can be called from code: one more sub-tool in the oldest."""
        if "code_execution" in self.sub_tools:
            return self
        return replace(self, sub_tools=(*self.sub_tools, "code_execution"))


_COMMANDS: Final[tuple[SubToolName, ...]] = ("bash_code_execution", "text_editor_code_execution")

VERSIONS: Final[dict[str, ToolVersion]] = {
    version.type: version
    for version in (
        ToolVersion("code_execution_20250522", ("code_execution",), cell_limit="command"),
        ToolVersion("code_execution_20250825", _COMMANDS, "code_execution_20250825"),
        ToolVersion("code_execution_20260120", (*_COMMANDS, "code_execution"), "code_execution_20260120"),
        ToolVersion(
            "code_execution_20260521", (*_COMMANDS, "code_execution"), "code_execution_20260120", tells_limit=True
        ),
    )
}
"""Answers say ``code_execution_20260120`` for the newest version too: there is no block for that (WIRE b.1)."""

SUB_TOOL_NAMES: Final[frozenset[str]] = frozenset(
    ("code_execution", "bash_code_execution", "text_editor_code_execution")
)

CLIENT_TOOL_PREFIXES: Final = ("bash_", "text_editor_", "computer_", "memory_")
"""Types of the tools that Anthropic defines and the client carries out; their schemas are built into its models."""


class CodeExecutionTool(BaseModel):
    """The declaration of the code execution tool; the same members for all versions."""

    model_config = ConfigDict(extra="forbid")

    type: str
    name: Literal["code_execution"]
    allowed_callers: list[Caller] | None = None
    cache_control: dict[str, Any] | None = None
    defer_loading: bool | None = None
    strict: bool | None = None

    @property
    def version(self) -> ToolVersion:
        """The row of the table; the type has been checked when the request was parsed."""
        return VERSIONS[self.type]


class ClientTool(BaseModel):
    """A tool of the client's own. Members we don't know go to the upstream as they are."""

    model_config = ConfigDict(extra="allow")

    type: Literal["custom"] | None = None
    name: str = Field(pattern=r"^[a-zA-Z0-9_-]{1,128}$")
    input_schema: dict[str, Any]
    description: str | None = None
    allowed_callers: list[Caller] | None = None


class ClientTypedTool(BaseModel):
    """A tool that Anthropic defines and the client carries out (``bash_20250124`` and the like)."""

    model_config = ConfigDict(extra="allow")

    type: str
    name: str = Field(pattern=r"^[a-zA-Z0-9_-]{1,128}$")
    allowed_callers: list[Caller] | None = None


class UnsupportedTool(BaseModel):
    """A declared tool that nobody here can carry out; refused when the request is checked, never dropped."""

    model_config = ConfigDict(extra="allow")

    type: str


def _tool_kind(value: Any) -> str:
    kind = value.get("type") if isinstance(value, dict) else getattr(value, "type", None)
    if kind is None or kind == "custom":
        return "custom"
    if not isinstance(kind, str):
        return "unsupported"
    if kind in VERSIONS:
        return "code_execution"
    return "client_typed" if kind.startswith(CLIENT_TOOL_PREFIXES) else "unsupported"


Tool = Annotated[
    Annotated[CodeExecutionTool, Tag("code_execution")]
    | Annotated[ClientTool, Tag("custom")]
    | Annotated[ClientTypedTool, Tag("client_typed")]
    | Annotated[UnsupportedTool, Tag("unsupported")],
    Discriminator(_tool_kind),
]


def may_call(tool: CodeExecutionTool | ClientTool | ClientTypedTool, caller: Literal["direct", "code"]) -> bool:
    """Whether the model (``direct``), or code, may call a tool (WIRE h.1)."""
    callers = tool.allowed_callers or ["direct"]
    return "direct" in callers if caller == "direct" else any(name != "direct" for name in callers)
