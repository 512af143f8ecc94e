"""Requests whose upstream fails in the middle, and what this SDK makes of each."""

import json
import sys
from typing import Any

from anthropic import Anthropic, APIStatusError

client: Any = Anthropic(max_retries=0)


def attempt(model: str, mode: str, failure: str) -> dict[str, Any]:
    request = {"model": model, "max_tokens": 64, "messages": [{"role": "user", "content": failure}]}
    outcome: dict[str, Any] = {"model": model, "mode": mode, "failure": failure, "classes": [], "text_before": ""}
    try:
        if mode == "create":
            client.messages.create(**request)
        else:
            with client.messages.stream(**request) as stream:
                for text in stream.text_stream:
                    outcome["text_before"] += text
    except APIStatusError as error:
        kinds = [kind.__name__ for kind in type(error).__mro__]
        return outcome | {"classes": kinds, "status": error.status_code, "body": error.body}
    except Exception as error:
        return outcome | {"classes": [type(error).__name__], "problem": repr(error)}
    return outcome


outcomes = [
    attempt(model, mode, failure)
    for model in sys.argv[1:]
    for mode in ("create", "stream")
    for failure in ("cut", "error")
]
json.dump(outcomes, sys.stdout)
