"""Each client has the same conversation with a server of ours: streaming, with a file out, then a second question.

Not named like a test, because the clients bring 190 packages along, which the other tests need not wait for.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.clients.environments import made_once, node, npm_install, python_environment, run_process
from tests.clients.scripted_model import check_history
from tests.models.scripted_upstream import ScriptedUpstream
from tests.other_clients import script
from tests.server import Server, free_port, running_server

HERE = Path(__file__).parent
GATEWAY_KEY = "sk-of-the-gateway"
GATEWAY_SECONDS = 120.0
# LiteLLM otherwise asks the internet for prices and headers each time it starts.
OFFLINE = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_LOCAL_ANTHROPIC_BETA_HEADERS": "True"}


class Served(NamedTuple):
    """A server of ours, the model behind it, and LiteLLM's proxy in front of it."""

    server: Server
    upstream: ScriptedUpstream
    gateway: str


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("served")
    with ScriptedUpstream() as upstream:
        upstream.respond = script.respond
        entry = {"match": "claude-*", "backend": "anthropic", "base_url": upstream.url, "api_key_env": "UPSTREAM_KEY"}
        with running_server(folder, [entry], environment={"UPSTREAM_KEY": "k"}) as server, gateway(server) as address:
            yield Served(server, upstream, address)


@contextmanager
def gateway(server: Server) -> Iterator[str]:
    """LiteLLM's proxy with one model, which is ours; yields its address."""
    folder = server.data.parent / "gateway"
    folder.mkdir()
    parameters = {"model": "anthropic/claude-*", "api_base": server.base_url, "api_key": server.key}
    config = {
        "model_list": [{"model_name": "claude-*", "litellm_params": parameters}],
        "general_settings": {"master_key": GATEWAY_KEY},
    }
    (folder / "config.yaml").write_text(json.dumps(config))  # JSON is YAML
    port = free_port()
    command = [
        str(program("litellm", "litellm")),
        "--config",
        "config.yaml",
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
    ]
    # For what it passes through as it is, below /anthropic.
    passing = {"ANTHROPIC_API_BASE": server.base_url, "ANTHROPIC_API_KEY": server.key}
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder)} | passing | OFFLINE
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log)
    try:
        address = f"http://127.0.0.1:{port}"
        wait_until_ready(process, f"{address}/health/liveliness", folder / "log")
        yield address
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


def wait_until_ready(process: subprocess.Popen[bytes], address: str, log: Path) -> None:
    deadline = time.monotonic() + GATEWAY_SECONDS
    while True:
        try:
            urllib.request.urlopen(address).close()
            return
        except urllib.error.URLError:
            assert process.poll() is None and time.monotonic() < deadline, log.read_text()
            time.sleep(0.2)


def program(environment: str, name: str) -> Path:
    """A program of one of the environments here, which is made when it is first needed."""
    return python_environment(environment, HERE / f"requirements-{environment}.txt") / "bin" / name


def ai_sdk(name: str) -> Callable[[], list[str]]:
    return lambda: [str(node()), str(ai_sdk_folder() / f"{name}.ts")]


def ai_sdk_folder() -> Path:
    """A folder with the AI SDK and its programs."""

    def install(folder: Path) -> None:
        npm_install(HERE / "vercel", folder)

    folder = made_once("vercel", HERE / "vercel" / "package-lock.json", install)
    for written in (HERE / "vercel").glob("*.ts"):
        shutil.copy(written, folder)
    return folder


def python_program(environment: str, name: str) -> Callable[[], list[str]]:
    return lambda: [str(program(environment, "python")), str(HERE / f"{name}.py")]


def direct(served: Served) -> dict[str, str]:
    return {}


def with_v1(served: Served) -> dict[str, str]:
    return {"ANTHROPIC_BASE_URL": f"{served.server.base_url}/v1"}


