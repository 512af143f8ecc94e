"""Tool calls without the template's help: scripted turns, and a real language model."""

from __future__ import annotations

import asyncio
from typing import Any

from bathysphere.models.base import SampleRequest, UpstreamMessage
from bathysphere.models.failures import Upstream
from bathysphere.models.openai import OpenAIModel, openai_client
from bathysphere.models.prompted_tools import PromptedTools, prompted
from bathysphere.wire.events import event_wire
from tests.models.folding import fold
from tests.models.scripted_upstream import Say, ScriptedUpstream, Turn
from tests.models.smollm import smollm

__all__ = ["smollm"]

BASH: dict[str, Any] = {
    "name": "bash_code_execution",
    "description": "Run bash",
    "input_schema": {"type": "object", "properties": {"command": {"type": "string"}}},
}
EDITOR: dict[str, Any] = {
    "name": "text_editor_code_execution",
    "description": "Edit files",
    "input_schema": {"type": "object", "properties": {"command": {"type": "string"}}},
}


def over(url: str) -> PromptedTools:
    return PromptedTools(OpenAIModel(openai_client(None, url, 300.0), Upstream(url, "K"), model="m", max_retries=0))


def asking(prompt: str, **changes: Any) -> SampleRequest:
    messages = [UpstreamMessage("user", [{"type": "text", "text": prompt}])]
    return SampleRequest(**{"model": "m", "max_tokens": 60, "messages": messages, "tools": [BASH, EDITOR], **changes})


async def test_the_first_call_ends_the_sampling(upstream: ScriptedUpstream) -> None:
    upstream.play(Turn(Say("I'll look.\n```bash\nls\n```\nand then ..."), hang_after=6))
    model = over(upstream.openai_url)
    got = await fold(model.sample(asking("look")))
    await model.close()
    assert got.text == "I'll look.\n" and got.calls[0]["input"] == {"command": "ls"}
    assert got.stop_reason == "tool_use" and got.usage.input_tokens > 0 and got.usage.output_tokens > 0
    assert await asyncio.to_thread(upstream.requests[0].closed_early.wait, 20)
    sent = upstream.requests[0].body
    assert "tools" not in sent and "```bash" in sent["messages"][0]["content"]


async def test_an_answer_without_a_call(upstream: ScriptedUpstream) -> None:
    upstream.play(Turn(Say("It is 4.")), Turn(Say("cut ```bash\nl"), stop_reason="max_tokens"))
    model = over(upstream.openai_url)
    got = await fold(model.sample(asking("2+2?")))
    assert (got.text, got.stop_reason, got.usage.output_tokens) == ("It is 4.", "end_turn", 7)
    assert (await fold(model.sample(asking("2+2?")))).stop_reason == "max_tokens"
    await model.close()


async def test_without_tools_nothing_is_added(upstream: ScriptedUpstream) -> None:
    upstream.play(Turn(Say("```bash\nls\n```\n")))
    model = over(upstream.openai_url)
    got = await fold(model.sample(asking("hi", tool_choice={"type": "none"})))
    await model.close()
    assert got.text == "```bash\nls\n```\n"
    assert [message["role"] for message in upstream.requests[0].body["messages"]] == ["user"]


def test_earlier_calls_and_results_become_text() -> None:
    call: dict[str, Any] = {"type": "tool_use", "id": "1", "name": "bash_code_execution", "input": {"command": "ls"}}
    other: dict[str, Any] = {"type": "tool_use", "id": "2", "name": "weather", "input": {"city": "Oslo"}}
    output = '{"stdout": "a.txt\\n", "stderr": "", "return_code": 2}'
    results: list[dict[str, Any]] = [
        {"type": "tool_result", "tool_use_id": "1", "content": [{"type": "text", "text": output}]},
        {"type": "tool_result", "tool_use_id": "2", "content": "no", "is_error": True},
    ]
    messages = [UpstreamMessage("assistant", [call, other]), UpstreamMessage("user", results)]
    shown = prompted(asking("x", messages=messages))
    assert [[block["text"] for block in message.content] for message in shown.messages] == [
        ["```bash\nls\n```", '```tool_call\n{"name": "weather", "input": {"city": "Oslo"}}\n```'],
        ["Output:\na.txt\n(exit code 2)", "Error:\nno"],
    ]
    assert shown.tools == [] and "text_editor_code_execution" in shown.system[-1]["text"]


async def test_a_real_language_model_calls_bash(smollm: str) -> None:
    model = over(smollm)
    sampled = model.sample(asking("Use bash to list the files in /tmp.", parameters={"temperature": 0}))
    got = await fold(sampled)
    await model.close()
    kinds = [event_wire(event)["type"] for event in got.events]
    assert len(got.text_deltas) > 3, "text streams before the call"
    assert kinds.index("content_block_delta") < kinds.index("message_delta")
    assert [call["name"] for call in got.calls] == ["bash_code_execution"]
    assert got.calls[0]["input"]["command"].strip()


def test_functions_that_code_may_call_are_told_in_the_prompt() -> None:
    """Python needs no description of its own tool, save what else it can call there."""
    described = "Run Python.\n\nasync def get_weather(args: dict) -> str: ..."
    for text, told in ((described, True), ("Run Python.", False)):
        tool = {"name": "code_execution", "description": text, "input_schema": {}}
        request = prompted(asking("hi", tools=[{"name": "bash_code_execution", "input_schema": {}}, tool]))
        assert ("async def get_weather" in request.system[-1]["text"]) == told
        assert "Run Python." in request.system[-1]["text"] or not told
