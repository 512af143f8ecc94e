"""What the model says in the conversation that every client has, and what must have come of it.

The first turn uses each sub-tool, meets both kinds of failure that a result can tell of, and leaves a file. The second
one needs what the first left in the container, and says what it found.
"""

from __future__ import annotations

from typing import Any

from tests.clients.scripted_model import BASH, EDITOR, check_history
from tests.models.scripted_upstream import Call, Failure, Say, Turn

ASK = "Write the squares of 1 to 5 into squares.csv"
ASK_AGAIN = "Add up the squares"
ASK_IN_CODE = "Ask for each square"
CSV = b"n,square\n1,1\n2,4\n3,9\n4,16\n5,25\n"
SUM = "55"

CELL = "code_execution"
_WRITE = (
    "mkdir /tmp/kept; cd /tmp/kept\n"
    'for n in 1 2 3 4 5; do echo "$n,$((n * n))"; done | sed "1i n,square" > squares.csv\n'
    'cp squares.csv "$OUTPUT_DIR"; echo written'
)
_ASK_IN_CODE = Call(CELL, {"code": "print(sum([int(await area({'side': side})) for side in range(1, 6)]))"})
_CALLS = [
    Call(BASH, {"command": _WRITE}),
    Call(EDITOR, {"command": "create", "path": "notes.txt", "file_text": "five rows\nno header\n"}),
    Call(EDITOR, {"command": "str_replace", "path": "notes.txt", "old_str": "no header", "new_str": "a header"}),
    Call(EDITOR, {"command": "view", "path": "notes.txt"}),
    Call(EDITOR, {"command": "view", "path": "nothing.txt"}),
    Call(BASH, {"command": "echo trouble >&2; exit 3"}),
]
_CELL = Call(CELL, {"code": "print(sum(n * n for n in range(1, 6)))"})
_ADD_UP = Call(BASH, {"command": "awk -F, '{ sum += $2 } END { print sum }' /tmp/kept/squares.csv || echo it is gone"})
_WRITE_IN_PYTHON = Call(
    CELL,
    {
        "code": "import os, pathlib, shutil\n"
        "kept = pathlib.Path('/tmp/kept'); kept.mkdir()\n"
        "rows = ['n,square', *(f'{n},{n * n}' for n in range(1, 6))]\n"
        "(kept / 'squares.csv').write_text('\\n'.join(rows) + '\\n')\n"
        "shutil.copy(kept / 'squares.csv', os.environ['OUTPUT_DIR'])"
    },
)
_ADD_UP_IN_PYTHON = Call(
    CELL, {"code": "print(sum(int(row.split(',')[1]) for row in open('/tmp/kept/squares.csv').readlines()[1:]))"}
)


def respond(body: dict[str, Any]) -> Turn | Failure:
    """The next thing that the model says: called with every request that reaches it."""
    check_history(body)
    messages = body["messages"]
    asked = max(place for place, message in enumerate(messages) if "square" in _said(message))
    results = check_history({"messages": [{"role": "user", "content": ""}, *messages[asked + 1 :]]})
    names = {tool["name"] for tool in body["tools"]}
    said = _said(messages[asked])
    calls = [_ASK_IN_CODE] if ASK_IN_CODE in said else _calls(names, again=ASK_AGAIN in said)
    if len(results) < len(calls):
        return Turn(Say(f"Step {len(results) + 1}."), calls[len(results)])
    return Turn(Say(f"The last thing I read is {results[-1].strip()}"), piece=8)


def first_turn(names: set[str]) -> int:
    """How many calls the first turn makes with these tools."""
    return len(_calls(names, again=False))


def _calls(names: set[str], *, again: bool) -> list[Call]:
    if BASH not in names:
        return [_ADD_UP_IN_PYTHON if again else _WRITE_IN_PYTHON]
    if again:
        return [_ADD_UP]
    return [*_CALLS, _CELL] if CELL in names else _CALLS


def _said(message: dict[str, Any]) -> str:
    if message["role"] != "user":
        return ""
    if isinstance(message["content"], str):
        return message["content"]
    return "".join(block["text"] for block in message["content"] if block["type"] == "text")
