"""The Python SDKs can refuse any answer that is not exactly of their declared types; nothing is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.clients import environments
from tests.clients.environments import PYTHON, Sdk
from tests.server import Server


@pytest.mark.parametrize("sdk", PYTHON, ids=str)
def test_answers_are_of_the_declared_types(server: Server, tmp_path: Path, sdk: Sdk) -> None:
    checked = environments.run(sdk, "strict", server, tmp_path)
    assert set(checked) >= {
        "text",
        "server_tool_use",
        "bash_code_execution_tool_result",
        "text_editor_code_execution_tool_result",
        "code_execution_tool_result",
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
        "file",
        "file_deleted",
    }
