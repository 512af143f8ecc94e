"""What a model is shown of a conversation (DESIGN 2, WIRE b.6, b.7, c.4, c.5)."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bathysphere.models.base import UpstreamMessage
from bathysphere.turn.transcript import upstream_messages
from tests.turn.conversation import (
    assistant,
    bash_call,
    bash_result,
    request,
    tool_call,
    tool_result,
    user,
)


def told(*messages: dict[str, Any], filenames: dict[str, str] | None = None) -> list[UpstreamMessage]:
    return upstream_messages(request(*messages).messages, filenames or {})


def outline(messages: list[UpstreamMessage]) -> list[tuple[str, list[str]]]:
    """Roles, and for each block its type with the id or text that tells it apart."""
    return [
        (
            message.role,
            [
                f"{block['type']}:{block.get('id') or block.get('tool_use_id') or block.get('text')}"
                for block in message.content
            ],
        )
        for message in messages
    ]


def test_a_call_ends_the_assistants_message_and_its_result_opens_the_users() -> None:
    assert outline(told(user("hi"), assistant("a", bash_call("1"), bash_result("1"), "b"), user("more"))) == [
        ("user", ["text:hi"]),
        ("assistant", ["text:a", "tool_use:srvtoolu_1"]),
        ("user", ["tool_result:srvtoolu_1"]),
        ("assistant", ["text:b"]),
        ("user", ["text:more"]),
    ]


def test_calls_made_one_after_another_are_told_one_after_another() -> None:
    content = [bash_call("1"), bash_result("1"), bash_call("2"), bash_result("2")]
    assert outline(told(user("hi"), assistant(*content))) == [
        ("user", ["text:hi"]),
        ("assistant", ["tool_use:srvtoolu_1"]),
        ("user", ["tool_result:srvtoolu_1"]),
        ("assistant", ["tool_use:srvtoolu_2"]),
        ("user", ["tool_result:srvtoolu_2"]),
    ]


def test_a_client_tool_called_after_a_result_was_not_called_beside_it() -> None:
    messages = [user("hi"), assistant(bash_call("1"), bash_result("1"), tool_call("a")), user(tool_result("a"))]
    assert outline(told(*messages)) == [
        ("user", ["text:hi"]),
        ("assistant", ["tool_use:srvtoolu_1"]),
        ("user", ["tool_result:srvtoolu_1"]),
        ("assistant", ["tool_use:toolu_a"]),
        ("user", ["tool_result:toolu_a"]),
    ]


def test_parallel_calls_stay_together_and_their_results_too() -> None:
    content = [bash_call("1"), bash_call("2"), bash_result("1"), bash_result("2"), "done"]
    assert outline(told(user("hi"), assistant(*content))) == [
        ("user", ["text:hi"]),
        ("assistant", ["tool_use:srvtoolu_1", "tool_use:srvtoolu_2"]),
        ("user", ["tool_result:srvtoolu_1", "tool_result:srvtoolu_2"]),
        ("assistant", ["text:done"]),
    ]


def test_a_result_in_a_later_message_is_told_beside_the_clients() -> None:
    """A server tool that was called beside a client tool ran one request later (WIRE c.5)."""
    messages = [
        user("hi"),
        assistant(bash_call("1"), tool_call("a")),
        user(tool_result("a")),
        assistant(bash_result("1"), "done"),
    ]
    assert outline(told(*messages)) == [
        ("user", ["text:hi"]),
        ("assistant", ["tool_use:srvtoolu_1", "tool_use:toolu_a"]),
        ("user", ["tool_result:srvtoolu_1", "tool_result:toolu_a"]),
        ("assistant", ["text:done"]),
    ]


def test_a_paused_turn_goes_on_over_two_assistant_messages() -> None:
    messages = [
        user("hi"),
        assistant("a", bash_call("1")),
        assistant(bash_result("1"), bash_call("2"), bash_result("2")),
    ]
    assert outline(told(*messages)) == [
        ("user", ["text:hi"]),
        ("assistant", ["text:a", "tool_use:srvtoolu_1"]),
        ("user", ["tool_result:srvtoolu_1"]),
        ("assistant", ["tool_use:srvtoolu_2"]),
        ("user", ["tool_result:srvtoolu_2"]),
    ]


def test_the_model_sees_output_and_return_code_but_not_the_list_of_files() -> None:
    result = told(user("hi"), assistant(bash_call("1"), bash_result("1", "42\n")))[-1].content[0]
    assert json.loads(result["content"][0]["text"]) == {"stdout": "42\n", "stderr": "", "return_code": 0}


def test_a_result_is_told_in_the_same_words_whatever_order_its_members_come_back_in() -> None:
    result = bash_result("1", "42\n")
    turned = result | {"content": dict(reversed(result["content"].items()))}
    assert told(user("hi"), assistant(bash_call("1"), result)) == told(user("hi"), assistant(bash_call("1"), turned))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"error_code": "execution_time_exceeded"}, "The command ran longer than it may"),
        ({"error_code": "file_not_found", "error_message": "no a.txt"}, "no a.txt"),
        ({"error_code": "made_up_by_a_client"}, "The call failed."),
    ],
)
def test_an_error_is_told_with_its_meaning(content: dict[str, Any], message: str) -> None:
    block = {
        "type": "bash_code_execution_tool_result",
        "tool_use_id": "srvtoolu_1",
        "content": {"type": "bash_code_execution_tool_result_error", **content},
    }
    result = told(user("hi"), assistant(bash_call("1"), block))[-1].content[0]
    assert result["is_error"] is True
    said = json.loads(result["content"][0]["text"])
    assert said["error_code"] == content["error_code"]
    assert said["message"].startswith(message)


def test_the_older_spelling_of_editor_results_is_not_told_twice() -> None:
    block = {
        "type": "text_editor_code_execution_tool_result",
        "tool_use_id": "srvtoolu_1",
        "content": {
            "type": "text_editor_code_execution_view_result",
            "file_type": "text",
            "content": "x",
            "num_lines": 1,
            "start_line": 1,
            "total_lines": 1,
            "numLines": 1,
            "startLine": 1,
            "totalLines": 1,
        },
    }
    result = told(user("hi"), assistant(bash_call("1"), block))[-1].content[0]
    assert set(json.loads(result["content"][0]["text"])) == {
        "file_type",
        "content",
        "num_lines",
        "start_line",
        "total_lines",
    }


def test_an_image_that_the_editor_opened_is_shown_as_an_image() -> None:
    block = {
        "type": "text_editor_code_execution_tool_result",
        "tool_use_id": "srvtoolu_1",
        "content": {
            "type": "text_editor_code_execution_view_result",
            "file_type": "image",
            "content": "/9j/AAAA",
            "num_lines": None,
            "start_line": None,
            "total_lines": None,
        },
    }
    result = told(user("hi"), assistant(bash_call("1"), block))[-1].content[0]
    assert result["content"] == [
        {"type": "image", "source": {"type": "base64", "media_type": "image/jpeg", "data": "/9j/AAAA"}}
    ]


def test_a_pdf_that_the_editor_opened_is_shown_as_a_document() -> None:
    block = {
        "type": "text_editor_code_execution_tool_result",
        "tool_use_id": "srvtoolu_1",
        "content": {"type": "text_editor_code_execution_view_result", "file_type": "pdf", "content": "JVBERg=="},
    }
    result = told(user("hi"), assistant(bash_call("1"), block))[-1].content[0]
    (shown,) = result["content"]
    assert (shown["type"], shown["source"]["media_type"]) == ("document", "application/pdf")


def test_results_in_two_messages_are_told_in_one_and_first() -> None:
    messages = [
        user("hi"),
        assistant(tool_call("a"), tool_call("b")),
        user(tool_result("a"), "first"),
        user(tool_result("b")),
    ]
    assert outline(told(*messages))[-1] == ("user", ["tool_result:toolu_a", "tool_result:toolu_b", "text:first"])


def test_an_upload_is_told_as_a_sentence_with_its_place() -> None:
    upload = {"type": "container_upload", "file_id": "file_1"}
    (message,) = told(user("look", upload), filenames={"file_1": "data.csv"})
    assert message.content[1] == {
        "type": "text",
        "text": 'The file "data.csv" has been uploaded to the container at $INPUT_DIR/data.csv.',
    }


def test_what_only_the_wire_knows_is_left_out() -> None:
    """Upstreams refuse ``caller``, null ``citations`` and empty text."""
    empty = {"type": "text", "text": ""}
    cited = {"type": "text", "text": "x", "citations": None, "parsed_output": {"a": 1}}
    call = {**tool_call("a"), "toolset_name": None}
    messages = told(user("hi"), assistant(empty, cited, call), user(tool_result("a") | {"cache_control": None}))
    assert messages[1].content == [
        {"type": "text", "text": "x"},
        {"type": "tool_use", "id": "toolu_a", "name": "get_weather", "input": {}},
    ]


def test_a_system_message_does_not_come_between_a_call_and_its_result() -> None:
    """Upstreams refuse that."""
    system = {"role": "system", "content": "Be brief."}
    messages = [user("hi"), assistant(tool_call("a")), system, user(tool_result("a")), system]
    assert [message.role for message in told(*messages)] == ["user", "assistant", "user", "system", "system"]


def test_thinking_keeps_its_signature_and_its_place() -> None:
    thinking = {"type": "thinking", "thinking": "hm", "signature": "s1"}
    messages = told(user("hi"), assistant(thinking, bash_call("1"), bash_result("1"), "x"))
    assert messages[1].content[0] == thinking


@given(st.lists(st.lists(st.integers(1, 3), min_size=1, max_size=4), max_size=5))
def test_every_call_is_answered_once_right_after_it(rounds: list[list[int]]) -> None:
    """Whatever the number of rounds and of parallel calls in each, and wherever the messages are cut."""
    content: list[Any] = []
    for number, calls in enumerate(rounds):
        names = [f"{number}_{place}_{size}" for place, size in enumerate(calls)]
        content += ["text", *map(bash_call, names), *map(bash_result, names)]
    messages = told(user("hi"), assistant(*content, "end"))
    for message, answer in itertools.pairwise(messages):
        calls_made = [block["id"] for block in message.content if block["type"] == "tool_use"]
        answers = [block["tool_use_id"] for block in answer.content if block["type"] == "tool_result"]
        assert calls_made == answers
    assert [message.role for message in messages] == ["user", *["assistant", "user"] * len(rounds), "assistant"]
