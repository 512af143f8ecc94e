"""Which model takes which version of the tool (WIRE a.1)."""

from __future__ import annotations

from typing import Any

import pytest

from bathysphere.models.catalogue import known_models
from bathysphere.models.configured import Choice
from bathysphere.turn.checks import check
from bathysphere.turn.model_support import check_support
from bathysphere.wire.errors import InvalidRequest
from bathysphere.wire.requests import MessagesRequest
from bathysphere.wire.tools import VERSIONS

NEWER = ("code_execution_20260120", "code_execution_20260521")
OLD_MODELS = (
    "claude-opus-4-1-20250805",
    "claude-opus-4-20250514",
    "claude-sonnet-4-20250514",
    "claude-3-7-sonnet-20250219",
    "claude-3-5-haiku-20241022",
)


def ask(name: str, tools: list[dict[str, Any]], backend: str = "anthropic", upstream: str | None = None) -> None:
    request = MessagesRequest.model_validate(
        {"model": name, "max_tokens": 1, "messages": [{"role": "user", "content": "hi"}], "tools": tools}
    )
    check_support(name, Choice("*", backend, None, upstream, "test"), check(request))


def declared(version: str) -> list[dict[str, Any]]:
    return [{"type": version, "name": "code_execution"}]


@pytest.mark.parametrize("model", known_models())
@pytest.mark.parametrize("version", VERSIONS)
def test_every_pair(model: str, version: str) -> None:
    if model in OLD_MODELS and version in NEWER:
        with pytest.raises(InvalidRequest) as caught:
            ask(model, declared(version))
        assert caught.value.message == (
            f"'{model}' does not support tool types: {version}. "
            "Did you mean one of code_execution_20250522, code_execution_20250825?"
        )
    else:
        ask(model, declared(version))


def test_an_alias_and_a_clouds_name_are_the_same_model() -> None:
    for name in ("claude-opus-4-0", "anthropic.claude-opus-4-20250514-v1:0", "claude-opus-4@20250514"):
        with pytest.raises(InvalidRequest, match="does not support"):
            ask(name, declared(NEWER[0]))


def test_the_model_that_is_asked_decides_and_not_what_the_client_calls_it() -> None:
    with pytest.raises(InvalidRequest, match="'house' does not support"):
        ask("house", declared(NEWER[0]), upstream="claude-sonnet-4-20250514")
    ask("claude-sonnet-4-20250514", declared(NEWER[0]), upstream="claude-sonnet-5")


def test_a_version_that_only_the_callers_of_tools_name() -> None:
    tool = {"name": "look", "input_schema": {"type": "object"}, "allowed_callers": [NEWER[0]]}
    with pytest.raises(InvalidRequest, match=r"^tools: `allowed_callers`: 'claude-opus-4-0' does not support"):
        ask("claude-opus-4-0", [tool])


@pytest.mark.parametrize("version", VERSIONS)
def test_unknown_and_local_models_take_every_version(version: str) -> None:
    ask("claude-next", declared(version))
    ask("claude-opus-4-0", declared(version), backend="openai")
    ask("claude-opus-4-0", declared(version), backend="demo")


def test_a_request_without_the_tool_is_not_asked() -> None:
    ask("claude-opus-4-0", [])
