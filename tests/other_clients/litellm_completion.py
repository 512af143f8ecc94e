"""Two questions by LiteLLM's own client, in the shape of chat completions; the file that the code wrote is saved."""

import json
import sys
from pathlib import Path
from typing import Any

import litellm
from anthropic import Anthropic

ask, ask_again, version = sys.argv[1:]


def answer(history: list[Any], **more: Any) -> tuple[litellm.Message, int]:
    stream = litellm.completion(
        model="anthropic/claude-opus-5-5",
        messages=history,
        tools=[{"type": version, "name": "code_execution"}],
        max_tokens=4096,
        stream=True,
        **more,
    )
    chunks = list(stream)
    pieces = sum(bool(chunk.choices[0].delta.content) for chunk in chunks)
    return litellm.stream_chunk_builder(chunks).choices[0].message, pieces


history: list[Any] = [{"role": "user", "content": ask}]
first, pieces = answer(history)
fields = first.provider_specific_fields
history += [first, {"role": "user", "content": ask_again}]
second, _ = answer(history, container=fields["container"]["id"])

results = [block["content"] for block in fields["tool_results"] if block["type"] == "bash_code_execution_tool_result"]
(file_id,) = [output["file_id"] for result in results for output in result["content"]]
client = Anthropic()
name = client.files.retrieve_metadata(file_id).filename
Path(name).write_bytes(client.files.download(file_id).read())

print(
    json.dumps(
        {
            "text": [first.content, second.content],
            "pieces": pieces,
            "file": name,
            "containers": [message.provider_specific_fields["container"]["id"] for message in (first, second)],
        }
    )
)
