"""Where a conversation stands: the last prompt, the files that came with it, and what has been called since."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

from bathysphere.models.base import SampleRequest

_UPLOAD = re.compile(r'The file "(?P<name>[^\n]+)" has been uploaded to the container at \$INPUT_DIR/(?P=name)\.')


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one call came to, as the tool told it.

    ``return_code`` is None unless a program ran. ``failure`` names why the tool itself could not do its work.
    """

    stdout: str = ""
    stderr: str = ""
    return_code: int | None = None
    failure: str | None = None
    data: dict[str, Any] = field(default_factory=dict)

    @property
    def succeeded(self) -> bool:
        """The tool worked, and the program (if one ran) ended with 0."""
        return self.failure is None and self.return_code in (None, 0)

    @property
    def trouble(self) -> str:
        """One paragraph on what went wrong; empty when nothing did."""
        if self.failure is not None:
            return f"The tool reported an error: {self.failure}"
        if self.succeeded:
            return ""
        complaint = (self.stderr.strip() or self.stdout.strip())[-1500:]
        said = f" and said:\n\n{complaint}" if complaint else "."
        return f"The program ended with exit code {self.return_code}{said}"

    def fields(self) -> dict[str, str]:
        """The ``name: value`` lines of the output, first of each name."""
        found: dict[str, str] = {}
        for line in self.stdout.splitlines():
            name, colon, value = line.partition(": ")
            if colon and name not in found:
                found[name] = value.strip()
        return found

    def section(self, title: str) -> list[str]:
        """The lines of the output below ``== title ==``, up to the next such heading or an empty line."""
        lines = self.stdout.splitlines()
        heading = f"== {title} =="
        if heading not in lines:
            return []
        body: list[str] = []
        for line in lines[lines.index(heading) + 1 :]:
            if not line.strip() or line.startswith("== "):
                break
            body.append(line)
        return body


def _text_of(content: Any) -> str:
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    return "\n".join(str(block.get("text", "")) for block in content if block.get("type") == "text")


def _outcome(block: dict[str, Any]) -> Outcome:
    text = _text_of(block.get("content"))
    try:
        data = json.loads(text)
    except ValueError:
        data = None
    if not isinstance(data, dict):
        return Outcome(failure=text or "no reason given") if block.get("is_error") else Outcome(stdout=text)
    if block.get("is_error") or "error_code" in data:
        parts = [str(data.get(key)) for key in ("error_code", "message", "error_message") if data.get(key)]
        return Outcome(failure=": ".join(parts) or text, data=data)
    code = data.get("return_code")
    return Outcome(
        stdout=str(data.get("stdout", "")),
        stderr=str(data.get("stderr", "")),
        return_code=code if isinstance(code, int) else None,
        data=data,
    )


@dataclass(frozen=True, slots=True)
class Conversation:
    """What the demo model needs to know to go on; read anew from the messages at every sampling."""

    prompt: str
    uploads: tuple[str, ...]
    outcomes: tuple[Outcome, ...]
    is_first_answer: bool

    @classmethod
    def read(cls, request: SampleRequest) -> Conversation:
        """The last user message that is not only tool results is the prompt; results after it are outcomes."""
        prompt = ""
        uploads: tuple[str, ...] = ()
        outcomes: tuple[Outcome, ...] = ()
        answered = False
        for message in request.messages:
            if message.role == "assistant":
                answered = answered or bool(message.content)
                continue
            if message.role != "user":
                continue
            results = [block for block in message.content if block.get("type") == "tool_result"]
            texts = [str(block.get("text", "")) for block in message.content if block.get("type") == "text"]
            if len(results) < len(message.content) or not results:
                new = [match["name"] for text in texts for match in _UPLOAD.finditer(text)]
                # A later question about the same file comes without a new upload.
                uploads = tuple(dict.fromkeys(new)) or uploads
                prompt = "\n".join(text for text in texts if not _UPLOAD.fullmatch(text.strip())).strip()
                outcomes = ()
            outcomes += tuple(_outcome(block) for block in results)
        return cls(prompt=prompt, uploads=uploads, outcomes=outcomes, is_first_answer=not answered)
