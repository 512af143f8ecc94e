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
        messages = members.pop("messages", self.messages)
        body = request(*messages, **({"tools": self.tools, "container": self.named} | members))
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


class TestRepause:
    async def test_it_costs_no_tokens_and_samples_nothing(self) -> None:
        model = ScriptedModel([cell(COMPARE)], ["Rome."])
        talk = Talk(model, InterpreterHost())
        await talk.send()
        talk.answer('{"c": 4}')
        again = await talk.send()
        assert len(model.requests) == 1
        usage = again.wire()["usage"]
        assert (usage["input_tokens"], usage["output_tokens"]) == (0, 0)
        assert usage["server_tool_use"] == {
            "web_search_requests": 0,
            "web_fetch_requests": 0,
            "code_execution_requests": 0,
        }

    async def test_as_a_stream_it_is_two_events_with_everything_in_the_first(self) -> None:
        talk = Talk(ScriptedModel([cell(COMPARE)]), InterpreterHost())
        paused = await talk.send()
        talk.answer('{"c": 4}')
        first, last = [event_wire(event) for event in await talk.events()]
        assert (first["type"], last["type"]) == ("message_start", "message_stop")
        message = first["message"]
        assert [block["type"] for block in message["content"]] == ["tool_use"]
        assert message["content"][0]["input"] == {"city": "Rome"}
        assert message["stop_reason"] == "tool_use"
        assert paused.container is not None
        assert message["container"] == paused.container.model_dump(mode="json")

    async def test_the_first_pause_is_streamed_as_any_answer(self) -> None:
        """Calls of code start empty like those of the model, and their input comes as deltas."""
        wire = [event_wire(event) for event in await Talk(ScriptedModel([cell(COMPARE)]), InterpreterHost()).events()]
        starts = [event for event in wire if event["type"] == "content_block_start"]
        assert [start["content_block"]["type"] for start in starts] == ["server_tool_use", "tool_use"]
        assert starts[1]["content_block"]["input"] == {}
        written = [event["delta"]["partial_json"] for event in wire if event.get("index") == 1 and "delta" in event]
        assert json.loads("".join(written)) == {"city": "Oslo"}
        assert wire[-2]["delta"]["stop_reason"] == "tool_use"
        assert wire[-2]["delta"]["container"]["id"] == "container_1"

    async def test_a_request_that_is_sent_twice_gets_the_same_pause(self) -> None:
        talk = Talk(ScriptedModel([cell(COMPARE)]), InterpreterHost())
        await talk.send()
        talk.answer('{"c": 4}')
        one, other = [content(fold_events(await talk.events())) for _ in range(2)]
        assert one == other

    async def test_and_the_same_result_with_the_same_files(self) -> None:
        host = InterpreterHost(produce=(OutputFile("1", "plot.png", 3),))
        talk = Talk(ScriptedModel([cell("await get_weather({'city': 'Oslo'})\nprint('x')")], ["Done."]), host)
        await talk.send()
        talk.answer("sunny")
        one, other = [content(fold_events(await talk.events()))[0] for _ in range(2)]
        assert one == other
        assert one["content"]["content"] == [{"type": "code_execution_output", "file_id": "file_plot.png"}]


async def test_calls_made_at_once_come_in_one_answer() -> None:
    code = "import asyncio\nprint(*await asyncio.gather(*(get_weather({'city': c}) for c in 'abc')))"
    talk = Talk(ScriptedModel([cell(code)], ["Done."]), InterpreterHost())
    calls = [block for block in content(await talk.send()) if block["type"] == "tool_use"]
    assert [call["input"]["city"] for call in calls] == ["a", "b", "c"]
    talk.answer("1", "2", "3")
    assert content(await talk.send())[0]["content"]["stdout"] == "1 2 3\n"


