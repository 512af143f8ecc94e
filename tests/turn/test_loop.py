"""The loop: sampling, carrying out calls, ending (WIRE a.3, b, c.3, c.4, c.5, d)."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest

from bathysphere.containers.host import (
    Command,
    Created,
    DiskFull,
    Finished,
    HostError,
    HostUnavailable,
    LeftOutFile,
    OutputChunk,
    OutputFile,
    Replaced,
    SandboxFailed,
    TooManySandboxes,
    UnknownContainer,
)
from bathysphere.settings import Settings
from bathysphere.turn.checks import check
from bathysphere.turn.fold import fold_events
from bathysphere.turn.loop import Turn
from bathysphere.wire.events import ContentBlockDelta, ContentBlockStart, MessageDelta, StreamEvent, event_wire
from bathysphere.wire.message import Message, StopReason
from bathysphere.wire.requests import MessagesRequest
from tests.turn.conversation import (
    BASH_TOOL,
    PYTHON_TOOL,
    WEATHER_TOOL,
    assistant,
    bash_call,
    bash_result,
    request,
    tool_call,
    tool_result,
    user,
)
from tests.turn.fakes import VIEWED, ScriptedModel, TableHost, container

LS = ("bash_code_execution", '{"command": "ls"}')
WEATHER = ("get_weather", '{"city": "Oslo"}')


async def events(
    model: ScriptedModel, body: MessagesRequest | None = None, host: TableHost | None = None, **settings: Any
) -> list[StreamEvent]:
    body = body or request(user("hi"))
    made = container(host or TableHost())

    async def opened() -> Any:
        return made

    turn = Turn(body, check(body), model, opened, Settings.model_validate(settings), filenames={})
    return [event async for event in turn.events()]


async def answer(
    model: ScriptedModel, body: MessagesRequest | None = None, host: TableHost | None = None, **settings: Any
) -> Message:
    return fold_events(await events(model, body, host, **settings))


def types(message: Message) -> list[str]:
    return [block.type for block in message.content]


async def test_a_turn_without_calls_is_the_models_message_under_our_id() -> None:
    message = await answer(ScriptedModel(["Hello"]), request(user("hi"), tools=None))
    assert message.id.startswith("msg_01")
    assert message.model == "m"
    assert message.wire()["content"] == [{"type": "text", "text": "Hello"}]
    assert message.stop_reason == "end_turn"
    assert message.container is None
    assert message.usage.server_tool_use is None


async def test_a_call_is_carried_out_and_the_model_sampled_again() -> None:
    host = TableHost(output={"ls": [OutputChunk("stdout", b"a.txt\n"), OutputChunk("stderr", b"warn\n")]})
    model = ScriptedModel(["Looking.", LS], ["Done."])
    message = await answer(model, host=host)
    text, call, result, end = message.wire()["content"]
    assert (text["text"], end["text"]) == ("Looking.", "Done.")
    assert call == {
        "type": "server_tool_use",
        "id": call["id"],
        "name": "bash_code_execution",
        "input": {"command": "ls"},
        "caller": {"type": "direct"},
    }
    assert call["id"].startswith("srvtoolu_")
    assert result == {
        "type": "bash_code_execution_tool_result",
        "tool_use_id": call["id"],
        "content": {
            "type": "bash_code_execution_result",
            "stdout": "a.txt\n",
            "stderr": "warn\n",
            "return_code": 0,
            "content": [],
        },
    }
    shown = model.requests[1].messages[-1]
    assert shown.role == "user"
    assert json.loads(shown.content[0]["content"][0]["text"])["stdout"] == "a.txt\n"


async def test_the_answer_names_the_container_and_sums_the_usage() -> None:
    message = await answer(ScriptedModel([LS], [LS], ["x"]))
    assert message.wire()["container"] == {"id": "container_1", "expires_at": "2026-12-01T00:00:00.000000Z"}
    assert (message.usage.input_tokens, message.usage.output_tokens) == (300, 30)
    assert message.wire()["usage"]["server_tool_use"] == {
        "web_search_requests": 0,
        "web_fetch_requests": 0,
        "code_execution_requests": 2,
    }


async def test_events_are_in_the_documented_order_with_counted_indexes() -> None:
    happened = await events(ScriptedModel(["a", LS], ["b"]))
    kinds = [event.type for event in happened if event.type != "content_block_delta"]
    block = ["content_block_start", "content_block_stop"]
    assert kinds == ["message_start", *block * 4, "message_delta", "message_stop"]
    starts = [event for event in happened if isinstance(event, ContentBlockStart)]
    assert [start.index for start in starts] == [0, 1, 2, 3]


async def test_calls_start_empty_and_results_arrive_whole() -> None:
    """WIRE d: input comes as deltas; a result block has no deltas."""
    happened = await events(ScriptedModel([LS], ["b"]))
    wire = [event_wire(event) for event in happened]
    call = next(event["content_block"] for event in wire if event["type"] == "content_block_start")
    assert call["input"] == {}
    written = "".join(event["delta"]["partial_json"] for event in wire if event.get("delta", {}).get("partial_json"))
    assert json.loads(written) == {"command": "ls"}
    result_start = next(event for event in wire if event.get("index") == 1)
    assert result_start["content_block"]["content"]["return_code"] == 0
    assert [event["type"] for event in wire if event.get("index") == 1] == ["content_block_start", "content_block_stop"]


async def test_the_container_is_in_message_delta_and_not_in_message_start() -> None:
    wire = [event_wire(event) for event in await events(ScriptedModel([LS], ["b"]))]
    assert wire[0]["message"]["container"] is None
    delta = next(event for event in wire if event["type"] == "message_delta")
    assert delta["delta"]["container"]["id"] == "container_1"


async def test_parallel_calls_come_first_and_their_results_after_in_the_same_order() -> None:
    message = await answer(ScriptedModel([LS, LS], ["x"]))
    wire = message.wire()["content"]
    assert [block["type"] for block in wire[:4]] == [
        "server_tool_use",
        "server_tool_use",
        "bash_code_execution_tool_result",
        "bash_code_execution_tool_result",
    ]
    assert [block["id"] for block in wire[:2]] == [block["tool_use_id"] for block in wire[2:4]]


async def test_ten_samplings_and_the_turn_is_paused() -> None:
    model = ScriptedModel([LS])
    message = await answer(model)
    assert message.stop_reason == "pause_turn"
    assert len(model.requests) == 10
    assert types(message).count("bash_code_execution_tool_result") == 10


async def test_a_paused_turn_sent_back_goes_on() -> None:
    paused = await answer(ScriptedModel([LS]))
    again = ScriptedModel(["Done."])
    message = await answer(again, request(user("hi"), {"role": "assistant", "content": paused.wire()["content"]}))
    assert message.stop_reason == "end_turn"
    assert len(again.requests[0].messages) == 21
    assert again.requests[0].messages[-1].content[0]["type"] == "tool_result"


async def test_a_pending_call_runs_first_and_its_result_opens_the_answer() -> None:
    host = TableHost()
    model = ScriptedModel(["Done."])
    message = await answer(model, request(user("hi"), assistant("x", bash_call("9", "sleep 1"))), host)
    assert [command.source for command in host.commands] == ["sleep 1"]
    assert types(message) == ["bash_code_execution_tool_result", "text"]
    assert message.wire()["content"][0]["tool_use_id"] == "srvtoolu_9"
    assert [block["type"] for block in model.requests[0].messages[-1].content] == ["tool_result"]


class TestClientTools:
    tools = (BASH_TOOL, WEATHER_TOOL)

    async def test_a_client_tools_call_ends_the_turn(self) -> None:
        message = await answer(ScriptedModel([WEATHER]), request(user("hi"), tools=self.tools))
        assert message.stop_reason == "tool_use"
        (call,) = message.wire()["content"]
        assert call["id"].startswith("toolu_")
        assert call["caller"] == {"type": "direct"}
        assert call["input"] == {"city": "Oslo"}

    async def test_a_server_tool_beside_it_waits_for_the_next_request(self) -> None:
        """WIRE c.5."""
        host = TableHost()
        first = await answer(ScriptedModel([LS, WEATHER]), request(user("hi"), tools=self.tools), host)
        assert first.stop_reason == "tool_use"
        assert host.commands == []
        result = {"type": "tool_result", "tool_use_id": first.wire()["content"][1]["id"], "content": "sunny"}
        model = ScriptedModel(["Done."])
        body = request(
            user("hi"), {"role": "assistant", "content": first.wire()["content"]}, user(result), tools=self.tools
        )
        second = await answer(model, body, host)
        assert len(host.commands) == 1
        assert types(second) == ["bash_code_execution_tool_result", "text"]
        assert [block["type"] for block in model.requests[0].messages[-1].content] == ["tool_result", "tool_result"]

    async def test_the_upstream_sees_ordinary_tools_only(self) -> None:
        model = ScriptedModel(["x"])
        weather = WEATHER_TOOL | {"allowed_callers": ["direct"], "strict": True}
        await answer(model, request(user("hi"), tools=[BASH_TOOL, weather], system="Be kind."))
        sampled = model.requests[0]
        assert [tool["name"] for tool in sampled.tools] == [
            "bash_code_execution",
            "text_editor_code_execution",
            "get_weather",
        ]
        assert all("input_schema" in tool and "type" not in tool for tool in sampled.tools)
        assert sampled.tools[2] == {"name": "get_weather", "input_schema": {"type": "object"}, "strict": True}
        assert sampled.system[0] == {"type": "text", "text": "Be kind."}
        assert "$OUTPUT_DIR" in sampled.system[1]["text"]


class TestToolChoice:
    @pytest.mark.parametrize("kind", ["any", "tool"])
    async def test_what_was_forced_is_not_forced_again(self, kind: str) -> None:
        choice = {"type": kind, "disable_parallel_tool_use": True} | (
            {"name": "code_execution"} if kind == "tool" else {}
        )
        model = ScriptedModel([LS], ["x"])
        await answer(model, request(user("hi"), tool_choice=choice))
        first, second = (sampled.tool_choice for sampled in model.requests)
        assert first is not None
        assert first.get("name") == ("bash_code_execution" if kind == "tool" else None)
        assert second == {"type": "auto", "disable_parallel_tool_use": True}

    async def test_none_stays(self) -> None:
        model = ScriptedModel(["x"])
        await answer(model, request(user("hi"), tool_choice={"type": "none"}))
        assert model.requests[0].tool_choice == {"type": "none"}


class TestTokens:
    async def test_later_samplings_get_what_is_left(self) -> None:
        model = ScriptedModel([LS], ["x"])
        await answer(model, request(user("hi"), max_tokens=25))
        assert [sampled.max_tokens for sampled in model.requests] == [25, 15]

    async def test_when_nothing_is_left_the_turn_ends_with_max_tokens(self) -> None:
        model = ScriptedModel([LS], ["never"])
        message = await answer(model, request(user("hi"), max_tokens=10))
        assert message.stop_reason == "max_tokens"
        assert len(model.requests) == 1

    async def test_a_call_cut_off_by_max_tokens_is_answered_as_invalid(self) -> None:
        """So that the conversation, sent back, is whole."""
        cut = ("bash_code_execution", '{"command": "rm -r')
        host = TableHost()
        message = await answer(ScriptedModel([cut], stop={0: "max_tokens"}), host=host)
        assert message.stop_reason == "max_tokens"
        assert host.commands == []
        assert message.wire()["content"][1]["content"]["error_code"] == "invalid_tool_input"


class TestCutShort:
    @pytest.mark.parametrize("reason", ["max_tokens", "refusal", "model_context_window_exceeded"])
    async def test_a_client_tools_call_that_may_be_cut_is_not_asked_for(self, reason: StopReason) -> None:
        model = ScriptedModel([("get_weather", '{"city": "Os')], stop={0: reason})
        message = await answer(model, request(user("hi"), tools=[BASH_TOOL, WEATHER_TOOL]))
        assert message.stop_reason == reason
        assert message.wire()["content"][0]["input"] == {"city": "Os"}

    @pytest.mark.parametrize("reason", ["refusal", "model_context_window_exceeded"])
    async def test_the_model_is_not_sampled_again(self, reason: StopReason) -> None:
        model = ScriptedModel([LS], ["never"], stop={0: reason})
        message = await answer(model)
        assert message.stop_reason == reason
        assert len(model.requests) == 1
        assert types(message) == ["server_tool_use", "bash_code_execution_tool_result"]

    async def test_later_samplings_have_a_thinking_budget_that_fits(self) -> None:
        thinking = {"type": "enabled", "budget_tokens": 10_000}
        model = ScriptedModel([LS], ["x"], tokens=7_000)
        await answer(model, request(user("hi"), max_tokens=16_000, thinking=thinking))
        assert [sampled.parameters["thinking"]["budget_tokens"] for sampled in model.requests] == [10_000, 8_999]

    async def test_without_room_to_think_the_turn_ends(self) -> None:
        thinking = {"type": "enabled", "budget_tokens": 1_024}
        model = ScriptedModel([LS], ["never"], tokens=7_000)
        message = await answer(model, request(user("hi"), max_tokens=8_000, thinking=thinking))
        assert message.stop_reason == "max_tokens"


class TestWhatModelsWrite:
    async def test_a_raw_line_break_in_a_command_is_mended(self) -> None:
        host = TableHost()
        await answer(ScriptedModel([("bash_code_execution", '{"command": "a\nb"}')], ["x"]), host=host)
        assert [command.source for command in host.commands] == ["a\nb"]

    @pytest.mark.parametrize(
        "written", ["ls -la", '["ls"]', "{command: ls}", '{"command": "ls', '{"command": "ls"} and']
    )
    async def test_what_is_no_json_object_reaches_the_client_as_one(self, written: str) -> None:
        happened = await events(ScriptedModel([("bash_code_execution", written)], ["x"]))
        pieces = [event.delta.get("partial_json") for event in happened if isinstance(event, ContentBlockDelta)]
        assert isinstance(json.loads("".join(pieces) or "{}"), dict)
        message = fold_events(happened)
        assert message.wire()["content"][1]["content"]["error_code"] == "invalid_tool_input"
        check(request(user("hi"), {"role": "assistant", "content": message.wire()["content"]}))

    async def test_half_a_character_does_not_break_the_answer(self) -> None:
        message = await answer(ScriptedModel(["\ud83d oh", ("bash_code_execution", '{"command": "\\ud83d"}')], ["x"]))
        json.dumps(message.wire(), ensure_ascii=False).encode()
        assert message.wire()["content"][0]["text"] == "\ufffd oh"

    async def test_text_after_a_call_belongs_to_the_same_sampling(self) -> None:
        model = ScriptedModel([LS, "Wait for it."], ["Done."])
        await answer(model)
        told = [(message.role, [block["type"] for block in message.content]) for message in model.requests[1].messages]
        assert told == [("user", ["text"]), ("assistant", ["tool_use", "text"]), ("user", ["tool_result"])]

    async def test_hundreds_of_calls_at_once_are_not_all_carried_out(self) -> None:
        host = TableHost()
        message = await answer(ScriptedModel([LS] * 100, ["x"]), host=host)
        assert len(host.commands) == 64
        codes = [block["content"].get("error_code") for block in message.wire()["content"][100:200]]
        assert codes == [None] * 64 + ["too_many_requests"] * 36

    async def test_input_that_an_upstream_gives_at_once_is_streamed_all_the_same(self) -> None:
        happened = await events(ScriptedModel([("bash_code_execution", '{"command": "ls"}')], ["x"]))
        start = next(event for event in happened if isinstance(event, ContentBlockStart))
        assert event_wire(start)["content_block"]["input"] == {}


async def test_the_model_is_told_the_limits_that_hold() -> None:
    model = ScriptedModel(["x"])
    await answer(model, sandbox={"memory_bytes": 512 * 1024 * 1024, "cpus": 2, "command_seconds": 60})
    told = model.requests[0].system[-1]["text"]
    assert "2 CPU, 512 MiB of memory, 5 GiB of disk" in told
    assert "longer than 60 seconds" in told


class TestResults:
    async def test_produced_files_come_back_by_name_order(self) -> None:
        files = (OutputFile("h2", "b.png", 2), OutputFile("h1", "a.png", 2))
        host = TableHost({"ls": Finished(0, False, 0.1, files=files)})
        message = await answer(ScriptedModel([LS], ["x"]), host=host)
        assert message.wire()["content"][1]["content"]["content"] == [
            {"type": "bash_code_execution_output", "file_id": "file_a.png"},
            {"type": "bash_code_execution_output", "file_id": "file_b.png"},
        ]

    async def test_a_command_that_fails_is_a_result_and_no_error(self) -> None:
        message = await answer(ScriptedModel([LS], ["x"]), host=TableHost({"ls": Finished(2, False, 0.1)}))
        assert message.wire()["content"][1]["content"]["return_code"] == 2

    async def test_output_that_is_no_utf8_is_shown_as_far_as_it_can_be(self) -> None:
        host = TableHost(output={"ls": [OutputChunk("stdout", b"\xc3"), OutputChunk("stdout", b"\xa9\xff")]})
        message = await answer(ScriptedModel([LS], ["x"]), host=host)
        assert message.wire()["content"][1]["content"]["stdout"] == "é\ufffd"

    async def test_what_limits_did_and_what_was_left_out_is_said_in_stderr(self) -> None:
        left_out = LeftOutFile("core.bin", 10**9, "too_large", in_output_directory=False)
        host = TableHost({"ls": Finished(137, False, 0.1, notes=("memory limit 5 GiB reached",), left_out=(left_out,))})
        message = await answer(ScriptedModel([LS], ["x"]), host=host)
        stderr = message.wire()["content"][1]["content"]["stderr"]
        assert "memory limit 5 GiB reached" in stderr
        assert "'core.bin' was not returned" in stderr

    async def test_a_file_for_the_user_that_is_too_large_is_the_documented_error(self) -> None:
        left_out = LeftOutFile("big.bin", 10**9, "too_large", in_output_directory=True)
        host = TableHost({"ls": Finished(0, False, 0.1, left_out=(left_out,))})
        message = await answer(ScriptedModel([LS], ["x"]), host=host)
        assert message.wire()["content"][1]["content"] == {
            "type": "bash_code_execution_tool_result_error",
            "error_code": "output_file_too_large",
        }

    @pytest.mark.parametrize(
        ("failure", "code"),
        [
            (Finished(137, True, 300.0), "execution_time_exceeded"),
            (TooManySandboxes("full"), "too_many_requests"),
            (HostUnavailable("gone"), "unavailable"),
            (SandboxFailed("died"), "unavailable"),
            (UnknownContainer("no disk"), "container_expired"),
        ],
    )
    @pytest.mark.parametrize("tool", ["bash_code_execution", "code_execution"])
    async def test_failures_are_documented_codes_and_the_model_goes_on(
        self, tool: str, failure: Finished | HostError, code: str
    ) -> None:
        bash = tool == "bash_code_execution"
        call = (tool, json.dumps({"command" if bash else "code": "run"}))
        body = request(user("hi"), tools=[BASH_TOOL if bash else PYTHON_TOOL])
        message = await answer(ScriptedModel([call], ["I see."]), body, TableHost({"run": failure}))
        result = message.wire()["content"][1]
        assert result["type"] == f"{tool}_tool_result"
        assert result["content"] == {"type": f"{tool}_tool_result_error", "error_code": code}
        assert types(message)[-1] == "text"

    @pytest.mark.parametrize("given", ["{}", '{"command": 5}', '{"command": ""}', "[1]", "{", '{"restart": true}'])
    async def test_input_that_bash_does_not_take_is_the_documented_error(self, given: str) -> None:
        host = TableHost()
        message = await answer(ScriptedModel([("bash_code_execution", given)], ["x"]), host=host)
        assert message.wire()["content"][1]["content"]["error_code"] == "invalid_tool_input"
        assert host.commands == []

    async def test_the_oldest_version_runs_python(self) -> None:
        host = TableHost(output={"print(1)": [OutputChunk("stdout", b"1\n")]})
        call = ("code_execution", '{"code": "print(1)"}')
        message = await answer(ScriptedModel([call], ["x"]), request(user("hi"), tools=[PYTHON_TOOL]), host)
        assert host.commands == [Command("python", "print(1)", 300.0)]
        assert message.wire()["content"][1]["content"] == {
            "type": "code_execution_result",
            "stdout": "1\n",
            "stderr": "",
            "return_code": 0,
            "content": [],
        }


class TestEditor:
    async def result(self, given: dict[str, Any], outcome: Any) -> dict[str, Any]:
        host = TableHost()
        host.outcome = outcome
        call = ("text_editor_code_execution", json.dumps(given))
        message = await answer(ScriptedModel([call], ["x"]), host=host)
        block = message.wire()["content"][1]
        assert block["type"] == "text_editor_code_execution_tool_result"
        content: dict[str, Any] = block["content"]
        return content

    async def test_a_view_has_both_spellings(self) -> None:
        assert await self.result({"command": "view", "path": "a"}, VIEWED) == {
            "type": "text_editor_code_execution_view_result",
            "file_type": "text",
            "content": "a\nb",
            "num_lines": 2,
            "start_line": 1,
            "total_lines": 2,
            "numLines": 2,
            "startLine": 1,
            "totalLines": 2,
        }

    async def test_a_creation_says_whether_the_file_was_there(self) -> None:
        given = {"command": "create", "path": "a", "file_text": "x"}
        assert await self.result(given, Created(is_file_update=True)) == {
            "type": "text_editor_code_execution_create_result",
            "is_file_update": True,
        }

    async def test_a_replacement_is_a_hunk_in_both_spellings(self) -> None:
        given = {"command": "str_replace", "path": "a", "old_str": "x", "new_str": "y"}
        outcome = Replaced(old_start=1, old_lines=2, new_start=3, new_lines=4, lines=["-x", "+y"])
        assert await self.result(given, outcome) == {
            "type": "text_editor_code_execution_str_replace_result",
            "old_start": 1,
            "old_lines": 2,
            "new_start": 3,
            "new_lines": 4,
            "lines": ["-x", "+y"],
            "oldStart": 1,
            "oldLines": 2,
            "newStart": 3,
            "newLines": 4,
        }

    @pytest.mark.parametrize(
        ("given", "named"),
        [
            ({"command": "undo_edit", "path": "a"}, "command"),
            ({"command": "view"}, "path"),
            ({"command": "create", "path": "a"}, "file_text"),
            ({"command": "str_replace", "path": "a"}, "old_str"),
            ({"command": "view", "path": "a", "view_range": [1]}, "view_range"),
        ],
    )
    async def test_input_that_it_does_not_take_is_named(self, given: dict[str, Any], named: str) -> None:
        content = await self.result(given, VIEWED)
        assert content["type"] == "text_editor_code_execution_tool_result_error"
        assert content["error_code"] == "invalid_tool_input"
        assert content["error_message"].startswith(named)

    async def test_a_full_disk_is_said(self) -> None:
        given = {"command": "create", "path": "a", "file_text": "x"}
        content = await self.result(given, DiskFull("the disk of 5 GiB is full"))
        assert content["error_code"] == "unavailable"
        assert content["error_message"] == "the disk of 5 GiB is full"


async def test_what_the_client_asked_to_edit_is_answered_with_nothing_edited() -> None:
    body = request(user("hi"), context_management={"edits": []})
    assert (await answer(ScriptedModel(["x"]), body)).wire()["context_management"] == {"applied_edits": []}


async def test_other_members_of_the_request_reach_the_upstream() -> None:
    model = ScriptedModel(["x"])
    body = request(user("hi"), temperature=0.5, thinking={"type": "disabled"}, metadata={"user_id": "u"}, betas=["b"])
    await answer(model, body)
    assert model.requests[0].parameters == {
        "temperature": 0.5,
        "thinking": {"type": "disabled"},
        "metadata": {"user_id": "u"},
    }


async def test_ending_early_ends_the_upstreams_request() -> None:
    model = ScriptedModel(["a long text"])
    body = request(user("hi"))

    async def opened() -> Any:
        raise AssertionError("no call was made")

    stream = Turn(body, check(body), model, opened, Settings(), filenames={}).events()
    async for event in stream:
        if event.type == "content_block_delta":
            break
    await stream.aclose()
    assert model.closed == 1


async def test_calls_have_ids_of_their_own_when_an_upstream_numbers_them_anew() -> None:
    """Two of one id would be refused when sent back."""
    history = assistant(tool_call("0_0"))
    body = request(user("hi"), history, user(tool_result("0_0")), tools=[WEATHER_TOOL])
    (call,) = (await answer(ScriptedModel([WEATHER]), body)).wire()["content"]
    assert call["id"].startswith("toolu_01")
    check(
        request(
            *[message.model_dump() for message in body.messages], assistant(call), user(tool_result(call["id"][6:]))
        )
    )


async def test_calls_beyond_the_limit_that_wait_are_answered_when_sent_back() -> None:
    model = ScriptedModel([*[LS] * 65, WEATHER], ["x"])
    tools = [BASH_TOOL, WEATHER_TOOL]
    first = (await answer(model, request(user("hi"), tools=tools))).wire()["content"]
    body = request(user("hi"), assistant(*first), user(tool_result("0_65")), tools=tools)
    results = (await answer(model, body)).wire()["content"][:-1]
    assert [result["tool_use_id"] for result in results] == [call["id"] for call in first[:-1]]
    assert results[-1]["content"]["error_code"] == "too_many_requests"


async def test_the_stop_reason_of_the_upstream_is_kept() -> None:
    model = ScriptedModel(["no"], stop={0: "refusal"})
    happened = await events(model)
    assert next(event for event in happened if isinstance(event, MessageDelta)).delta.stop_reason == "refusal"


async def test_a_tool_use_without_a_call_is_the_end() -> None:
    assert (await answer(ScriptedModel(["x"], stop={0: "tool_use"}))).stop_reason == "end_turn"


async def test_unanswered_history_never_reaches_the_model() -> None:
    """A conversation with results and client tools is told so that each call has its answer."""
    model = ScriptedModel(["x"])
    body = request(
        user("hi"),
        assistant(bash_call("1"), bash_result("1"), tool_call("a")),
        user(tool_result("a")),
        tools=[BASH_TOOL, WEATHER_TOOL],
    )
    await answer(model, body)
    messages = model.requests[0].messages
    for message, following in itertools.pairwise(messages):
        made = {block["id"] for block in message.content if block["type"] == "tool_use"}
        assert made == {block["tool_use_id"] for block in following.content if block["type"] == "tool_result"}
