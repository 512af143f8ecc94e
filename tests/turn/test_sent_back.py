"""Nothing that the server sent is refused when it comes back, however an SDK sends it; the model is told all of it.

Conversations of chance, held by the official SDK with the turn: its own parsing, streaming and serialising.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

import httpx2
import pytest
from anthropic import AsyncAnthropic
from anthropic.types import Message
from anthropic.types.beta import BetaMessage
from hypothesis import given, settings
from hypothesis import strategies as st

from bathysphere.containers.host import (
    Created,
    EditorFailed,
    EditorOutcome,
    Finished,
    HostError,
    HostUnavailable,
    OutputChunk,
    OutputFile,
    Replaced,
    TooManySandboxes,
    UnknownContainer,
)
from bathysphere.models.base import SampleRequest
from bathysphere.settings import Settings
from bathysphere.turn.checks import check
from bathysphere.turn.fold import fold_events
from bathysphere.turn.loop import Turn
from bathysphere.wire.events import event_wire
from bathysphere.wire.message import StopReason
from bathysphere.wire.requests import MessagesRequest
from tests.turn.conversation import CELL_TOOL, WEATHER_TOOL, text, tool_from_code
from tests.turn.fakes import VIEWED, RememberedCells, ScriptedModel, Step, Thought, container
from tests.turn.interpreter import InterpreterHost

Answer = Message | BetaMessage
Json = dict[str, Any]

MOST_REQUESTS: Final = 60
UPLOAD: Final = {"type": "container_upload", "file_id": "file_1"}
LOOK_UP: Final = tool_from_code("look_up", callers=("direct", "code_execution_20260120"))
TOOLS: Final = [CELL_TOOL, WEATHER_TOOL, LOOK_UP]


def call(name: str, **given: Any) -> Step:
    return name, json.dumps(given)


def _old_ga(answer: Answer) -> list[Any]:
    """``model_dump()`` of 0.75 outside of ``beta``: it takes the result blocks, which it does not know, for text."""
    return [
        {"citations": None, "text": None, **block} if block["type"].endswith("_tool_result") else block
        for block in answer.model_dump()["content"]
    ]


WAYS: Final[dict[str, Callable[[Answer], list[Any]]]] = {
    "objects": lambda answer: list(answer.content),
    "to_dict": lambda answer: list(answer.to_dict()["content"]),  # type: ignore[call-overload]
    "model_dump": lambda answer: list(answer.model_dump()["content"]),
    "without nulls": lambda answer: list(answer.model_dump(mode="json", exclude_none=True)["content"]),
    "by 0.75": _old_ga,
    "with what helpers add": lambda answer: [
        {**block, "parsed_output": None} if block["type"] == "text" else block
        for block in answer.model_dump()["content"]
    ],
}

CUTS: Final[dict[str, Callable[[list[Any]], list[list[Any]]]]] = {
    "whole": lambda content: [content],
    "a message for each block": lambda content: [[block] for block in content],
    "in two": lambda content: [content[: len(content) // 2], content[len(content) // 2 :]],
}

thoughts = st.sampled_from([Thought("Hm."), Thought("\u00e4")])
texts = st.sampled_from(["Let me see.", "\U0001f600 fine", " ", ""])
ours = st.sampled_from(
    [
        *(call("bash_code_execution", command=word) for word in ("ls", "files", "slow", "full", "gone", "away")),
        call("bash_code_execution"),
        *(call("text_editor_code_execution", command="view", path=path) for path in ("a", "\u00fc")),
        call("text_editor_code_execution", command="create", path="a", file_text="x"),
        call("text_editor_code_execution", command="nonsense"),
        ("bash_code_execution", '{"command": "cut o'),
        ("bash_code_execution", '{"command": "ls", "seconds": 1e999}'),
        ("text_editor_code_execution", ""),
        ("bash_code_execution", "no JSON"),
        call("code_execution", code="print(1)"),
        call("code_execution", code="1 / 0"),
    ]
)
cells = st.sampled_from(
    [
        call("code_execution", code="print(await look_up({'a': 1}))"),
        call("code_execution", code="for n in range(3):\n    await look_up({'n': n})"),
        call("code_execution", code="import asyncio\nawait asyncio.gather(*(look_up({'n': n}) for n in range(3)))"),
        call("code_execution", code="await look_up(5)"),
    ]
)
theirs = st.sampled_from([call("get_weather", city="Oslo"), call("look_up"), ("get_weather", '{"city": ')])
samplings = st.lists(st.lists(thoughts | texts | ours | cells | theirs, max_size=5), min_size=1, max_size=5)
stops = st.dictionaries(
    st.integers(0, 4), st.sampled_from(["max_tokens", "refusal", "stop_sequence", "model_context_window_exceeded"])
)
outcomes: st.SearchStrategy[EditorOutcome | HostError] = st.sampled_from(
    [
        VIEWED,
        Created(is_file_update=True),
        Replaced(old_start=1, old_lines=2, new_start=1, new_lines=2, lines=["-a", "+b"]),
        EditorFailed(error_code="file_not_found", message="no such file"),
        UnknownContainer("gone"),
    ]
)


@dataclass
class Client:
    """An SDK whose server is the turn. ``asked`` counts its requests."""

    model: ScriptedModel
    host: InterpreterHost
    asked: int = 0

    def __post_init__(self) -> None:
        self._container = container(self.host, cells=RememberedCells())
        transport = httpx2.MockTransport(self._serve)
        self.sdk = AsyncAnthropic(
            api_key="key", base_url="http://server", max_retries=0, http_client=httpx2.AsyncClient(transport=transport)
        )

    async def _opened(self) -> Any:
        return self._container

    async def _serve(self, request: httpx2.Request) -> httpx2.Response:
        self.asked += 1
        body = MessagesRequest.model_validate_json(request.content)
        limits = Settings.model_validate({"turn": {"max_iterations": 2}})
        turn = Turn(body, check(body), self.model, self._opened, limits, filenames={"file_1": "a.csv"})
        events = [event async for event in turn.events()]
        if not body.stream:
            content = json.dumps(fold_events(events).wire(), allow_nan=False)
            return httpx2.Response(200, content=content, headers={"content-type": "application/json"})
        records = (
            f"event: {event.type}\ndata: {json.dumps(event_wire(event), allow_nan=False)}\n\n" for event in events
        )
        return httpx2.Response(200, content="".join(records), headers={"content-type": "text/event-stream"})

    async def ask(self, beta: bool, stream: bool, **body: Any) -> Answer:
        """One request, in either namespace."""
        messages: Any = self.sdk.beta.messages if beta else self.sdk.messages
        asked = {"model": "m", "max_tokens": 1000, "tools": TOOLS, **body}
        if not stream:
            answer: Answer = await messages.create(**asked)
            return answer
        async with messages.stream(**asked) as streamed:
            answer = await streamed.get_final_message()
        return answer


def said(steps: Iterable[Step]) -> list[str]:
    """What of a sampling a model must be shown later: its blocks but for empty text, which upstreams refuse."""
    return [step if isinstance(step, str) else step[0] for step in steps if step != ""]


def shown(request: SampleRequest) -> list[list[str]]:
    """The same, of the assistant's messages in a later request."""
    return [
        [block.get("text") or block.get("thinking") or block["name"] for block in message.content]
        for message in request.messages
        if message.role == "assistant"
    ]