async def test_hundreds_of_calls_at_once_are_asked_in_portions() -> None:
    code = "import asyncio\nprint(len(await asyncio.gather(*(get_weather({'city': str(c)}) for c in range(300)))))"
    talk = Talk(ScriptedModel([cell(code)], ["Done."]), InterpreterHost())
    asked = []
    answer = await talk.send()
    while answer.stop_reason == "tool_use":
        calls = [block for block in content(answer) if block["type"] == "tool_use"]
        asked += [call["input"]["city"] for call in calls]
        assert len(calls) <= 128
        talk.answer(*["x"] * len(calls))
        answer = await talk.send()
    assert sorted(asked, key=int) == [str(number) for number in range(300)]
    assert content(answer)[0]["content"]["stdout"] == "300\n"


async def test_an_error_of_a_tool_is_text_that_the_code_gets() -> None:
    talk = Talk(ScriptedModel([cell("print(await get_weather({'city': 'x'}))")], ["Done."]), InterpreterHost())
    await talk.send()
    talk.answer("Error: no such city", is_error=True)
    assert content(await talk.send())[0]["content"]["stdout"] == "Error: no such city\n"


@pytest.mark.parametrize("given", ["", None, []])
async def test_an_empty_result_is_empty_text(given: Any) -> None:
    talk = Talk(ScriptedModel([cell("print(repr(await get_weather({'city': 'x'})))")], ["Done."]), InterpreterHost())
    await talk.send()
    talk.answer(given)
    assert content(await talk.send())[0]["content"]["stdout"] == "''\n"


class TestWrongCalls:
    """They never reach the client: the code gets an exception, and goes on (WIRE h.1)."""

    @pytest.mark.parametrize(
        ("call", "said"),
        [
            ("get_weather({'city': 5})", 'ValueError city: 5 is not of type "string"'),
            ("get_weather({})", 'ValueError "city" is a required property'),
            ("secret({})", "NameError there is no tool 'secret'"),
        ],
    )
    async def test_the_code_gets_an_exception(self, call: str, said: str) -> None:
        code = f"try:\n    await {call}\nexcept Exception as error:\n    print(type(error).__name__, error)"
        host = InterpreterHost(also_allowed=("secret",))
        message = await Talk(ScriptedModel([cell(code)], ["Done."]), host).send()
        assert message.stop_reason == "end_turn"
        kind, _, text = said.partition(" ")
        stdout = content(message)[1]["content"]["stdout"]
        assert stdout.startswith(kind)
        assert text in stdout

    async def test_a_tool_for_direct_calls_alone_is_none_for_code(self) -> None:
        host = InterpreterHost(also_allowed=("direct_only",))
        tools = [*TOOLS, {"name": "direct_only", "input_schema": {"type": "object"}}]
        message = await Talk(ScriptedModel([cell("await direct_only({})")], ["Done."]), host, tools).send()
        assert [function.name for function in host.asked[0].functions] == ["get_weather"]
        result = content(message)[1]["content"]
        assert result["return_code"] == 1
        assert "NameError" in result["stderr"]

    async def test_right_calls_beside_wrong_ones_are_made(self) -> None:
        code = (
            "import asyncio\n"
            "print(*await asyncio.gather(get_weather({'city': 1}), get_weather({'city': 'x'}), return_exceptions=True))"
        )
        talk = Talk(ScriptedModel([cell(code)], ["Done."]), InterpreterHost())
        (call,) = [block for block in content(await talk.send()) if block["type"] == "tool_use"]
        assert call["input"] == {"city": "x"}
        talk.answer("sunny")
        assert content(await talk.send())[0]["content"]["stdout"].endswith("sunny\n")


async def test_names_that_python_cannot_have_are_written_with_an_underscore() -> None:
    tools = [CELL_TOOL, tool_from_code("get-weather"), tool_from_code("import"), tool_from_code("3d")]
    code = "import asyncio\nawait asyncio.gather(get_weather({}), import_({}), _3d({}))"
    talk = Talk(ScriptedModel([cell(code)], ["Done."]), InterpreterHost(), tools)
    calls = [block["name"] for block in content(await talk.send()) if block["type"] == "tool_use"]
    assert calls == ["get-weather", "import", "3d"]


