"""Makes a part of schemathesis' requests meaningful: turns that run code, and ids of things that there are.

Loaded by schemathesis in its own environment, so it imports nothing of this project.
"""

from __future__ import annotations

import json
import os
from typing import Any

import schemathesis
from hypothesis import strategies

IDS: dict[str, list[str]] = json.loads(os.environ["FUZZ_IDS"])
QUESTIONS = (
    "```bash\necho deep > $OUTPUT_DIR/deep.txt\n```",
    "```bash\nexit 3\n```\n```python\nprint(6 * 7)\n```",
    "Check the Python version",
    [
        {"type": "text", "text": "```bash\ncat $INPUT_DIR/*\n```"},
        {"type": "container_upload", "file_id": IDS["file_id"][0]},
    ],
)
VERSIONS = (
    "code_execution_20250522",
    "code_execution_20250825",
    "code_execution_20260120",
    "code_execution_20260521",
)


@schemathesis.hook
def flatmap_body(context: Any, body: Any) -> strategies.SearchStrategy[Any]:
    """A third of the messages asks for code; what else the request has stays as it was made."""
    if not isinstance(body, dict):
        return strategies.just(body)
    path = context.operation.path
    if path in ("/v1/messages", "/v1/messages/count_tokens"):
        return strategies.one_of(strategies.just(body), strategies.just(body), _turns(body))
    if path == "/v1/messages/batches":
        return strategies.one_of(strategies.just(body), _batches())
    return strategies.just(body)


def _turns(body: dict[str, Any]) -> strategies.SearchStrategy[Any]:
    kept = {key: value for key, value in body.items() if key in ("stream", "metadata", "stop_sequences", "system")}
    return strategies.builds(
        lambda question, version, container: {
            **kept,
            "model": "claude-opus-5",
            "max_tokens": 1024,
            "messages": [{"role": "user", "content": question}],
            "tools": [{"type": version, "name": "code_execution"}],
            **container,
        },
        strategies.sampled_from(QUESTIONS),
        strategies.sampled_from(VERSIONS),
        strategies.sampled_from([{}, {"container": IDS["container_id"][0]}]),
    )


def _batches() -> strategies.SearchStrategy[Any]:
    return _turns({}).map(lambda params: {"requests": [{"custom_id": "a", "params": params}]})


@schemathesis.hook
def flatmap_path_parameters(context: Any, path_parameters: Any) -> strategies.SearchStrategy[Any]:
    """Half of the paths name something that is there, where nothing is deleted by that."""
    if not path_parameters or context.operation.method.lower() == "delete":
        return strategies.just(path_parameters)
    there = {
        name: strategies.sampled_from(IDS[name]) if name in IDS else strategies.just(value)
        for name, value in path_parameters.items()
    }
    return strategies.one_of(strategies.just(path_parameters), strategies.fixed_dictionaries(there))
