"""Every example of the documentation, as it is printed there, with only the base URL and the key changed.

The files in ``examples/`` are the documentation's own text. Programmatic tool calling is described elsewhere.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.clients import environments
from tests.clients.environments import PYTHON, Sdk
from tests.seeds import expectations
from tests.seeds.expectations import Message
from tests.server import Server

EXAMPLES = Path(__file__).parent / "examples"
DOCUMENTED_URL = "https://api.anthropic.com"


def curl(server: Server, folder: Path, script: str) -> list[dict[str, Any]]:
    """Run a documented shell example in ``folder``; the JSON documents that it printed."""
    assert DOCUMENTED_URL in script
    script = script.replace(DOCUMENTED_URL, "$ANTHROPIC_BASE_URL").replace("curl ", "curl --silent --show-error ")
    printed = environments.run_process(["bash", "-euc", script], server.client_environment(), folder).strip()
    documents = []
    while printed:
        document, end = json.JSONDecoder().raw_decode(printed)
        documents.append(document)
        printed = printed[end:].strip()
    return documents


def download(server: Server, folder: Path, file_id: str) -> tuple[str, bytes]:
    """Name and content of a produced file."""
    headers = '--header "x-api-key: $ANTHROPIC_API_KEY" --header "anthropic-version: 2023-06-01"'
    (metadata,) = curl(server, folder, f"curl {headers} {DOCUMENTED_URL}/v1/files/{file_id}")
    assert metadata["downloadable"] is True
    curl(server, folder, f"curl {headers} --output produced {DOCUMENTED_URL}/v1/files/{file_id}/content")
    content = (folder / "produced").read_bytes()
    assert len(content) == metadata["size_bytes"]
    return metadata["filename"], content


@pytest.mark.parametrize(
    ("example", "check"),
    [
        ("mean_and_deviation", expectations.check_mean_and_deviation),
        ("python_version", expectations.check_python_version),
        ("config_file", expectations.check_config_file),
    ],
)
def test_curl_question(server: Server, tmp_path: Path, example: str, check: Callable[[Message], None]) -> None:
    (message,) = curl(server, tmp_path, (EXAMPLES / f"{example}.sh").read_text())
    check(message)


def test_curl_editor_results_carry_the_documented_names_too(server: Server, tmp_path: Path) -> None:
    """The documentation's camelCase names stand beside the API's own (WIRE n)."""
    (message,) = curl(server, tmp_path, (EXAMPLES / "config_file.sh").read_text())
    for edit in expectations.results(message, "text_editor_code_execution"):
        for name, documented in [
            ("num_lines", "numLines"),
            ("start_line", "startLine"),
            ("total_lines", "totalLines"),
            ("old_start", "oldStart"),
            ("old_lines", "oldLines"),
            ("new_start", "newStart"),
            ("new_lines", "newLines"),
        ]:
            assert (name in edit) == (documented in edit)
            assert edit.get(name) == edit.get(documented)


def test_curl_uploaded_csv(server: Server, tmp_path: Path) -> None:
    """The id in the example is a placeholder: a reader puts in the one of the file just uploaded."""
    (tmp_path / "data.csv").write_bytes(expectations.data_csv())
    upload, question = (EXAMPLES / "uploaded_csv.sh").read_text().split("# Then use")
    (uploaded,) = curl(server, tmp_path, upload)
    assert uploaded["filename"] == "data.csv"
    assert uploaded["mime_type"] == "text/csv"
    assert uploaded["size_bytes"] == len(expectations.data_csv())
    assert "file_abc123" in question
    (message,) = curl(server, tmp_path, "#" + question.replace("file_abc123", uploaded["id"]))
    expectations.check_uploaded_csv(message)


def test_curl_combined_operations(server: Server, tmp_path: Path) -> None:
    (tmp_path / "data.csv").write_bytes(expectations.data_csv())
    (message,) = curl(server, tmp_path, (EXAMPLES / "combined_operations.sh").read_text())
    produced = dict(download(server, tmp_path, file_id) for file_id in expectations.file_ids(message))
    expectations.check_combined_operations(message, produced)


@pytest.mark.parametrize("sdk", PYTHON, ids=str)
def test_python_generated_files(server: Server, tmp_path: Path, sdk: Sdk) -> None:
    shutil.copy(EXAMPLES / "generated_files.py", tmp_path)
    ran = environments.run(sdk, "run_example", server, tmp_path, ["generated_files.py", "response"])
    assert "Downloaded: output.png" in ran["printed"]
    produced = {"output.png": (tmp_path / "output.png").read_bytes()}
    expectations.check_generated_files(ran["messages"]["response"], produced)


@pytest.mark.parametrize("sdk", PYTHON, ids=str)
def test_python_container_reuse(server: Server, tmp_path: Path, sdk: Sdk) -> None:
    shutil.copy(EXAMPLES / "container_reuse.py", tmp_path)
    ran = environments.run(sdk, "run_example", server, tmp_path, ["container_reuse.py", "response1", "response2"])
    expectations.check_container_reuse(ran["messages"]["response1"], ran["messages"]["response2"])
