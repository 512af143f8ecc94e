"""The asynchronous Python clients."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.clients import environments
from tests.clients.environments import PYTHON, Sdk
from tests.seeds import expectations
from tests.server import Server


@pytest.mark.parametrize("sdk", PYTHON, ids=str)
def test_asynchronous_client(server: Server, tmp_path: Path, sdk: Sdk) -> None:
    ran = environments.run(sdk, "asynchronous", server, tmp_path)
    for number, answer in enumerate(ran["answers"]):
        expectations.check_finished(answer)
        assert expectations.output(answer) == f"number {number}\n"
    containers = {answer["container"]["id"] for answer in ran["answers"]}
    assert len(containers) == len(ran["answers"]), "each request without a container gets one of its own"
    expectations.check_finished(ran["counted"])
    assert expectations.output(ran["counted"]) == ran["downloaded"] == "3\n"
    assert ran["uploaded_was_listed"]
    assert ran["deleted"]