class TestSeveralCallsOfOneSampling:
    """A cell that waits makes those after it wait (WIRE c.5)."""

    LS = ("bash_code_execution", '{"command": "ls"}')
    PWD = ("bash_code_execution", '{"command": "pwd"}')
    ONE = cell("print(await get_weather({'city': 'x'}))")

    async def test_those_before_it_are_run_and_those_after_it_wait(self) -> None:
        host = InterpreterHost()
        talk = Talk(ScriptedModel([self.LS, self.ONE, self.PWD], ["Done."]), host)
        blocks = content(await talk.send())
        assert [block["type"] for block in blocks] == [
            *["server_tool_use"] * 3,
            "bash_code_execution_tool_result",
            "tool_use",
        ]
        assert [command.source for command in host.commands] == ["ls"]
        talk.answer("sunny")
        blocks = content(await talk.send())
        assert [block["type"] for block in blocks] == [
            "code_execution_tool_result",
            "bash_code_execution_tool_result",
            "text",
        ]
        assert [command.source for command in host.commands] == ["ls", "pwd"]

    async def test_a_second_cell_waits_for_the_first_and_then_for_its_own_tools(self) -> None:
        model = ScriptedModel([self.ONE, cell("print(await get_weather({'city': 'y'}))")], ["Done."])
        talk = Talk(model, InterpreterHost())
        first, second, call = content(await talk.send())
        assert call["caller"]["tool_id"] == first["id"]
        talk.answer("sunny")
        result, call = content(await talk.send())
        assert (result["tool_use_id"], call["caller"]["tool_id"]) == (first["id"], second["id"])
        assert len(model.requests) == 1
        talk.answer("rainy")
        result, said = content(await talk.send())
        assert (result["tool_use_id"], result["content"]["stdout"], said["text"]) == (second["id"], "rainy\n", "Done.")
        assert len(model.requests) == 2

    async def test_a_cell_beside_a_client_tools_call_runs_in_the_next_request(self) -> None:
        host = InterpreterHost()
        both = tool_from_code("get_weather", {"city": {"type": "string"}}, callers=("direct", CELL_TOOL["type"]))
        model = ScriptedModel([self.ONE, ("get_weather", '{"city": "direct"}')], ["Done."])
        talk = Talk(model, host, [CELL_TOOL, both])
        server, direct = content(await talk.send())
        assert (server["type"], direct["caller"]) == ("server_tool_use", {"type": "direct"})
        assert host.asked == []
        talk.answer("from the client")
        (call,) = content(await talk.send())
        assert call["caller"]["tool_id"] == server["id"]
        # A retry of that request runs the code no second time.
        assert content(fold_events(await talk.events(messages=talk.messages[:-1]))) == [call]
        assert len(host.asked) == 1
        talk.answer("from code")
        result, said = content(await talk.send())
        assert (result["content"]["stdout"], said["text"]) == ("from code\n", "Done.")
        shown = [(message.role, [block["type"] for block in message.content]) for message in model.requests[1].messages]
        assert shown == [
            ("user", ["text"]),
            ("assistant", ["tool_use", "tool_use"]),
            ("user", ["tool_result", "tool_result"]),
        ]


