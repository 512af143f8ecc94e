"""Finds tool calls in streaming text: fenced blocks that a model writes because its template knows no tools.

Text before a fence is passed on at once; only the beginning of a line that may become a fence waits. Any split of
the same text into pieces gives the same result.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final, Literal

TOOL_CALL: Final = "tool_call"
"""Language of the fence around a JSON call: ``{"name": ..., "input": {...}}``."""

_MAY_OPEN: Final = re.compile(r" {0,3}(`{0,2}|`{3,}[^`\n]*)")
_OPENS: Final = re.compile(r" {0,3}(?P<fence>`{3,})[ \t]*(?P<language>[\w+-]*)[^`\n]*")
_HEREDOC: Final = "BATHYSPHERE_CODE"

PieceKind = Literal["text", "call", "input"]


@dataclass(frozen=True, slots=True)
class Piece:
    """Text, the name of a tool whose call begins, or a piece of the JSON of its input."""

    kind: PieceKind
    value: str


@dataclass(frozen=True, slots=True)
class FenceTool:
    """The tool that a fence's language calls: the body becomes ``member`` of its input, between the two texts."""

    name: str
    member: str
    before: str = ""
    after: str = ""


def fence_tools(names: Iterable[str]) -> dict[str, FenceTool]:
    """Which fences call which of the tools with these names."""
    known = set(names)
    fences: dict[str, FenceTool] = {}
    if "bash_code_execution" in known:
        shell = FenceTool("bash_code_execution", "command")
        fences |= dict.fromkeys(("bash", "sh", "shell"), shell)
        heredoc = (f"python3 - <<'{_HEREDOC}'\n", f"\n{_HEREDOC}")
        fences |= dict.fromkeys(("python", "python3", "py"), FenceTool("bash_code_execution", "command", *heredoc))
    if "code_execution" in known:
        fences |= dict.fromkeys(("python", "python3", "py"), FenceTool("code_execution", "code"))
    return fences


def _escaped(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)[1:-1]


