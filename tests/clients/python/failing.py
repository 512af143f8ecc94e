"""One request whose upstream fails, and what this SDK makes of it."""

import json
import sys
from typing import Any

from anthropic import Anthropic, APIStatusError

model, mode = sys.argv[1:]
client: Any = Anthropic(max_retries=0)
request = {"model": model, "max_tokens": 64, "messages": [{"role": "user", "content": "Hello"}]}
text_before = ""
outcome: dict[str, Any] = {"classes": []}
try:
    if mode == "create":
        client.messages.create(**request)
    else:
        with client.messages.stream(**request) as stream:
            for text in stream.text_stream:
                text_before += text
except APIStatusError as error:
    outcome = {
        "classes": [kind.__name__ for kind in type(error).__mro__],
        "status": error.status_code,
        "body": error.body,
    }
except Exception as error:
    outcome = {"classes": [type(error).__name__], "problem": repr(error)}
json.dump(outcome | {"text_before": text_before}, sys.stdout)
