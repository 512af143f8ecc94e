"""Histories as they come back: orphaned, reordered, double and foreign blocks (WIRE b.7, c.5, h.3, h.4).

Each is taken, or refused with a text that begins with the place.
"""

from __future__ import annotations

from typing import Any, Final

import pytest
from pydantic import ValidationError

from bathysphere.api.errors import invalid_request
from bathysphere.turn.checks import check
from bathysphere.wire.errors import InvalidRequest
from tests.turn.conversation import (
    CELL_TOOL,
    WEATHER_TOOL,
    assistant,
    bash_call,
    bash_result,
    call_from_code,
    cell_call,
    cell_result,
    request,
    tool_call,
    tool_from_code,
    tool_result,
    user,
)

Json = dict[str, Any]

HI: Final = user("hi")
MORE: Final = user("more")
TOOLS: Final = [CELL_TOOL, tool_from_code("get_weather", callers=("direct", "code_execution_20260120"))]
THEIR_ID: Final = "srvtoolu_01WzXNuRKyeXAmPuDwvyTQcF"


def system(*content: Json) -> Json:
    return {"role": "system", "content": [*content]}


def editor_result(name: str) -> Json:
    content = {"type": "text_editor_code_execution_create_result", "is_file_update": False}
    return {"type": "text_editor_code_execution_tool_result", "tool_use_id": f"srvtoolu_{name}", "content": content}


def foreign(kind: str, **members: Any) -> Json:
    return {"type": kind, **members}


TAKEN: Final[dict[str, list[Json]]] = {
    "ids that others made": [
        HI,
        assistant(bash_call("1") | {"id": THEIR_ID}, bash_result("1") | {"tool_use_id": THEIR_ID}),
        MORE,
        assistant(tool_call("bdrk_01") | {"id": "call_0-a"}),
        user(tool_result("bdrk_01") | {"tool_use_id": "call_0-a"}),
    ],
    "a call without a caller": [HI, assistant({**bash_call("1"), "caller": None}, bash_result("1")), MORE],
    "results in another order": [
        HI,
        assistant(bash_call("1"), bash_call("2"), bash_result("2"), bash_result("1"), "x"),
        MORE,
    ],
    "a result in a later message": [HI, assistant(bash_call("1")), assistant(bash_result("1"), "x"), MORE],
    "an answer in pieces": [
        HI,
        assistant("x"),
        assistant(bash_call("1")),
        assistant(tool_call("a")),
        assistant(tool_call("b")),
        user(tool_result("b")),
        user(tool_result("a")),
    ],
    "a cell and its calls in pieces": [
        HI,
        assistant(cell_call("1")),
        assistant(call_from_code("a", "1")),
        assistant(call_from_code("b", "1")),
        user(tool_result("a")),
        user(tool_result("b")),
    ],
    "a cell that called again and again": [
        HI,
        assistant(cell_call("1"), bash_call("2"), call_from_code("a", "1")),
        user(tool_result("a")),
        assistant(call_from_code("b", "1")),
        user(tool_result("b")),
        assistant(cell_result("1"), bash_result("2"), "x"),
        MORE,
    ],
    "a cell that waited for another one, and now waits for its own calls": [
        HI,
        assistant(cell_call("1"), cell_call("2"), call_from_code("a", "1")),
        user(tool_result("a")),
        assistant(call_from_code("b", "1")),
        user(tool_result("b")),
        assistant(cell_result("1"), call_from_code("c", "2")),
        user(tool_result("c")),
    ],
    "more calls than are carried out at once": [
        HI,
        assistant(*(bash_call(str(number)) for number in range(65)), tool_call("a")),
        user(tool_result("a")),
    ],
    "an answer that says nothing": [HI, assistant(), MORE],
    "a system message between a call and its result": [HI, assistant(tool_call("a")), system(), user(tool_result("a"))],
    "redacted thinking": [HI, assistant(foreign("redacted_thinking", data="x"), "x"), MORE],
}