def through_gateway(prefix: str) -> Callable[[Served], dict[str, str]]:
    """The gateway's own /v1/messages, or with a prefix what it passes through; files always go the latter way."""
    return lambda served: {
        "ANTHROPIC_BASE_URL": f"{served.gateway}{prefix}",
        "ANTHROPIC_API_KEY": GATEWAY_KEY,
        "FILES_BASE_URL": f"{served.gateway}/anthropic",
    }


class Client(NamedTuple):
    command: Callable[[], list[str]]
    variables: Callable[[Served], Mapping[str, str]]


CLIENTS = {
    "ai-sdk": Client(ai_sdk("ai_sdk"), with_v1),
    "langchain": Client(python_program("langchain", "langchain_chat"), direct),
    "pydantic-ai": Client(python_program("pydantic-ai", "pydantic_ai_agent"), direct),
    "litellm": Client(python_program("litellm", "litellm_completion"), direct),
    "litellm-proxy": Client(python_program("litellm", "litellm_gateway"), through_gateway("")),
    "litellm-proxy-passing": Client(python_program("litellm", "litellm_gateway"), through_gateway("/anthropic")),
}
# The oldest, because clients stay with it for years, and the newest that the client knows of.
VERSIONS = {
    "ai-sdk": ("20250522", "20250825", "20260120"),
    "langchain": ("20250522", "20250825", "20260521"),
    "pydantic-ai": ("20250825", "20260120"),
    "litellm": ("20250825", "20260521"),
    "litellm-proxy": ("20250825", "20260521"),
    "litellm-proxy-passing": ("20260521",),
}


@pytest.mark.parametrize(
    ("client", "version"), [(client, version) for client, versions in VERSIONS.items() for version in versions]
)
def test_conversation(served: Served, tmp_path: Path, client: str, version: str) -> None:
    said = have_conversation(served, tmp_path, client, version)

    (name,) = (path.name for path in tmp_path.iterdir() if path.suffix == ".csv")
    assert said["file"] == name == "squares.csv"
    assert (tmp_path / name).read_bytes() == script.CSV

    assert said["pieces"] > 10, "the text came in pieces"
    assert script.SUM in said["text"][1], "what the first turn left was there in the second"
    assert said["containers"][0] == said["containers"][1]

    first, *_, last = (request.body for request in served.upstream.requests)
    calls = script.first_turn({tool["name"] for tool in first["tools"]})
    assert len(served.upstream.requests) == calls + 1 + 2 * (len(said["text"]) - 1)
    results = check_history(last)
    assert len(results) == calls + len(said["text"]) - 1, (
        "nothing of the history was lost on its way through the client"
    )
    assert json.loads(results[0])["return_code"] == 0


def have_conversation(served: Served, folder: Path, name: str, version: str) -> dict[str, Any]:
    """Run a client's program in ``folder`` and return what it printed."""
    arguments = [script.ASK, script.ASK_AGAIN, version if name == "pydantic-ai" else f"code_execution_{version}"]
    return run_client(served, folder, CLIENTS[name], arguments)


def run_client(served: Served, folder: Path, client: Client, arguments: list[str]) -> dict[str, Any]:
    served.upstream.requests.clear()
    environment = served.server.client_environment(HOME=str(folder)) | OFFLINE | dict(client.variables(served))
    answer: dict[str, Any] = json.loads(run_process([*client.command(), *arguments], environment, folder))
    return answer


def test_an_agent_goes_on_when_its_container_is_gone(served: Served, tmp_path: Path) -> None:
    said = have_conversation(served, tmp_path, "pydantic-ai", "20260120")
    assert "it is gone" in said["text"][2]
    assert said["containers"][2] != said["containers"][1]


def test_code_that_calls_a_tool_of_the_ai_sdk(served: Served, tmp_path: Path) -> None:
    client = Client(ai_sdk("ai_sdk_programmatic"), with_v1)
    said = run_client(served, tmp_path, client, [script.ASK_IN_CODE, f"{script.ASK_IN_CODE}, again"])
    assert said["calls"] == ["1", "2", "3", "4", "5"] * 2
    assert said["steps"] == [6, 6]
    assert all(script.SUM in text for text in said["text"])
