"""The shape of a request: what is accepted, and how a fault is named (WIRE b, c.1, c.2, c.7, j)."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from bathysphere.wire.requests import MessagesRequest

USER = {"role": "user", "content": "hi"}


def parsed(**members: Any) -> MessagesRequest:
    return MessagesRequest.model_validate({"model": "m", "max_tokens": 1, "messages": [USER]} | members)


def place_of_fault(**members: Any) -> str:
    with pytest.raises(ValidationError) as caught:
        parsed(**members)
    return ".".join(map(str, caught.value.errors()[0]["loc"]))


def test_a_string_stands_for_one_text_block() -> None:
    request = parsed(system="Be kind.")
    assert [block.wire() for block in request.messages[0].content] == [{"type": "text", "text": "hi"}]
    assert request.system is not None
    assert [block.wire() for block in request.system] == [{"type": "text", "text": "Be kind."}]


@pytest.mark.parametrize(
    ("given", "container_id"), [("container_1", "container_1"), ({"id": "container_1"}, "container_1"), ({}, None)]
)
def test_a_container_is_a_string_or_an_object(given: Any, container_id: str | None) -> None:
    request = parsed(container=given)
    assert request.container is not None
    assert request.container.id == container_id
    assert parsed(container=None).container is None


@pytest.mark.parametrize(
    "members",
    [
        {"metadata": {"user_id": "u"}},
        {"service_tier": "auto"},
        {"speed": "fast"},
        {"inference_geo": "eu"},
        {"cache_control": {"type": "ephemeral"}},
        {"thinking": {"type": "adaptive"}},
        {"output_config": {"effort": "low"}},
        {"diagnostics": {"previous_message_id": "msg_1"}},
        {"context_management": {"edits": []}},
        {"betas": []},
        {"temperature": 1.0, "top_p": 0.9, "top_k": 3},
        {"system": [{"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}}]},
        {"messages": [{"role": "system", "content": "x"}, USER]},
        {
            "tools": [
                {
                    "name": "t",
                    "input_schema": {"type": "object"},
                    "type": None,
                    "defer_loading": True,
                    "strict": True,
                    "eager_input_streaming": True,
                    "input_examples": [{}],
                    "cache_control": {"type": "ephemeral"},
                }
            ]
        },
        {"tools": [{"type": "text_editor_20250728", "name": "str_replace_based_edit_tool"}]},
        {
            "messages": [
                USER,
                {
                    "role": "assistant",
                    "content": [
                        {"type": "thinking", "thinking": "", "signature": "s"},
                        {"type": "redacted_thinking", "data": "d"},
                        {"type": "text", "text": "x", "citations": None, "parsed_output": None},
                        {"type": "server_tool_use", "id": "srvtoolu_1", "name": "bash_code_execution", "input": {}},
                    ],
                },
            ]
        },
    ],
)
def test_everything_that_clients_send_is_accepted(members: dict[str, Any]) -> None:
    parsed(**members)


@pytest.mark.parametrize(
    ("members", "place"),
    [
        ({"messages": []}, "messages"),
        ({"max_tokens": -1}, "max_tokens"),
        ({"max_tokens": "many"}, "max_tokens"),
        ({"model": ""}, "model"),
        ({"messages": [{"role": "robot", "content": "x"}]}, "messages.0.role"),
        ({"messages": [{"role": "user", "content": 5}]}, "messages.0.content"),
        (
            {"messages": [USER, {"role": "user", "content": [{"type": "text", "text": "x"}, {"type": "tool_result"}]}]},
            "messages.1.content.1.tool_result.tool_use_id",
        ),
        ({"messages": [{"role": "user", "content": [{"type": "hologram"}]}]}, "messages.0.content.0"),
        ({"tools": [{"name": "a b", "input_schema": {}}]}, "tools.0.custom.name"),
        ({"tools": [{"name": "a"}]}, "tools.0.custom.input_schema"),
        ({"tools": [{"type": "code_execution_20250825", "name": "python"}]}, "tools.0.code_execution.name"),
        (
            {"tools": [{"type": "code_execution_20250825", "name": "code_execution", "cpus": 8}]},
            "tools.0.code_execution.cpus",
        ),
        ({"container": {"id": "container_1", "memory": 5}}, "container.memory"),
    ],
)
def test_a_fault_is_named_by_its_path(members: dict[str, Any], place: str) -> None:
    assert place_of_fault(**members) == place


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize("text", ["half a \ud83d", {"deep": ["\udc00"]}])
def test_half_a_character_is_refused(text: Any) -> None:
    with pytest.raises(ValidationError, match="surrogate"):
        parsed(metadata={"user_id": text})


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_what_is_no_number_is_refused(number: float) -> None:
    """Python reads ``NaN`` and ``1e999`` where JSON has neither."""
    with pytest.raises(ValidationError, match="NaN or a number that is too large"):
        parsed(temperature=number)


def test_depth_is_bounded() -> None:
    parsed(metadata=nested(100))
    with pytest.raises(ValidationError, match="nested deeper"):
        parsed(metadata=nested(200))


def test_a_list_of_faults_is_one_fault() -> None:
    for members in (
        {"system": [0] * 1000},
        {"tools": [0] * 1000},
        {"messages": [{"role": "user", "content": [0] * 1000}]},
    ):
        with pytest.raises(ValidationError) as caught:
            parsed(**members)
        assert caught.value.error_count() == 1


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=20,
)
blocks = st.dictionaries(
    st.sampled_from(["type", "text", "id", "name", "input", "content", "tool_use_id", "file_id", "source"]),
    json_values
    | st.sampled_from(["text", "tool_use", "tool_result", "server_tool_use", "container_upload", "thinking"]),
)


@given(
    st.dictionaries(
        st.sampled_from(["model", "max_tokens", "messages", "system", "tools", "container", "tool_choice", "thinking"]),
        json_values
        | st.lists(blocks, max_size=3)
        | st.lists(
            st.fixed_dictionaries({"role": st.just("user"), "content": st.lists(blocks, max_size=3)}), max_size=3
        ),
    )
)
def test_rubbish_is_refused_and_nothing_else_happens(body: dict[str, Any]) -> None:
    """Whatever JSON comes: a request, or a ValidationError that says where."""
    try:
        MessagesRequest.model_validate(body)
    except ValidationError as error:
        assert error.errors()[0]["msg"]
