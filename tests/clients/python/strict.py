"""Answers held against the SDK's own types: each one must be exactly of the shape that the SDK declares."""

import json
import sys
from typing import Any

from anthropic import Anthropic

client: Any = Anthropic(_strict_response_validation=True)
request = {"model": "claude-sonnet-4-5", "max_tokens": 4096}
TOOLS = {
    "20250825": {"type": "code_execution_20250825", "name": "code_execution"},
    "20250522": {"type": "code_execution_20250522", "name": "code_execution"},
}
conversations = [
    ("20250825", "```bash\necho 1; echo 2 >&2; touch empty.txt\n```"),
    ("20250825", "Create a config.yaml file with database settings, then update the port from 5432 to 3306"),
    ("20250522", "```python\nprint(1)\n```"),
    (None, "Hello"),
]
checked = []
for version, prompt in conversations:
    given = request | {"messages": [{"role": "user", "content": prompt}]}
    if version:
        given["tools"] = [TOOLS[version]]
    created = client.beta.messages.create(**given)
    checked += [block.type for block in created.content]
    for event in client.beta.messages.create(stream=True, **given):
        checked.append(event.type)

uploaded = client.beta.files.upload(file=("a.txt", b"a", "text/plain"))
checked.append(client.beta.files.retrieve_metadata(uploaded.id).type)
checked += [file.type for file in client.beta.files.list(limit=1000).data]
checked.append(client.beta.files.delete(uploaded.id).type)
json.dump(checked, sys.stdout)