class TestWhatTheModelSees:
    async def test_code_and_its_result_and_nothing_between(self) -> None:
        model = ScriptedModel(["Comparing.", cell(COMPARE)], ["Rome."], ["Bye."])
        talk = Talk(model, InterpreterHost())
        await talk.send()
        for degrees in (4, 19):
            talk.answer(f'{{"c": {degrees}}}')
            await talk.send()
        talk.messages.append(user("And now?"))
        await talk.send()
        told = [[block["type"] for block in message.content] for message in model.requests[2].messages]
        assert told == [["text"], ["text", "tool_use"], ["tool_result"], ["text"], ["text"]]
        assert model.requests[2].messages[1].content[1]["name"] == "code_execution"
        assert "4 19" in str(model.requests[2].messages[2].content)

    async def test_tools_for_code_alone_are_not_offered_as_tools_but_as_functions(self) -> None:
        model = ScriptedModel(["Hello"])
        schema = {"city": {"type": "string", "description": "Where"}, "days": {"type": "integer"}}
        weather = tool_from_code("get_weather", schema, ["city"], description="The weather of a city.")
        await Talk(model, InterpreterHost(), [CELL_TOOL, weather]).send()
        offered = {tool["name"]: tool for tool in model.requests[0].tools}
        assert list(offered) == ["bash_code_execution", "text_editor_code_execution", "code_execution"]
        described = offered["code_execution"]["description"]
        assert "async def get_weather(args: dict) -> str:" in described
        assert "The weather of a city." in described
        assert '"city": str - Where' in described
        assert '"days": int, optional' in described
        assert "await get_weather({...})" in described

    async def test_a_tool_for_both_is_offered_both_ways(self) -> None:
        model = ScriptedModel(["Hello"])
        both = tool_from_code("get_weather", callers=("direct", "code_execution_20260120"))
        await Talk(model, InterpreterHost(), [CELL_TOOL, both]).send()
        offered = {tool["name"]: tool for tool in model.requests[0].tools}
        assert "allowed_callers" not in offered["get_weather"]
        assert "async def get_weather" in offered["code_execution"]["description"]

    async def test_the_newest_version_alone_is_told_of_the_limit(self) -> None:
        described = []
        for version in ("code_execution_20260120", "code_execution_20260521"):
            model = ScriptedModel(["Hello"])
            await Talk(model, InterpreterHost(), [{**CELL_TOOL, "type": version}, WEATHER]).send()
            described.append(next(t["description"] for t in model.requests[0].tools if t["name"] == "code_execution"))
        assert ["90 seconds" in text for text in described] == [False, True]

    async def test_a_thousand_long_descriptions_are_bounded(self) -> None:
        long = [tool_from_code(f"tool_{number}", description="x" * 5000) for number in range(250)]
        model = ScriptedModel(["Hello"])
        await Talk(model, InterpreterHost(), [CELL_TOOL, *long]).send()
        described = next(tool["description"] for tool in model.requests[0].tools if tool["name"] == "code_execution")
        assert len(described) < 70_000
        assert "async def tool_249(args: dict) -> str" in described

    async def test_forcing_the_tool_forces_python(self) -> None:
        model = ScriptedModel(["Hello"])
        choice = {"type": "tool", "name": "code_execution"}
        await Talk(model, InterpreterHost()).send(tool_choice=choice)
        assert model.requests[0].tool_choice == choice


