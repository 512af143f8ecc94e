"""Tool calls in fenced blocks: what is one, what is not, and that the way the text is split makes no difference."""

from __future__ import annotations

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bathysphere.models.fenced_calls import FencedCalls, Piece

TOOLS = ("bash_code_execution", "text_editor_code_execution")


def read(pieces: list[str], tools: tuple[str, ...] = TOOLS, *, cut_off: bool = False) -> list[Piece]:
    parser = FencedCalls(tools)
    found = [piece for text in pieces for piece in parser.feed(text)]
    found += parser.end(cut_off=cut_off)
    joined: list[Piece] = []
    for piece in found:
        if joined and joined[-1].kind == piece.kind != "call":
            joined[-1] = Piece(piece.kind, joined[-1].value + piece.value)
        else:
            joined.append(piece)
    return joined


def call(text: str, tools: tuple[str, ...] = TOOLS) -> tuple[str, str, object]:
    """Text before the call, the tool's name and its input."""
    pieces = read([text], tools)
    before = "".join(piece.value for piece in pieces if piece.kind == "text")
    (name,) = [piece.value for piece in pieces if piece.kind == "call"]
    (given_input,) = [piece.value for piece in pieces if piece.kind == "input"]
    return before, name, json.loads(given_input)


@pytest.mark.parametrize("language", ["bash", "sh", "shell", "BASH"])
def test_a_shell_fence(language: str) -> None:
    text = f"Let me look.\n```{language}\nls -la\necho \"hi\" '\\n'\n```\nignored"
    command = "ls -la\necho \"hi\" '\\n'"
    assert call(text) == ("Let me look.\n", "bash_code_execution", {"command": command})


def test_a_python_fence_becomes_a_heredoc_or_a_cell() -> None:
    text = "```python\nprint(6 * 7)\n```"
    heredoc = "python3 - <<'BATHYSPHERE_CODE'\nprint(6 * 7)\nBATHYSPHERE_CODE"
    assert call(text) == ("", "bash_code_execution", {"command": heredoc})
    assert call(text, ("code_execution",)) == ("", "code_execution", {"code": "print(6 * 7)"})


@pytest.mark.parametrize("member", ["input", "arguments", "parameters"])
def test_a_json_call(member: str) -> None:
    given_input = {"command": "view", "path": "a.txt"}
    text = f"```tool_call\n{json.dumps({'name': 'text_editor_code_execution', member: given_input}, indent=1)}\n```"
    assert call(text) == ("", "text_editor_code_execution", given_input)


@pytest.mark.parametrize(
    "text",
    [
        "no fence at all",
        "`ls` and ``` in a line",
        "```js\nalert(1)\n```\nafter",
        "````markdown\n```bash\nls\n```\n````\n",
        "```bash\n\n```\n",
        "```bash",
        "```tool_call\nnot json\n```\n",
        '```tool_call\n{"name": "rm"}\n```\n',
        '```tool_call\n{"name": "bash_code_execution", "input": 7}\n```\n',
        "    ```bash\n    ls\n    ```\n",
        "```bash ` odd\nls\n",
    ],
)
def test_what_is_no_call_stays_text(text: str) -> None:
    assert read([text]) == [Piece("text", text)]


def test_a_fence_that_is_never_closed_is_a_call_unless_it_was_cut_off() -> None:
    kinds = [piece.kind for piece in read(["```bash\nls"])]
    assert kinds == ["call", "input"]
    assert read(["```bash\nls"])[1].value == '{"command": "ls"}'
    assert read(["```bash\nls"], cut_off=True)[1].value == '{"command": "ls'


def test_text_streams_on_at_once() -> None:
    parser = FencedCalls(TOOLS)
    assert parser.feed("Let me") == [Piece("text", "Let me")]
    assert parser.feed(" look.\n``") == [Piece("text", " look.\n")]
    assert parser.feed("` is a fence") == []


_LINES = st.sampled_from(
    [
        "```bash",
        "```",
        "````",
        "```python",
        "```tool_call",
        "```js",
        "ls -l",
        "",
        " ",
        "``",
        "`x`",
        '{"name": "t"}',
        "é🌊",
    ]
)


@given(
    st.one_of(st.lists(_LINES, max_size=12).map("\n".join), st.text(alphabet='`ab\n \r"\\', max_size=60)),
    st.lists(st.integers(0, 200), max_size=30),
    st.booleans(),
)
@example("```bash\nls\n```", [3, 4, 8, 11, 12, 13], False)
@example("```tool_call\n ", [], False)
def test_any_split_gives_the_same(text: str, cuts: list[int], cut_off: bool) -> None:
    places = sorted({min(cut, len(text)) for cut in cuts})
    parts = [text[a:b] for a, b in zip([0, *places], [*places, len(text)], strict=True)]
    whole = read([text], (*TOOLS, "t"), cut_off=cut_off)
    assert read(parts, (*TOOLS, "t"), cut_off=cut_off) == whole
    if not any(piece.kind == "call" for piece in whole):
        assert "".join(piece.value for piece in whole) == text
