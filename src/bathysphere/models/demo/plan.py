"""What the demo model intends to do for a prompt: calls, one after another, and a report on their outcomes."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from bathysphere.models.demo.conversation import Outcome


@dataclass(frozen=True, slots=True)
class Call:
    """One tool call and the text before it."""

    say: str
    tool: str
    input: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Plan:
    """``calls`` are made in order; ``report`` makes the last text out of the outcomes, which may be fewer.

    With ``keep_going`` a failed call does not end the plan early.
    """

    calls: Sequence[Call]
    report: Callable[[Sequence[Outcome]], str]
    keep_going: bool = False

    def next_call(self, outcomes: Sequence[Outcome]) -> Call | None:
        """The call to make now; None when it is time to report."""
        if len(outcomes) >= len(self.calls) or (outcomes and not outcomes[-1].succeeded and not self.keep_going):
            return None
        return self.calls[len(outcomes)]


@cache
def program(name: str) -> str:
    """The text of a program in ``programs/``, without its first line, which says what it is."""
    text = (resources.files("bathysphere.models.demo") / "programs" / f"{name}.py.txt").read_text(encoding="utf-8")
    return text.split("\n", 1)[1].lstrip("\n") if text.startswith('"""') else text


def _heredoc(code: str) -> str:
    mark = "PROGRAM"
    while mark in code:
        mark += "_"
    return f"python3 - <<'{mark}'\n{code.rstrip()}\n{mark}"


@dataclass(frozen=True, slots=True)
class Toolbox:
    """The code execution tools that the request offers, and how to run a thing with them."""

    names: frozenset[str]

    @property
    def can_run(self) -> bool:
        """Whether any program can be run."""
        return bool({"bash_code_execution", "code_execution"} & self.names)

    @property
    def can_edit(self) -> bool:
        """Whether there is the text editor."""
        return "text_editor_code_execution" in self.names

    def python(self, say: str, code: str) -> Call:
        """Run Python code, in bash by ``python3`` or as a cell."""
        if "bash_code_execution" in self.names:
            return Call(say, "bash_code_execution", {"command": _heredoc(code)})
        return Call(say, "code_execution", {"code": code})

    def cell(self, say: str, code: str) -> Call:
        """Run Python code where variables stay and the user's own tools can be called, if there is such a place."""
        if "code_execution" in self.names:
            return Call(say, "code_execution", {"code": code})
        return self.python(say, code)

    def program(self, say: str, /, *names: str, **constants: Any) -> Call:
        """Run programs of ``programs/`` as one; ``constants`` are JSON values that they find as variables."""
        # repr of what JSON can hold is a Python literal, except for non-finite floats, which no caller passes.
        head = "".join(f"{key.upper()} = {json.loads(json.dumps(value))!r}\n" for key, value in constants.items())
        return self.python(say, head + "\n".join(map(program, names)))

    def shell(self, say: str, command: str) -> Call:
        """Run a shell command; where there is only Python, through ``subprocess``."""
        if "bash_code_execution" in self.names:
            return Call(say, "bash_code_execution", {"command": command})
        code = (
            "import subprocess, sys\n"
            f"done = subprocess.run(['bash', '-c', {command!r}], capture_output=True, text=True)\n"
            "print(done.stdout, end='')\n"
            "print(done.stderr, end='', file=sys.stderr)\n"
            "if done.returncode:\n"
            "    print('exit code:', done.returncode)\n"
        )
        return Call(say, "code_execution", {"code": code})

    def create(self, say: str, path: str, text: str) -> Call:
        """Write a file: with the editor where there is one."""
        if self.can_edit:
            return Call(say, "text_editor_code_execution", {"command": "create", "path": path, "file_text": text})
        code = f"with open({path!r}, 'w') as file:\n    file.write({text!r})\nprint('created', {path!r})\n"
        return self.python(say, code)

    def replace(self, say: str, path: str, old: str, new: str) -> Call:
        """Replace one passage of a file."""
        if self.can_edit:
            edit = {"command": "str_replace", "path": path, "old_str": old, "new_str": new}
            return Call(say, "text_editor_code_execution", edit)
        code = (
            f"with open({path!r}) as file:\n    text = file.read()\n"
            f"assert text.count({old!r}) == 1, 'the passage must occur exactly once'\n"
            f"with open({path!r}, 'w') as file:\n    file.write(text.replace({old!r}, {new!r}))\n"
            f"print('updated', {path!r})\n"
        )
        return self.python(say, code)

    def view(self, say: str, path: str) -> Call:
        """Show a file."""
        if self.can_edit:
            return Call(say, "text_editor_code_execution", {"command": "view", "path": path})
        return self.shell(say, f"cat -- {shlex.quote(path)}")