REFUSED: Final[dict[str, tuple[list[Json], str]]] = {
    "a call without result, not at the end": (
        [HI, assistant(bash_call("1"), "x"), MORE, assistant("y"), MORE],
        "messages.1: `bash_code_execution` tool use with id `srvtoolu_1` was found without a corresponding "
        "`bash_code_execution_tool_result` block",
    ),
    "a result without its call": (
        [HI, assistant("x", bash_result("1")), MORE],
        "messages.1.content.1: unexpected `tool_use_id` found in `bash_code_execution_tool_result` blocks: srvtoolu_1. "
        "Each `bash_code_execution_tool_result` block must have a corresponding `server_tool_use` block before it.",
    ),
    "a result before its call": (
        [HI, assistant(bash_result("1"), bash_call("1")), MORE],
        "messages.1.content.0: unexpected `tool_use_id` found in `bash_code_execution_tool_result` blocks",
    ),
    "a result of the client's for a call of ours": (
        [HI, assistant(bash_call("1")), user({"type": "tool_result", "tool_use_id": "srvtoolu_1", "content": "x"})],
        "messages.2.content.0: unexpected `tool_use_id` found in `tool_result` blocks: srvtoolu_1.",
    ),
    "two results": (
        [HI, assistant(bash_call("1"), bash_result("1"), bash_result("1")), MORE],
        "messages.1.content.2: each `server_tool_use` must have a single result. Found multiple "
        "`bash_code_execution_tool_result` blocks with id: srvtoolu_1",
    ),
    "the same answer twice": (
        [HI, assistant(bash_call("1"), bash_result("1")), assistant(bash_call("1"), bash_result("1")), MORE],
        "messages.2.content.0: `tool_use` ids must be unique",
    ),
    "a result of another tool": (
        [HI, assistant(bash_call("1"), editor_result("1")), MORE],
        "messages.1.content.1: `text_editor_code_execution_tool_result` is no result of `srvtoolu_1`, which is a call "
        "of `bash_code_execution`: its result is a `bash_code_execution_tool_result` block",
    ),
    "a client's call without its result": (
        [HI, assistant(tool_call("a")), user("x")],
        "messages.1: `tool_use` ids were found without `tool_result` blocks immediately after: toolu_a.",
    ),
    "a result of a call that there is not": (
        [HI, assistant("x"), user(tool_result("a"))],
        "messages.2.content.0: unexpected `tool_use_id` found in `tool_result` blocks: toolu_a.",
    ),
    "a code's call without the code": (
        [HI, assistant("x", call_from_code("a", "1")), user(tool_result("a"))],
        "messages.1.content.1: source tool `srvtoolu_1` not found for tool use block `toolu_a`",
    ),
    "a code's call before the code": (
        [HI, assistant(call_from_code("a", "1"), cell_call("1")), user(tool_result("a"))],
        "messages.1.content.0: source tool `srvtoolu_1` not found for tool use block `toolu_a`",
    ),
    "a code's call and the code's result in one answer": (
        [HI, assistant(cell_call("1"), call_from_code("a", "1"), cell_result("1")), user(tool_result("a"))],
        "messages.1.content.2: the result of `srvtoolu_1` stands before the `tool_result` of `toolu_a`",
    ),
    "the same over two messages": (
        [HI, assistant(cell_call("1"), call_from_code("a", "1")), assistant(cell_result("1")), user(tool_result("a"))],
        "messages.2.content.0: the result of `srvtoolu_1` stands before the `tool_result` of `toolu_a`",
    ),
    "words beside the answers to code": (
        [HI, assistant(cell_call("1"), call_from_code("a", "1")), user(tool_result("a")), user("x")],
        "messages.1: `code_execution` tool use with id `srvtoolu_1` was found without a corresponding",
    ),
    "a call in a system message": (
        [system(bash_call("1")), HI],
        "messages.0.content.0: `server_tool_use` blocks cannot be in system messages, which hold only `text` blocks",
    ),
    "a user's thinking": (
        [user("x", foreign("thinking", thinking="x", signature="x"))],
        "messages.0.content.1: `thinking` blocks can only be in assistant messages",
    ),
    "a call of a foreign server tool": (
        [HI, assistant(bash_call("1") | {"name": "web_search"}), MORE],
        "messages.1.content.0.server_tool_use.name: `web_search` is not a tool of this server; leave the call and its "
        "result out",
    ),
    "no type": ([HI, assistant({"text": "x"}), MORE], "messages.1.content.0.type: Field required"),
    "an id that is none of a server tool's": (
        [HI, assistant(bash_call("1") | {"id": "toolu_1"}), MORE],
        "messages.1.content.0.server_tool_use.id: String should match pattern",
    ),
    **{
        f"a block of kind {kind}": (
            [HI, assistant("x", foreign(kind, id="mcptoolu_1", tool_use_id="srvtoolu_1", content=[])), MORE],
            f"messages.1.content.1: `{kind}` is not supported by this server here: leave it out; 'text', ",
        )
        for kind in (
            "web_search_tool_result",
            "web_fetch_tool_result",
            "tool_search_tool_result",
            "mcp_tool_use",
            "mcp_tool_result",
            "compaction",
            "hologram",
        )
    },
}


@pytest.mark.parametrize("messages", TAKEN.values(), ids=TAKEN.keys())
def test_taken(messages: list[Json]) -> None:
    check(request(*messages, tools=TOOLS, container="container_1"))


@pytest.mark.parametrize(("messages", "said"), REFUSED.values(), ids=REFUSED.keys())
def test_refused(messages: list[Json], said: str) -> None:
    try:
        with pytest.raises(InvalidRequest) as caught:
            check(request(*messages, tools=TOOLS, container="container_1"))
        message = caught.value.message
    except ValidationError as error:
        message = invalid_request(error.errors()).message
    assert message.startswith(said)


def test_code_without_its_container_says_what_else_to_leave_out() -> None:
    paused = [HI, assistant("x"), MORE, assistant(cell_call("1"), call_from_code("a", "1")), user(tool_result("a"))]
    with pytest.raises(InvalidRequest, match=r"container_id is required .* leave out messages\.3 and what follows it"):
        check(request(*paused, tools=TOOLS))


def test_a_history_of_calls_is_taken_when_no_tool_is_declared_any_more() -> None:
    history = [HI, assistant(bash_call("1"), bash_result("1")), MORE]
    assert check(request(*history, tools=None)).version is None
    assert check(request(*history, tools=[WEATHER_TOOL])).pending == ()
