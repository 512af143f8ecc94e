"""Two questions by the official SDK through LiteLLM's proxy; the file that the code wrote is saved."""

import json
import os
import sys

from anthropic import Anthropic
from anthropic.types import Message, MessageParam

ask, ask_again, version = sys.argv[1:]

client = Anthropic()
files = Anthropic(base_url=os.environ["FILES_BASE_URL"])


def answer(history: list[MessageParam], container: str | None) -> tuple[Message, int]:
    with client.messages.stream(
        model="claude-opus-5-5",
        max_tokens=4096,
        messages=history,
        tools=[{"type": version, "name": "code_execution"}],
        container=container,
    ) as stream:
        pieces = sum(1 for _ in stream.text_stream)
        return stream.get_final_message(), pieces


history: list[MessageParam] = [{"role": "user", "content": ask}]
first, pieces = answer(history, None)
history += [{"role": "assistant", "content": first.content}, {"role": "user", "content": ask_again}]
second, _ = answer(history, first.container.id)

results = [block for block in first.content if block.type == "bash_code_execution_tool_result"]
(file_id,) = [output.file_id for result in results for output in result.content.content]
name = files.files.retrieve_metadata(file_id).filename
files.files.download(file_id).write_to_file(name)

print(
    json.dumps(
        {
            "text": ["".join(b.text for b in message.content if b.type == "text") for message in (first, second)],
            "pieces": pieces,
            "file": name,
            "containers": [message.container.id for message in (first, second)],
        }
    )
)
