"""Requests that must fail, and what this SDK makes of each answer."""

import json
import sys
from collections.abc import Callable
from typing import Any

from anthropic import Anthropic, APIStatusError

given = json.loads(sys.argv[1])
client: Any = Anthropic()
stranger: Any = Anthropic(api_key="sk-ant-not-a-key")
neighbour: Any = Anthropic(api_key=given["other_key"])
CODE_EXECUTION = {"type": "code_execution_20250825", "name": "code_execution"}


def ask(by: Any, content: Any = "Hello", tools: Any = (CODE_EXECUTION,), **more: Any) -> Any:
    messages = [{"role": "user", "content": content}]
    return by.beta.messages.create(
        model="claude-sonnet-4-5", max_tokens=64, messages=messages, tools=list(tools), **more
    )


def stream(by: Any) -> Any:
    with by.messages.stream(model="m", max_tokens=64, messages=[{"role": "user", "content": "Hello"}]) as events:
        return events.get_final_message()


upload = [{"type": "container_upload", "file_id": given["file_id"]}]
scenarios: dict[str, Callable[[], Any]] = {
    "wrong_key": lambda: ask(stranger),
    "wrong_key_files": stranger.beta.files.list,
    "wrong_key_stream": lambda: stream(stranger),
    "unknown_container": lambda: ask(client, container="container_011CNha8iCJcU1wXNR6q4V8w"),
    "misshapen_container": lambda: ask(client, container="../../etc"),
    "neighbours_container": lambda: ask(neighbour, container=given["container_id"]),
    "neighbours_file": lambda: neighbour.beta.files.retrieve_metadata(given["file_id"]),
    "neighbours_file_content": lambda: neighbour.beta.files.download(given["produced_id"]),
    "neighbours_file_deleted": lambda: neighbour.beta.files.delete(given["file_id"]),
    "neighbours_file_uploaded": lambda: ask(neighbour, upload),
    "unknown_file": lambda: client.beta.files.retrieve_metadata("file_011CNha8iCJcU1wXNR6q4V8w"),
    "not_downloadable": lambda: client.beta.files.download(given["file_id"]),
    "unknown_tool_version": lambda: ask(client, tools=[{"type": "code_execution_20991231", "name": "code_execution"}]),
    "two_code_execution_tools": lambda: ask(client, tools=[CODE_EXECUTION, CODE_EXECUTION]),
    "empty_messages": lambda: client.messages.create(model="m", max_tokens=64, messages=[]),
    "bad_role": lambda: client.messages.create(
        model="m", max_tokens=64, messages=[{"role": "narrator", "content": "Hello"}]
    ),
    "bad_file_name": lambda: client.beta.files.upload(file=("a<b>.txt", b"x")),
    "too_large": lambda: ask(client, "x" * (33 * 1024 * 1024)),
}

outcomes = {}
for name, scenario in scenarios.items():
    try:
        scenario()
    except APIStatusError as error:
        body: Any = error.body
        outcomes[name] = {
            "classes": [kind.__name__ for kind in type(error).__mro__],
            "status": error.status_code,
            "body": body,
            "request_id": error.request_id,
        }
    except Exception as error:
        outcomes[name] = {"classes": [type(error).__name__], "problem": repr(error)}
    else:
        outcomes[name] = {"classes": [], "problem": "nothing was raised"}
json.dump(outcomes, sys.stdout)
