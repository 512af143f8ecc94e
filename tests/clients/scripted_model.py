"""What a language model would answer in the documentation's conversations, as a script over real requests.

The script looks only at what the upstream was sent, as a model would: the user's words and the results of the calls
so far. It also checks of every request that calls and results stand in pairs and in order.
"""

from __future__ import annotations

import json
from typing import Any

from tests.models.scripted_upstream import Call, Failure, Say, Turn
from tests.seeds.expectations import NUMBERS

BASH = "bash_code_execution"
EDITOR = "text_editor_code_execution"

_MEAN = f"import statistics as s; x = {NUMBERS}; print(s.mean(x), round(s.stdev(x), 2))"
_VERSIONS = (
    "import sys, importlib.metadata as m; print(sys.version)\n"
    "for d in sorted(m.distributions(), key=lambda d: d.name): print(d.name, d.version)"
)
_CONFIG = "database:\n  host: localhost\n  port: 5432\n  user: app\n"
_READ = (
    "import csv, os, statistics\n"
    "rows = list(csv.DictReader(open(os.environ['INPUT_DIR'] + '/data.csv')))\n"
    "print(*rows[0], len(rows), round(statistics.mean(float(r['units']) for r in rows), 1))"
)
_DRAW = (
    "import os, matplotlib; matplotlib.use('agg'); import matplotlib.pyplot as p\n"
    "p.plot([1, 4, 9]); p.savefig(os.environ['OUTPUT_DIR'] + '/output.png')"
)
_REPORT = (
    "rows = open(os.environ['INPUT_DIR'] + '/data.csv').read().splitlines()\n"
    "out = os.environ['OUTPUT_DIR']\n"
    "open(out + '/summary_report.md', 'w').write(rows[0])\n"
    "open(out + '/README.md', 'w').write(f'{rows[0]}: {len(rows) - 1} rows')"
)
_WRITE = "import random; n = random.randint(2, 999); open('/tmp/number.txt', 'w').write(str(n)); print(n)"
_SQUARE = "n = int(open('/tmp/number.txt').read()); print(n * n)"


def _python(code: str) -> Call:
    return Call(BASH, {"command": f"python3 - <<'END'\n{code}\nEND"})


def _edit(command: str, **more: str) -> Call:
    return Call(EDITOR, {"command": command, "path": "config.yaml", **more})


SCRIPT: dict[str, list[Call]] = {
    "Calculate the mean": [_python(_MEAN)],
    "Check the Python version": [_python(_VERSIONS)],
    "Create a config.yaml": [
        _edit("create", file_text=_CONFIG),
        _edit("str_replace", old_str="port: 5432", new_str="port: 3306"),
        _edit("view"),
    ],
    "Analyze this CSV data: create": [_python(_READ), _python(_DRAW + "\n" + _REPORT)],
    "Analyze this CSV data": [_python(_READ)],
    "Create a matplotlib": [_python(_DRAW)],
    "Write a file": [_python(_WRITE)],
    "Read the number": [_python(_SQUARE)],
}


def respond(body: dict[str, Any]) -> Turn | Failure:
    """The next turn of the conversation that the body holds, in either protocol."""
    results = check_history(body)
    words = json.dumps(body["messages"][:2], ensure_ascii=False)
    calls = next(calls for prompt, calls in SCRIPT.items() if prompt in words)
    if len(results) < len(calls):
        return Turn(Say(f"Step {len(results) + 1}."), calls[len(results)])
    return Turn(Say(f"The result is {results[-1][:2000]}"))


def check_history(body: dict[str, Any]) -> list[str]:
    """The results of calls in a request to an upstream, in order. Each call is answered right after it, by its id."""
    openai = any(message["role"] in ("system", "tool") or "tool_calls" in message for message in body["messages"])
    return _openai_results(body) if openai else _anthropic_results(body)


def _anthropic_results(body: dict[str, Any]) -> list[str]:
    waiting: list[str] = []
    results = []
    for message in body["messages"]:
        blocks = [] if isinstance(message["content"], str) else message["content"]
        if message["role"] == "assistant":
            assert not waiting, f"calls without results: {waiting}"
            waiting = [block["id"] for block in blocks if block["type"] == "tool_use"]
        else:
            answers = [block for block in blocks if block["type"] == "tool_result"]
            assert [answer["tool_use_id"] for answer in answers] == waiting
            assert blocks[: len(answers)] == answers, "results come first"
            results += [_text(answer["content"]) for answer in answers]
            waiting = []
        assert all(block["type"] != "server_tool_use" for block in blocks)
    assert not waiting
    return results


def _openai_results(body: dict[str, Any]) -> list[str]:
    waiting: list[str] = []
    results = []
    for message in body["messages"]:
        if message["role"] == "tool":
            assert waiting.pop(0) == message["tool_call_id"]
            results.append(_text(message["content"]))
            continue
        assert not waiting, f"calls without results: {waiting}"
        waiting = [call["id"] for call in message.get("tool_calls") or []]
    assert not waiting
    return results


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    return "".join(part.get("text", "") for part in content)
