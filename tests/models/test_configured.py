"""Which model a name reaches: the table's order, what is found without a table, and what is refused at the start."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from bathysphere.cli.doctor import doctor
from bathysphere.cli.models import models as command
from bathysphere.cli.serve import serve
from bathysphere.models.base import SampleRequest, UpstreamMessage
from bathysphere.models.configured import ConfiguredModels
from bathysphere.models.demo import DemoModel
from bathysphere.models.prompted_tools import PromptedTools
from bathysphere.settings import ModelSettings, SettingsError
from bathysphere.wire.errors import NotFound
from tests.models.folding import fold
from tests.models.scripted_upstream import Say, ScriptedUpstream, Turn


def entry(match: str, backend: str = "demo", **more: object) -> ModelSettings:
    return ModelSettings.model_validate({"match": match, "backend": backend, **more})


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port on which nothing listens for as long as the test runs: it is bound, and that is all."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


async def test_the_first_match_wins() -> None:
    table = [
        entry("claude-opus-*", "anthropic", base_url="http://127.0.0.1:9", model="up"),
        entry("claude-*", "openai", base_url="http://127.0.0.1:9/v1", tool_calls="prompt"),
        entry("demo"),
    ]
    models = await ConfiguredModels.open(table, {})
    assert models.choose("claude-opus-5")[1].model == "up"
    other, choice = models.choose("claude-sonnet-4-5")
    assert isinstance(other, PromptedTools) and choice.backend == "openai"
    assert isinstance(models.choose("demo")[0], DemoModel)
    assert models.names() == ["demo"], "only names that reach what they promise are listed"
    assert "entry 1" in models.describe()[0] and "claude-opus-* -> anthropic at http" in models.describe()[0]
    with pytest.raises(NotFound, match=r"^model: gpt-9 \(this server knows: claude-opus-\*, claude-\*, demo\)$"):
        models.choose("gpt-9")
    await models.close()


async def test_a_named_key_must_be_set_and_is_the_one_that_is_sent(upstream: ScriptedUpstream) -> None:
    table = [entry("*", "anthropic", base_url=upstream.url, api_key_env="MY_KEY")]
    with pytest.raises(SettingsError, match="api_key_env names MY_KEY"):
        await ConfiguredModels.open(table, {})
    models = await ConfiguredModels.open(table, {"MY_KEY": "mine", "ANTHROPIC_API_KEY": "not this"})
    upstream.play(Turn(Say("ok")))
    model, _ = models.choose("claude")
    message = UpstreamMessage("user", [{"type": "text", "text": "hi"}])
    await fold(model.sample(SampleRequest("claude", 9, [message])))
    await models.close()
    assert upstream.requests[0].headers["x-api-key"] == "mine"


@pytest.mark.parametrize("backend", ["anthropic", "openai"])
async def test_the_usual_key_is_not_sent_to_another_address(upstream: ScriptedUpstream, backend: str) -> None:
    url = upstream.url if backend == "anthropic" else upstream.openai_url
    keys = {"ANTHROPIC_API_KEY": "sk-usual", "OPENAI_API_KEY": "sk-usual"}
    models = await ConfiguredModels.open([entry("*", backend, base_url=url)], keys)
    upstream.play(Turn(Say("ok")))
    model, _ = models.choose("claude")
    message = UpstreamMessage("user", [{"type": "text", "text": "hi"}])
    await fold(model.sample(SampleRequest("claude", 9, [message])))
    await models.close()
    assert "sk-usual" not in str(upstream.requests[0].headers)


@pytest.mark.parametrize(
    ("made", "why"),
    [
        (entry("*", "anthropic"), "no key for api.anthropic.com"),
        (entry("*", "openai"), "neither a key"),
        (entry("*", "openai", base_url="localhost:11434"), "must begin with http"),
        (entry("*", "bedrock", api_key_env="K"), "set region in this entry, or AWS_REGION"),
        (entry("*", "vertex", api_key_env="K"), "set region in this entry, or CLOUD_ML_REGION"),
    ],
)
async def test_what_cannot_work_is_refused_at_the_start(
    made: ModelSettings, why: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE", "CLOUD_ML_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    with pytest.raises(SettingsError, match=why):
        await ConfiguredModels.open([made], {"K": "key"})


@pytest.mark.parametrize(
    ("variables", "backend", "why"),
    [
        ({"ANTHROPIC_API_KEY": "k", "OPENAI_API_KEY": "k"}, "anthropic", "ANTHROPIC_API_KEY is set"),
        ({"OPENAI_BASE_URL": "http://127.0.0.1:9/v1"}, "openai", "OPENAI_BASE_URL is set"),
        ({"OPENAI_API_KEY": "k"}, "openai", "OPENAI_API_KEY is set"),
        ({"ANTHROPIC_API_KEY": "  "}, "demo", "none was found"),
    ],
)
async def test_without_a_table_the_environment_decides(variables: dict[str, str], backend: str, why: str) -> None:
    models = await ConfiguredModels.open([], variables, local_ports=[])
    _, choice = models.choose("claude-anything")
    assert choice.backend == backend and why in choice.why
    await models.close()


async def test_a_local_server_is_found_and_its_first_model_used(closed_port: int) -> None:
    with ScriptedUpstream(models=["qwen3:8b", "other"]) as server:
        ports = [("Nobody", closed_port), ("Ollama", server.port)]
        models = await ConfiguredModels.open([], {}, local_ports=ports)
        model, choice = models.choose("claude-opus-5")
        assert (choice.backend, choice.model, choice.base_url) == ("openai", "qwen3:8b", server.openai_url)
        assert models.names() == ["qwen3:8b"]
        assert any("Nobody" in line and "nothing listens" in line for line in models.looked)
        server.play(Turn(Say("from next door")))
        message = UpstreamMessage("user", [{"type": "text", "text": "hi"}])
        assert (await fold(model.sample(SampleRequest("claude-opus-5", 9, [message])))).text == "from next door"
        assert server.requests[0].body["model"] == "qwen3:8b"
        await models.close()


async def test_a_server_without_models_is_not_used() -> None:
    with ScriptedUpstream(models=[]) as server:
        models = await ConfiguredModels.open([], {}, local_ports=[("Ollama", server.port)])
    assert models.choices[0].backend == "demo"
    assert "without any model" in models.looked[-1]


async def test_this_server_is_never_its_own_upstream(upstream: ScriptedUpstream) -> None:
    variables = {"ANTHROPIC_API_KEY": "k", "ANTHROPIC_BASE_URL": upstream.url}
    ports = [("vLLM", upstream.port)]
    models = await ConfiguredModels.open([], variables, own_port=upstream.port, local_ports=ports)
    assert models.choices[0].backend == "demo"
    assert "points to this server itself" in models.looked[0]


async def test_addresses_on_this_machine_that_do_not_answer_are_named(closed_port: int) -> None:
    with ScriptedUpstream() as server:
        here, gone = server.openai_url, f"http://localhost:{closed_port}/v1"
        elsewhere = "https://192.0.2.1/v1"
        table = [entry(name, "openai", base_url=url) for name, url in (("a", here), ("b", gone), ("c", elsewhere))]
        models = await ConfiguredModels.open(table, {})
        assert await models.silent() == [f"nothing answers at {gone} yet"]
        await models.close()


SDKS = "import sys; print(*sorted({'anthropic', 'openai'} & set(sys.modules)))"


@pytest.mark.parametrize(
    ("table", "imported"),
    [('backend="demo"', ""), ('backend="openai", base_url="http://127.0.0.1:9"', "openai")],
)
def test_only_the_sdk_that_an_entry_needs_is_imported(table: str, imported: str) -> None:
    program = (
        "import asyncio, bathysphere.api.server\n"
        "from bathysphere.models.configured import ConfiguredModels\n"
        "from bathysphere.settings import ModelSettings\n"
        f"asyncio.run(ConfiguredModels.open([ModelSettings({table})], {{}}))\n"
    )
    done = subprocess.run([sys.executable, "-c", program + SDKS], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == imported


def test_the_command_reads_the_file_that_serve_would_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bathysphere.toml").write_text('[[models]]\nmatch = "only-this"\nbackend = "demo"\n')
    shown = CliRunner().invoke(command, [])
    assert "only-this -> demo" in shown.output and str(tmp_path / "bathysphere.toml") in shown.output
    (tmp_path / "bathysphere.toml").write_text("[[models]")
    for program in (command, doctor, serve):
        refused = CliRunner().invoke(program, [])
        assert refused.exit_code == 1 and "not valid TOML" in refused.output


def test_the_command_prints_the_table_and_looks_names_up(tmp_path: Path) -> None:
    config = tmp_path / "bathysphere.toml"
    config.write_text('[[models]]\nmatch = "demo-*"\nbackend = "demo"\n')
    shown = CliRunner().invoke(command, ["--config", str(config), "demo-1"])
    assert shown.exit_code == 0 and "demo-1 -> demo (pattern demo-*)" in shown.output
    missed = CliRunner().invoke(command, ["--config", str(config), "claude"])
    assert missed.exit_code == 1 and "404" in missed.output


def test_the_command_says_what_is_wrong_with_the_configuration(tmp_path: Path) -> None:
    config = tmp_path / "bathysphere.toml"
    config.write_text('[[models]]\nbackend = "anthropic"\napi_key_env = "BATHYSPHERE_TEST_UNSET"\n')
    shown = CliRunner().invoke(command, ["--config", str(config)])
    assert shown.exit_code == 1 and "BATHYSPHERE_TEST_UNSET" in shown.output
