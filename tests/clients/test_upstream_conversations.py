"""The documentation's conversations with a model behind either protocol: the whole server is in between."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.clients import environments, scripted_model
from tests.clients.conftest import Upstreams
from tests.clients.environments import TYPESCRIPT_1, TYPESCRIPT_2, Sdk
from tests.seeds import expectations

CODE_NAMES = ["bash_code_execution", "text_editor_code_execution"]


@pytest.mark.parametrize(
    ("sdk", "namespace", "mode"),
    [(TYPESCRIPT_1, "beta", "create"), (TYPESCRIPT_2, "ga", "stream")],
    ids=["not streaming", "streaming"],
)
def test_conversations(upstreams: Upstreams, backend: str, tmp_path: Path, sdk: Sdk, namespace: str, mode: str) -> None:
    upstreams.upstream.respond = scripted_model.respond
    (tmp_path / "data.csv").write_bytes(expectations.data_csv())
    model = {"MODEL": f"via-{backend}"}
    ran = environments.run(sdk, "conversations", upstreams.server, tmp_path, [namespace, mode], model)
    messages = ran["messages"]
    produced = {
        example: {name: (tmp_path / saved).read_bytes() for name, saved in files.items()}
        for example, files in ran["produced"].items()
    }
    expectations.check_mean_and_deviation(messages["mean_and_deviation"])
    expectations.check_python_version(messages["python_version"])
    expectations.check_config_file(messages["config_file"])
    expectations.check_uploaded_csv(messages["uploaded_csv"])
    expectations.check_generated_files(messages["generated_files"], produced["generated_files"])
    expectations.check_combined_operations(messages["combined_operations"], produced["combined_operations"])
    expectations.check_container_reuse(messages["reuse_first"], messages["reuse_second"])
    assert {message["model"] for message in messages.values()} == {f"via-{backend}"}
    check_what_the_upstream_was_shown(upstreams, backend)


def check_what_the_upstream_was_shown(upstreams: Upstreams, backend: str) -> None:
    """Ordinary client tools with the sub-tools' names, the operator's model and key, and text about the container."""
    assert upstreams.upstream.requests
    for request in upstreams.upstream.requests:
        body = request.body
        assert body["model"] == "upstream-model"
        assert body["stream"] is True
        assert "container" not in body
        told = str(body["system"] if backend == "anthropic" else body["messages"][0]["content"])
        for fact in ("/home/user", "$INPUT_DIR", "$OUTPUT_DIR", "pandas"):
            assert fact in told
        if backend == "anthropic":
            names = [tool["name"] for tool in body["tools"]]
            schemas = [tool["input_schema"] for tool in body["tools"]]
            assert request.headers["x-api-key"] == "key-of-the-operator"
        else:
            names = [tool["function"]["name"] for tool in body["tools"]]
            schemas = [tool["function"]["parameters"] for tool in body["tools"]]
            assert request.headers["authorization"] == "Bearer key-of-the-operator"
        assert names == CODE_NAMES
        assert set(schemas[0]["properties"]) == {"command"}
        assert {"command", "path", "file_text", "old_str", "new_str"} <= set(schemas[1]["properties"])
        assert upstreams.server.key not in str(request.headers)