class TestVersions:
    @pytest.mark.parametrize(
        ("declared", "caller", "told"),
        [
            ("code_execution_20250825", "code_execution_20250825", "code_execution_20250825"),
            ("code_execution_20250825", "code_execution_20260120", "code_execution_20250825"),
            ("code_execution_20260120", "code_execution_20260521", "code_execution_20260120"),
            ("code_execution_20260521", "code_execution_20260120", "code_execution_20260120"),
            ("code_execution_20260521", "code_execution_20260521", "code_execution_20260120"),
            (None, "code_execution_20250825", "code_execution_20250825"),
            (None, "code_execution_20260120", "code_execution_20260120"),
            (None, "code_execution_20260521", "code_execution_20260120"),
        ],
    )
    async def test_callers_are_tagged_as_documented(self, declared: str | None, caller: str, told: str) -> None:
        """WIRE b.1, h.1: also without a declared tool."""
        code_tool = [{"type": declared, "name": "code_execution"}] if declared else []
        tools = [*code_tool, tool_from_code("get_weather", callers=(caller,))]
        talk = Talk(ScriptedModel([cell("print(await get_weather({}))")], ["Done."]), InterpreterHost(), tools)
        *_, call = content(await talk.send())
        assert call["caller"]["type"] == told
        talk.answer("sunny")
        assert content(await talk.send())[0]["content"]["stdout"] == "sunny\n"

    @pytest.mark.parametrize(
        ("version", "names"),
        [
            ("code_execution_20250522", ["code_execution"]),
            ("code_execution_20250825", ["bash_code_execution", "text_editor_code_execution"]),
            ("code_execution_20260120", ["bash_code_execution", "text_editor_code_execution", "code_execution"]),
            ("code_execution_20260521", ["bash_code_execution", "text_editor_code_execution", "code_execution"]),
        ],
    )
    async def test_what_the_model_gets(self, version: str, names: list[str]) -> None:
        model = ScriptedModel(["Hello"])
        await Talk(model, InterpreterHost(), [{"type": version, "name": "code_execution"}]).send()
        assert [tool["name"] for tool in model.requests[0].tools] == names

    @pytest.mark.parametrize(
        ("version", "seconds"), [("code_execution_20250522", 7.0), ("code_execution_20260120", 3.0)]
    )
    async def test_the_limit_of_a_cell(self, version: str, seconds: float) -> None:
        """The oldest says it by an error, as always; the others by a result that says so (WIRE a.3)."""
        host = InterpreterHost()
        host.times_out = True
        tools = [{"type": version, "name": "code_execution"}]
        limits = {"command_seconds": 7, "cell_seconds": 3}
        message = await Talk(ScriptedModel([cell("print(1)")], ["Done."]), host, tools, sandbox=limits).send()
        assert host.asked[0].timeout_seconds == seconds
        result = content(message)[1]["content"]
        if version == "code_execution_20250522":
            assert result == {"type": "code_execution_tool_result_error", "error_code": "execution_time_exceeded"}
        else:
            assert result["stdout"] == "1\n"
            assert result["return_code"] != 0
            assert "detection_timeout" in result["stderr"]

    async def test_variables_stay(self) -> None:
        model = ScriptedModel([cell("x = 21")], [cell("print(x * 2)")], ["Done."])
        message = await Talk(model, InterpreterHost()).send()
        assert content(message)[3]["content"]["stdout"] == "42\n"


class BrokenHost(InterpreterHost):
    """Fails once, at the first or at a later part of a cell."""

    def __init__(self, at_start: HostError | None = None, at_answer: HostError | None = None) -> None:
        super().__init__()
        self.at_start = at_start
        self.at_answer = at_answer

    async def run_cell(self, *given: Any) -> CellState:
        error, self.at_start = self.at_start, None
        if error is not None:
            raise error
        return await super().run_cell(*given)

    async def answer_cell(self, *given: Any) -> CellState:
        error, self.at_answer = self.at_answer, None
        if error is not None:
            raise error
        return await super().answer_cell(*given)


