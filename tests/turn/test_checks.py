"""What a request must fulfil beyond its shape (WIRE c.2, c.5, c.7, k.5)."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from bathysphere.turn.checks import check
from bathysphere.wire.errors import InvalidRequest
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


def refused(*messages: dict[str, Any], **members: Any) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as caught:
        check(request(*messages, **members))
    return caught.value


def test_a_thread_is_refused_so_that_the_newest_tool_runners_go_on_without() -> None:
    error = refused(user("hi"), thread={"type": "create"})
    assert error.details == {"error_code": "thread_unsupported_request"}


@pytest.mark.parametrize("members", [{"mcp_servers": [{"type": "url"}]}, {"fallbacks": [{"model": "m"}]}])
def test_what_is_not_offered_is_refused_and_not_dropped(members: dict[str, Any]) -> None:
    assert refused(user("hi"), **members).message.startswith(next(iter(members)))


def test_an_unknown_tool_version_is_refused_with_those_that_there_are() -> None:
    error = refused(user("hi"), tools=[{"type": "code_execution_20990101", "name": "code_execution"}])
    assert error.message.startswith("tools.0.type: `code_execution_20990101`")
    assert "code_execution_20250825" in error.message


@pytest.mark.parametrize(
    "tools",
    [
        [BASH_TOOL, PYTHON_TOOL],
        [WEATHER_TOOL, WEATHER_TOOL],
        [BASH_TOOL, {"name": "bash_code_execution", "input_schema": {}}],
        [BASH_TOOL, {"name": "code_execution", "input_schema": {}}],
    ],
)
def test_tool_names_must_not_clash(tools: list[dict[str, Any]]) -> None:
    assert refused(user("hi"), tools=tools).message.startswith("tools")


@pytest.mark.parametrize("name", ["code_execution", "bash_code_execution", "get_weather"])
def test_a_declared_tool_may_be_forced(name: str) -> None:
    check(request(user("hi"), tools=[BASH_TOOL, WEATHER_TOOL], tool_choice={"type": "tool", "name": name}))


def test_a_tool_that_is_not_declared_may_not_be_forced() -> None:
    assert "'nothing'" in refused(user("hi"), tool_choice={"type": "tool", "name": "nothing"}).message


@pytest.mark.parametrize("name", [["x"], {"x": 1}, 5, None])
def test_a_forced_tool_without_a_name_is_refused(name: Any) -> None:
    assert refused(user("hi"), tool_choice={"type": "tool", "name": name}).message.startswith("tool_choice.name")


@pytest.mark.parametrize("kind", [["a"], {"a": 1}, 5])
def test_a_tool_type_that_is_no_text_is_refused(kind: Any) -> None:
    with pytest.raises(ValidationError):
        request(user("hi"), tools=[{"type": kind, "name": "x"}])


def test_an_upload_needs_the_tool() -> None:
    upload = {"type": "container_upload", "file_id": "file_1"}
    check(request(user(upload)))
    assert refused(user("x", upload), tools=None).message.startswith("messages.0.content.1.container_upload")


class TestPairing:
    def test_a_client_tools_result_comes_in_the_next_message(self) -> None:
        check(request(user("hi"), assistant(tool_call("a")), user(tool_result("a"), "and?")))

    @pytest.mark.parametrize(
        "rest",
        [
            [user("no result")],
            [user(tool_result("a"))],
            [user("x"), assistant("x"), user(tool_result("a"), tool_result("b"))],
            [],
        ],
    )
    def test_a_missing_result_is_named(self, rest: list[dict[str, Any]]) -> None:
        error = refused(user("hi"), assistant(tool_call("a"), tool_call("b")), *rest)
        assert error.message.startswith(
            "messages.1: `tool_use` ids were found without `tool_result` blocks immediately after:"
        )
        assert "toolu_b" in error.message

    @pytest.mark.parametrize("name", ["z", "a"])
    def test_a_stray_result_is_named_with_its_place(self, name: str) -> None:
        """Also one that answers a call twice."""
        messages = [user("hi"), assistant(tool_call("a")), user(tool_result("a")), user("x", tool_result(name))]
        assert refused(*messages).message.startswith(
            f"messages.3.content.1: unexpected `tool_use_id` found in `tool_result` blocks: toolu_{name}."
        )

    def test_results_of_parallel_calls_may_come_in_two_messages(self) -> None:
        check(
            request(
                user("hi"), assistant(tool_call("a"), tool_call("b")), user(tool_result("a")), user(tool_result("b"))
            )
        )

    @pytest.mark.parametrize(
        "content",
        [[tool_call("a"), tool_call("a")], [bash_call("1"), bash_result("1"), bash_call("1"), bash_result("1")]],
    )
    def test_no_id_is_used_twice(self, content: list[dict[str, Any]]) -> None:
        assert refused(user("hi"), assistant(*content)).message.endswith("ids must be unique")

    @pytest.mark.parametrize("block", [bash_call("1"), bash_result("1"), tool_call("a")])
    def test_what_only_an_assistant_says_is_refused_from_a_user(self, block: dict[str, Any]) -> None:
        assert refused(user("hi", block)).message.startswith("messages.0.content.1: `")

    def test_a_result_is_refused_from_an_assistant(self) -> None:
        assert "only be in user messages" in refused(user("hi"), assistant(tool_result("a"))).message

    def test_a_long_id_does_not_come_back_whole(self) -> None:
        error = refused(user("hi"), assistant(tool_call("a" * 100_000)), user("x"))
        assert len(error.message) < 1000

    def test_a_server_call_in_the_middle_has_its_result(self) -> None:
        check(request(user("hi"), assistant(bash_call("1"), bash_result("1"), "x"), user("more")))
        error = refused(user("hi"), assistant(bash_call("1"), "x"), user("more"))
        assert error.message == (
            "messages.1: `bash_code_execution` tool use with id `srvtoolu_1` was found without a corresponding "
            "`bash_code_execution_tool_result` block"
        )

    def test_a_server_result_has_its_call_before_it(self) -> None:
        error = refused(user("hi"), assistant("x", bash_result("1")), user("more"))
        assert error.message.startswith("messages.1.content.1: unexpected `tool_use_id` found")

    def test_a_foreign_server_tool_is_named_with_its_place(self) -> None:
        call = bash_call("1") | {"name": "web_search"}
        assert refused(user("hi"), assistant(call)).message.startswith("messages.1.content.0.server_tool_use.name")


class TestPending:
    def test_a_trailing_call_of_a_paused_turn_waits_to_be_run(self) -> None:
        checked = check(request(user("hi"), assistant(bash_call("1"), bash_result("1"), bash_call("2"))))
        assert [call.id for call in checked.pending] == ["srvtoolu_2"]

    def test_a_call_beside_a_client_tools_waits_for_the_clients_results(self) -> None:
        checked = check(request(user("hi"), assistant(bash_call("1"), tool_call("a")), user(tool_result("a"))))
        assert [call.id for call in checked.pending] == ["srvtoolu_1"]

    def test_text_after_the_results_is_refused(self) -> None:
        messages = [user("hi"), assistant(bash_call("1"), tool_call("a")), user(tool_result("a"), "text")]
        assert refused(*messages).message.startswith("messages.1: `bash_code_execution` tool use with id `srvtoolu_1`")

    def test_the_tool_must_still_be_declared(self) -> None:
        error = refused(user("hi"), assistant(bash_call("1")), tools=[WEATHER_TOOL])
        assert error.message.endswith("but no `code_execution` tool was provided")

    def test_a_system_message_does_not_stand_between(self) -> None:
        system = {"role": "system", "content": "Be brief."}
        checked = check(request(user("hi"), assistant(bash_call("1"), tool_call("a")), user(tool_result("a")), system))
        assert len(checked.pending) == 1

    def test_nothing_waits_in_an_ordinary_conversation(self) -> None:
        assert check(request(user("hi"), assistant("x"), user("y"))).pending == ()
