"""Code that calls the client's tools: from the pause to the result, over several requests (WIRE d, h)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bathysphere.containers.container import Container
from bathysphere.containers.host import (
    CellState,
    Finished,
    HostError,
    HostUnavailable,
    InterpreterBusy,
    OutputFile,
    SandboxFailed,
    TooManySandboxes,
    UnknownContainer,
)
from bathysphere.settings import Settings
from bathysphere.store.audit import Call
from bathysphere.turn.checks import check
from bathysphere.turn.fold import fold_events
from bathysphere.turn.loop import Turn
from bathysphere.wire.blocks import ToolUseBlock
from bathysphere.wire.errors import InvalidRequest
from bathysphere.wire.events import StreamEvent, event_wire
from bathysphere.wire.message import Message
from tests.turn.conversation import CELL_TOOL, request, tool_from_code, user
from tests.turn.fakes import RememberedCells, ScriptedModel, TableHost, container
from tests.turn.interpreter import InterpreterHost

WEATHER = tool_from_code("get_weather", {"city": {"type": "string"}}, required=["city"])
TOOLS = [CELL_TOOL, WEATHER]
COMPARE = """
import json
a = json.loads(await get_weather({"city": "Oslo"}))
b = json.loads(await get_weather({"city": "Rome"}))
print(a["c"], b["c"])
"""


def cell(code: str) -> tuple[str, str]:
    return ("code_execution", json.dumps({"code": code}))


class Talk:
    """A conversation as a client has it: sends, keeps the answer, sends the results of its tools."""

    def __init__(
        self,
        model: ScriptedModel,
        host: TableHost,
        tools: list[dict[str, Any]] | None = None,
        cells: RememberedCells | None = None,
        calls: list[Call] | None = None,
        **settings: Any,
    ) -> None:
        self.model = model
        self.host = host
        self.tools = TOOLS if tools is None else tools
        self.settings = Settings.model_validate(settings)
        self.messages: list[dict[str, Any]] = [user("Warmer: Oslo or Rome?")]
        self.named: str | None = None
        self._made: Container = container(host, cells=cells, calls=calls)

    async def _opened(self) -> Container:
        return self._made

    async def events(self, **members: Any) -> list[StreamEvent]:
        """Send what there is; the conversation stays as it was."""
        body = request(*self.messages, **({"tools": self.tools, "container": self.named} | members))
        turn = Turn(body, check(body), self.model, self._opened, self.settings, filenames={})
        return [event async for event in turn.events()]

    async def send(self, **members: Any) -> Message:
        answer = fold_events(await self.events(**members))
        self.messages.append({"role": "assistant", "content": answer.wire()["content"]})
        if answer.container is not None:
            self.named = answer.container.id
        return answer

    def answer(self, *texts: Any, **members: Any) -> None:
        """The results of the calls of the last answer, in their order."""
        calls = [block for block in self.messages[-1]["content"] if block["type"] == "tool_use"]
        results = [
            {"type": "tool_result", "tool_use_id": call["id"], "content": text, **members}
            for call, text in zip(calls, texts, strict=True)
        ]
        self.messages.append({"role": "user", "content": results})


def content(message: Message) -> list[dict[str, Any]]:
    blocks: list[dict[str, Any]] = message.wire()["content"]
    return blocks


async def test_code_that_calls_tools_one_after_the_other() -> None:
    """The example of WIRE h.3, all of it."""
    talk = Talk(ScriptedModel(["Comparing.", cell(COMPARE)], ["Rome is warmer."]), InterpreterHost())
    paused = await talk.send()
    text, server, call = content(paused)
    assert text["text"] == "Comparing."
    assert server["name"] == "code_execution"
    assert server["caller"] == {"type": "direct"}
    assert call == {
        "type": "tool_use",
        "id": call["id"],
        "name": "get_weather",
        "input": {"city": "Oslo"},
        "caller": {"type": "code_execution_20260120", "tool_id": server["id"]},
    }
    assert call["id"].startswith("toolu_")
    assert paused.stop_reason == "tool_use"
    assert paused.container is not None

    talk.answer('{"c": 4}')
    again = await talk.send()
    (second,) = content(again)
    assert (second["input"], second["caller"]["tool_id"]) == ({"city": "Rome"}, server["id"])
    assert again.stop_reason == "tool_use"
    assert again.id != paused.id

    talk.answer([{"type": "text", "text": '{"c": '}, {"type": "text", "text": "19}"}])
    ended = await talk.send()
    result, said = content(ended)
    assert result == {
        "type": "code_execution_tool_result",
        "tool_use_id": server["id"],
        "content": {"type": "code_execution_result", "stdout": "4 19\n", "stderr": "", "return_code": 0, "content": []},
    }
    assert said["text"] == "Rome is warmer."
    assert ended.stop_reason == "end_turn"