class TestFailures:
    ONE = cell("print(await get_weather({'city': 'x'}))")

    async def test_a_cell_that_is_gone_is_a_result_and_the_model_goes_on(self) -> None:
        host = InterpreterHost()
        model = ScriptedModel([self.ONE], ["The code was ended."])
        talk = Talk(model, host)
        await talk.send()
        host.forget()
        talk.answer("sunny")
        result, said = content(await talk.send())
        assert result["content"]["return_code"] == 1
        assert "processes of the container ended" in result["content"]["stderr"]
        assert "Files are kept" in result["content"]["stderr"]
        assert said["text"] == "The code was ended."
        assert "processes of the container ended" in str(model.requests[1].messages[-1].content)

    @pytest.mark.parametrize(
        ("error", "code"),
        [
            (InterpreterBusy("another cell waits"), "too_many_requests"),
            (TooManySandboxes("full"), "too_many_requests"),
            (UnknownContainer("gone"), "container_expired"),
            (SandboxFailed("died"), "unavailable"),
            (HostUnavailable("restarting"), "unavailable"),
        ],
    )
    async def test_what_the_host_cannot_do_is_an_error_block(self, error: HostError, code: str) -> None:
        message = await Talk(ScriptedModel([self.ONE], ["Done."]), BrokenHost(at_start=error)).send()
        assert content(message)[1]["content"] == {"type": "code_execution_tool_result_error", "error_code": code}

    @pytest.mark.parametrize("given", ['{"code": 5}', "{}", '{"code"'])
    async def test_what_is_no_code_is_an_invalid_input(self, given: str) -> None:
        message = await Talk(ScriptedModel([("code_execution", given)], ["Done."]), InterpreterHost()).send()
        assert content(message)[1]["content"]["error_code"] == "invalid_tool_input"

    async def test_an_answer_is_given_again_to_a_daemon_that_was_started_anew(self) -> None:
        host = BrokenHost(at_answer=HostUnavailable("ended"))
        talk = Talk(ScriptedModel([self.ONE], ["Done."]), host)
        await talk.send()
        talk.answer("sunny")
        assert content(await talk.send())[0]["content"]["stdout"] == "sunny\n"

    async def test_a_sandbox_that_ends_in_the_middle_is_told_to_the_model(self) -> None:
        talk = Talk(ScriptedModel([self.ONE], ["Done."]), BrokenHost(at_answer=SandboxFailed("died")))
        await talk.send()
        talk.answer("sunny")
        result = content(await talk.send())[0]["content"]
        assert (result["return_code"], result["stderr"]) == (1, "died Variables are gone.")

    async def test_results_for_another_containers_code_are_refused(self) -> None:
        cells = RememberedCells()
        host = InterpreterHost()
        talk = Talk(ScriptedModel([self.ONE], ["Done."]), host, cells=cells)
        server, _ = content(await talk.send())
        cells.elsewhere = (server["id"],)
        talk.answer("sunny")
        with pytest.raises(InvalidRequest, match="waits in another container"):
            await talk.events()
        assert host.answered == []

    @pytest.mark.parametrize("call_id", ["toolu_forged", "forged"])
    async def test_answers_to_calls_that_the_code_never_made_are_refused(self, call_id: str) -> None:
        talk = Talk(ScriptedModel([self.ONE], ["Done."]), InterpreterHost())
        await talk.send()
        talk.messages[-1]["content"][1]["id"] = call_id
        talk.answer("sunny")
        with pytest.raises(InvalidRequest, match="is no call of this cell"):
            await talk.events()


async def test_a_turn_cut_short_beside_a_waiting_cell_ends_with_its_calls() -> None:
    model = ScriptedModel([cell("await get_weather({'city': 'x'})")], stop={0: "max_tokens"})
    assert (await Talk(model, InterpreterHost()).send()).stop_reason == "tool_use"


async def test_the_record_has_the_code_its_calls_and_their_answers() -> None:
    calls: list[Call] = []
    talk = Talk(
        ScriptedModel([cell("print(await get_weather({'city': 'Oslo'}))")], ["x"]), InterpreterHost(), calls=calls
    )
    await talk.send()
    talk.answer("sunny")
    await talk.send()
    assert [call.action for call in calls] == ["cell", "tool_call", "tool_answer", "resume"]
    subjects = [str(call.subject) for call in calls]
    assert subjects[0] == "print(await get_weather({'city': 'Oslo'}))"
    assert subjects[1].endswith('get_weather {"city": "Oslo"}')
    assert subjects[2].endswith(": sunny")
    assert calls[3].exit_code == 0


def test_a_direct_call_echoed_without_its_caller_is_the_models() -> None:
    assert ToolUseBlock(id="toolu_1", name="x", input={}).cell_id is None
    assert ToolUseBlock(id="toolu_1", name="x", input={}, caller={"type": "direct"}).cell_id is None


async def test_finished_commands_have_an_end() -> None:
    """A cell that calls nothing is one request's affair."""
    host = TableHost(answers={"print(1)": Finished(return_code=3, timed_out=False, duration_seconds=0.1)})
    message = await Talk(ScriptedModel([cell("print(1)")], ["x"]), host).send()
    assert content(message)[1]["content"]["return_code"] == 3
