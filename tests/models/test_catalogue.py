"""The table of Anthropic's models, and what is listed of the configured ones."""

from __future__ import annotations

import pytest

from bathysphere.models.catalogue import known, known_models
from bathysphere.models.configured import ConfiguredModels
from bathysphere.models.listing import described, listed
from bathysphere.settings import ModelSettings
from bathysphere.wire.errors import NotFound
from bathysphere.wire.tools import VERSIONS

KEY = {"ANTHROPIC_API_KEY": "k"}


@pytest.mark.parametrize(
    "name",
    [
        "claude-opus-4-5",
        "claude-opus-4-5-20251101",
        "claude-opus-4-5@20251101",
        "anthropic.claude-opus-4-5-20251101-v1:0",
        "us.anthropic.claude-opus-4-5-20251101-v1:0",
        "apac.anthropic.claude-opus-4-5-20251101-v1:0",
    ],
)
def test_one_model_under_the_names_that_each_cloud_gives_it(name: str) -> None:
    found = known(name)
    assert found is not None and found.id == "claude-opus-4-5-20251101"


@pytest.mark.parametrize(
    "name", ["", "gpt-9", "claude-opus-4-5-turbo", "my-claude-opus-4-5", "claude-", "claude-4" * 999]
)
def test_any_other_name_is_not_known(name: str) -> None:
    assert known(name) is None


def test_the_rows_are_right() -> None:
    names = [name for model in known_models().values() for name in (model.id, *model.aliases)]
    assert len(set(names)) == len(names)
    for model in known_models().values():
        assert set(model.tool_versions) <= set(VERSIONS)
        assert model.lifecycle == "active" or model.retires_at is not None


async def models(*entries: dict[str, str]) -> ConfiguredModels:
    return await ConfiguredModels.open([ModelSettings.model_validate(entry) for entry in entries], KEY)


async def test_plain_names_are_listed_and_globs_by_what_stands_behind_them() -> None:
    configured = await models(
        {"match": "claude-sonnet-*", "backend": "anthropic"},
        {"match": "house", "backend": "openai", "base_url": "http://127.0.0.1:9/v1", "model": "qwen3:8b"},
        {"match": "*", "backend": "openai", "base_url": "http://127.0.0.1:9/v1", "model": "qwen3:8b"},
    )
    names = [model.id for model in listed(configured)]
    assert names[0] == "claude-sonnet-4-6", "the most recently released first"
    assert {"house", "qwen3:8b", "claude-sonnet-5", "claude-sonnet-4-5-20250929"} < set(names)
    assert not any(name.startswith("claude-opus") for name in names)
    await configured.close()


async def test_names_behind_a_glob_of_a_local_server_are_not_guessed() -> None:
    configured = await models({"match": "*", "backend": "openai", "base_url": "http://127.0.0.1:9/v1"})
    assert listed(configured) == []
    assert described(configured, "anything").lifecycle == "active"
    await configured.close()


async def test_what_is_known_of_a_model_is_told_where_it_is_that_model() -> None:
    configured = await models(
        {"match": "claude-sonnet-4-5", "backend": "anthropic"},
        {"match": "best", "backend": "bedrock", "region": "r", "model": "anthropic.claude-haiku-4-5-20251001-v1:0"},
        {"match": "claude-opus-4-1", "backend": "demo"},
    )
    sonnet = described(configured, "claude-sonnet-4-5")
    assert (sonnet.display_name, sonnet.lifecycle, sonnet.line) == ("Claude Sonnet 4.5", "deprecated", "sonnet")
    assert sonnet.model_dump(mode="json")["retires_at"] == "2026-11-30T00:00:00Z"
    assert sonnet.capabilities.code_execution.supported
    haiku = described(configured, "best")
    assert haiku.id == "best" and haiku.display_name == "Claude Haiku 4.5" and haiku.max_tokens == 64000
    assert not haiku.capabilities.code_execution.supported and haiku.capabilities.server_tools.code_execution.supported
    stand_in = described(configured, "claude-opus-4-1")
    assert stand_in.line is None and not stand_in.capabilities.image_input.supported
    with pytest.raises(NotFound, match="model: claude-opus-4-0"):
        described(configured, "claude-opus-4-0")
    await configured.close()