class FencedCalls:
    """Reads text piece by piece until the first complete call; ``done`` says that there is one."""

    def __init__(self, tool_names: Iterable[str]) -> None:
        self._names = set(tool_names)
        self._fences = fence_tools(self._names)
        self._line = ""
        self._fence = ""
        # None: text. An empty body is no call, so a call is told when the first character of its body is there.
        self._inside: Literal["text", "tool", "json", "other"] = "text"
        self._tool: FenceTool | None = None
        self._opening = ""
        self._body = ""
        self._told = False
        # Whether a part of the current line has been passed on: it can be no fence then.
        self._within_line = False
        self.done = False

    def feed(self, text: str) -> list[Piece]:
        """What the next piece of text brings; nothing after ``done``."""
        pieces: list[Piece] = []
        while text and not self.done:
            line_part, newline, text = text.partition("\n")
            self._line += line_part
            if newline:
                pieces += self._line_ended()
            else:
                pieces += self._line_grew()
        return _joined(pieces)

    def end(self, *, cut_off: bool) -> list[Piece]:
        """The text is at its end. A fence still open is complete, unless the model was ``cut_off`` in it."""
        pieces: list[Piece] = []
        if self.done:
            return pieces
        if self._line and self._inside != "text" and self._closes(self._line):
            return _joined(self._fence_closed())
        if self._inside in ("text", "other"):
            pieces.append(Piece("text", self._line))
        elif self._inside == "tool":
            pieces += self._body_piece(self._line)
            if not self._told:
                pieces.append(Piece("text", f"{self._opening}{self._body}"))
            elif not cut_off:
                pieces += self._fence_closed()
        else:
            self._body += self._line
            self._line = ""
            pieces += [Piece("text", f"{self._opening}{self._body}")] if cut_off else self._fence_closed()
        self._line = ""
        return _joined(pieces)

    def _closes(self, line: str) -> bool:
        stripped = line.rstrip(" \t\r")
        inner = stripped.lstrip(" ")
        long_enough = len(inner) >= len(self._fence) and not inner.strip("`")
        return long_enough and len(stripped) - len(inner) <= 3

    def _may_close(self, line: str) -> bool:
        inner = line.lstrip(" ")
        return len(line) - len(inner) <= 3 and not inner.rstrip(" \t\r").strip("`")

    def _line_grew(self) -> list[Piece]:
        """The end of a line is not known yet: pass on what cannot become a fence any more."""
        if self._inside == "text":
            waits = _MAY_OPEN.fullmatch(self._line) is not None and not self._within_line
        else:
            waits = self._may_close(self._line) and not self._within_line
        if waits or not self._line:
            return []
        piece, self._line = self._line, ""
        self._within_line = True
        return self._inner(piece)

    def _line_ended(self) -> list[Piece]:
        line, self._line = self._line, ""
        whole = not self._within_line
        self._within_line = False
        if whole and self._inside == "text" and (opening := _OPENS.fullmatch(line.rstrip("\r"))):
            return self._fence_opened(line, opening)
        if whole and self._inside != "text" and self._closes(line):
            return self._fence_closed(line)
        return self._inner(line + "\n")

    def _inner(self, piece: str) -> list[Piece]:
        if self._inside in ("text", "other"):
            return [Piece("text", piece)]
        if self._inside == "json":
            self._body += piece
            return []
        return self._body_piece(piece)

    def _fence_opened(self, line: str, opening: re.Match[str]) -> list[Piece]:
        self._fence, language = opening["fence"], opening["language"].lower()
        self._opening, self._body, self._told = line + "\n", "", False
        if language == TOOL_CALL:
            self._inside = "json"
            return []
        self._tool = self._fences.get(language)
        self._inside = "tool" if self._tool else "other"
        return [] if self._tool else [Piece("text", self._opening)]

    def _body_piece(self, piece: str) -> list[Piece]:
        """A piece of a tool's input; ends of lines wait, since those before the closing fence don't belong to it."""
        assert self._tool is not None
        self._body += piece
        kept = self._body.rstrip("\r\n")
        if not kept.strip():
            return []
        ready, self._body = kept, self._body[len(kept) :]
        pieces: list[Piece] = []
        if not self._told:
            self._told = True
            pieces.append(Piece("call", self._tool.name))
            pieces.append(Piece("input", f'{{"{self._tool.member}": "{_escaped(self._tool.before)}'))
        return [*pieces, Piece("input", _escaped(ready))]

    def _fence_closed(self, line: str = "") -> list[Piece]:
        kind, self._inside = self._inside, "text"
        closing = f"{line}\n" if line else self._line
        self._line = ""
        if kind == "other":
            return [Piece("text", closing)]
        if kind == "json":
            return self._json_call(closing)
        assert self._tool is not None
        if not self._told:
            return [Piece("text", f"{self._opening}{self._body}{closing}")]
        self.done = True
        return [Piece("input", f'{_escaped(self._tool.after)}"}}')]

    def _json_call(self, closing: str) -> list[Piece]:
        call: Any = None
        try:
            call = json.loads(self._body)
        except (ValueError, RecursionError):
            call = None
        given: Any = None
        if isinstance(call, dict):
            given = next((call[key] for key in ("input", "arguments", "parameters") if key in call), {})
        if not isinstance(given, dict) or call.get("name") not in self._names:
            # No call that could be carried out: what the model wrote stays text, and can be read.
            return [Piece("text", f"{self._opening}{self._body}{closing}")]
        self.done = True
        return [Piece("call", call["name"]), Piece("input", json.dumps(given, ensure_ascii=False))]


def _joined(pieces: list[Piece]) -> list[Piece]:
    """Neighbours of a kind made one, empty ones left out."""
    joined: list[Piece] = []
    for piece in pieces:
        if joined and joined[-1].kind == piece.kind != "call":
            joined[-1] = Piece(piece.kind, joined[-1].value + piece.value)
        elif piece.value:
            joined.append(piece)
    return joined
