"""How many tokens a request has, roughly: for models that nobody can be asked to count for.

The rule is the documented one (docs/models.md): a token for every four bytes of the text, which is about right for
English and for code. Pictures and PDF files are no text, however they are written.
"""

from __future__ import annotations

import json
from typing import Any, Final

from bathysphere.models.base import SampleRequest

BYTES_PER_TOKEN: Final = 4
IMAGE_TOKENS: Final = 1600
"""What the largest picture takes that the Messages API does not scale down."""
_DOCUMENT_STEP_BYTES: Final = 100_000
_DOCUMENT_STEP_TOKENS: Final = 2000
_LEVELS: Final = 4
"""How deep a picture can lie: in a tool's result, in a message, in the list of messages."""


def estimated_tokens(request: SampleRequest) -> int:
    """The input tokens of a sampling, in whole tokens, never 0."""
    shown = [request.system, [message.content for message in request.messages], request.tools]
    tokens, text = _apart(shown, _LEVELS)
    return tokens + text_tokens(json.dumps(text, ensure_ascii=False))


def text_tokens(text: str) -> int:
    """The tokens of a text, rounded up."""
    return -(-len(text.encode("utf-8", "surrogatepass")) // BYTES_PER_TOKEN)


def _apart(value: Any, levels: int) -> tuple[int, Any]:
    """The tokens of what is no text, and the value without it."""
    if isinstance(value, list) and levels:
        parts = [_apart(item, levels - (1 if isinstance(item, list) else 0)) for item in value]
        return sum(tokens for tokens, _ in parts), [text for _, text in parts]
    if not isinstance(value, dict):
        return 0, value
    match value.get("type"):
        case "image":
            return IMAGE_TOKENS, ""
        case "document" if isinstance(source := value.get("source"), dict) and source.get("type") == "base64":
            size = len(str(source.get("data", "")).rstrip("=")) * 3 // 4
            steps = -(-size // _DOCUMENT_STEP_BYTES) or 1
            return steps * _DOCUMENT_STEP_TOKENS, {**value, "source": ""}
        case "tool_result" if isinstance(value.get("content"), list):
            tokens, content = _apart(value["content"], levels)
            return tokens, {**value, "content": content}
    return 0, value
