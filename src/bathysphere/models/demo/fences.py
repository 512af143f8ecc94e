"""Fenced code blocks of the prompt, run as they are."""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence
from dataclasses import dataclass

from bathysphere.models.demo.conversation import Conversation, Outcome
from bathysphere.models.demo.plan import Call, Plan, Toolbox

_FENCE = re.compile(r"^ {0,3}(?P<fence>```+|~~~+)[ \t]*(?P<language>[^\s`]*)[^\n`]*\n", re.M)
_SHELLS = frozenset(("bash", "sh", "shell", "zsh", "console", "terminal"))
_PYTHONS = frozenset(("python", "python3", "py"))
_SHOWN = 4000
_GUESSED = 20_000


@dataclass(frozen=True, slots=True)
class FencedBlock:
    """A block of code and its language: ``shell``, ``python``, or what the fence said."""

    language: str
    code: str


def _looks_like_python(code: str) -> bool:
    """Whether unlabelled code is Python: it parses, and does something that a shell line would not parse as."""
    try:
        tree = ast.parse(code[:_GUESSED])
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    telling = (ast.Call, ast.Import, ast.ImportFrom, ast.FunctionDef, ast.For, ast.With)
    return any(isinstance(node, telling) for node in ast.walk(tree))


def blocks_in(text: str) -> list[FencedBlock]:
    """The fenced blocks of a text; one that is never closed reaches to the end."""
    found: list[FencedBlock] = []
    at = 0
    while match := _FENCE.search(text, at):
        closing = re.compile(rf"^ {{0,3}}{match['fence']}[ \t]*$", re.M).search(text, match.end())
        code = text[match.end() : closing.start() if closing else len(text)].removesuffix("\n")
        at = closing.end() if closing else len(text)
        language = match["language"].lower()
        if language in _SHELLS or (not language and not _looks_like_python(code)):
            # A transcript of a terminal: only the lines typed at its prompt are commands.
            typed = [line[2:] for line in code.splitlines() if line.startswith("$ ")]
            found.append(FencedBlock("shell", "\n".join(typed) if typed else code))
        else:
            found.append(FencedBlock("python" if language in _PYTHONS or not language else language, code))
    return [block for block in found if block.code.strip()]


def _fenced(text: str) -> str:
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}\n{text.rstrip()}\n{fence}"


def _shown(stream: str) -> str:
    if len(stream) <= _SHOWN:
        return _fenced(stream)
    return f"{_fenced(stream[:_SHOWN])}\n({len(stream) - _SHOWN} more characters are in the tool's result.)"


def _told(outcome: Outcome) -> str:
    if outcome.failure is not None:
        return outcome.trouble
    parts = []
    if outcome.stdout.strip():
        parts.append(_shown(outcome.stdout))
    if outcome.stderr.strip():
        parts.append(f"Standard error:\n{_shown(outcome.stderr)}")
    if outcome.return_code:
        parts.append(f"Exit code: {outcome.return_code}.")
    return "\n\n".join(parts) or "It ended without any output, with exit code 0."


def fenced_code(conversation: Conversation, toolbox: Toolbox) -> Plan | None:
    """Every shell and Python block, one after another; the next one runs even when one fails."""
    blocks = [block for block in blocks_in(conversation.prompt) if block.language in ("shell", "python")]
    if not blocks:
        return None
    calls: list[Call] = []
    for number, block in enumerate(blocks, start=1):
        which = "your code" if len(blocks) == 1 else f"block {number} of {len(blocks)}"
        run = toolbox.cell if block.language == "python" else toolbox.shell
        calls.append(run(f"Running {which} ({block.language}).", block.code))

    def report(outcomes: Sequence[Outcome]) -> str:
        if len(blocks) == 1:
            return f"The output:\n\n{_told(outcomes[0])}"
        return "\n\n".join(f"Block {number}:\n\n{_told(outcome)}" for number, outcome in enumerate(outcomes, start=1))

    return Plan(calls, report, keep_going=True)
