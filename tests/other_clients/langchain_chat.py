"""Two questions to ChatAnthropic with the code execution tool; the file that the code wrote is saved."""

import json
import sys
from pathlib import Path

from anthropic import Anthropic
from langchain_anthropic import ChatAnthropic
from langchain_core.messages import AIMessageChunk, BaseMessage, HumanMessage

ask, ask_again, version = sys.argv[1:]

chat = ChatAnthropic(model="claude-opus-5-5", reuse_last_container=True)
model = chat.bind_tools([{"type": version, "name": "code_execution"}])


def answer(history: list[BaseMessage]) -> tuple[AIMessageChunk, int]:
    whole: AIMessageChunk | None = None
    pieces = 0
    for chunk in model.stream(history):
        pieces += bool(chunk.text)
        whole = chunk if whole is None else whole + chunk
    assert whole is not None
    return whole, pieces


history: list[BaseMessage] = [HumanMessage(ask)]
first, pieces = answer(history)
history += [first, HumanMessage(ask_again)]
second, _ = answer(history)

results = [block["content"] for block in first.content if block["type"].endswith("code_execution_tool_result")]
(file_id,) = [output["file_id"] for result in results for output in result.get("content", []) if "file_id" in output]
client = Anthropic()
name = client.files.retrieve_metadata(file_id).filename
Path(name).write_bytes(client.files.download(file_id).read())

print(
    json.dumps(
        {
            "text": [first.text, second.text],
            "pieces": pieces,
            "file": name,
            "containers": [message.response_metadata["container"]["id"] for message in (first, second)],
        }
    )
)