def check_request(request: SampleRequest, before: list[list[Step]]) -> None:
    """An ordinary conversation, with every sampling before in it, and every call answered right after it."""
    assert shown(request) == [words for steps in before if (words := said(steps))]
    for message, following in zip(request.messages, [*request.messages[1:], None], strict=True):
        calls = [block["id"] for block in message.content if block["type"] == "tool_use"]
        answers = [block for block in following.content if block["type"] == "tool_result"] if following else []
        assert {block["tool_use_id"] for block in answers} == set(calls)
        assert len(answers) == len(calls)
        for block in message.content:
            assert block["type"] in ("text", "thinking", "tool_use", "tool_result")
            assert not {"caller", "toolset_name", "citations", "parsed_output"} & block.keys()
    assert "a.csv" in request.messages[0].content[1]["text"]


async def converse(
    script: list[list[Step]],
    stop: dict[int, StopReason],
    outcome: EditorOutcome | HostError,
    way: str,
    cut: str,
    beta: bool,
    stream: bool,
) -> None:
    script = [*script, ["The end."]]
    host = InterpreterHost((OutputFile("handle", "out.csv", 3),))
    host.outcome = outcome
    host.answers = {
        "files": Finished(0, False, 0.1, files=(OutputFile("handle", "out.csv", 3),)),
        "slow": Finished(137, True, 300.0),
        "full": TooManySandboxes("full"),
        "gone": UnknownContainer("gone"),
        "away": HostUnavailable("away"),
    }
    host.output = {"ls": [OutputChunk("stdout", b"\xff\xfe \xed\xa0\x80")]}
    client = Client(
        ScriptedModel(*script, stop={key: value for key, value in stop.items() if key < len(script) - 1}), host
    )
    messages: list[Any] = [{"role": "user", "content": [text("hi"), UPLOAD]}]
    named: str | None = None
    while len(client.model.requests) < len(script):
        assert client.asked < MOST_REQUESTS, "the conversation does not come to an end"
        answer = await client.ask(beta, stream, messages=messages, container=named)
        named = answer.container.id if answer.container is not None else named
        content = WAYS[way](answer)
        if answer.stop_reason == "pause_turn" and cut == "whole" and messages[-1]["role"] == "assistant":
            messages[-1]["content"] += content
        else:
            messages += [{"role": "assistant", "content": piece} for piece in CUTS[cut](content)]
        calls = [block for block in answer.content if block.type == "tool_use"]
        if calls:
            results = [{"type": "tool_result", "tool_use_id": made.id, "content": "sunny"} for made in calls]
            messages.append({"role": "user", "content": results})
        elif answer.stop_reason != "pause_turn":
            messages.append({"role": "user", "content": "Go on."})
    for number, request in enumerate(client.model.requests):
        check_request(request, script[:number])
    await client.sdk.close()


@pytest.mark.filterwarnings("ignore:Pydantic serializer warnings")  # of codes that its types do not list
@settings(max_examples=40)
@given(
    samplings,
    stops,
    outcomes,
    st.sampled_from(sorted(WAYS)),
    st.sampled_from(sorted(CUTS)),
    st.booleans(),
    st.booleans(),
)
def test_a_conversation_of_chance_comes_to_its_end(
    script: list[list[Step]],
    stop: dict[int, StopReason],
    outcome: EditorOutcome | HostError,
    way: str,
    cut: str,
    beta: bool,
    stream: bool,
) -> None:
    asyncio.run(converse(script, stop, outcome, way, cut, beta, stream))
