"""The demo model within the limits of a request, with failing tools, and with prompts it does not know."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bathysphere.models.base import SampleRequest, UpstreamMessage
from bathysphere.models.demo import DemoModel
from bathysphere.models.demo.guidance import NOTICE
from tests.models.demo.workbench import PYTHON_ONLY, SHELL_AND_EDITOR, Workbench
from tests.models.folding import Sampled, fold

MEAN = "Calculate the mean and standard deviation of [1, 2, 3]"


async def sample(prompt: str, *after: UpstreamMessage, **changes: Any) -> Sampled:
    messages = [UpstreamMessage("user", [{"type": "text", "text": prompt}]), *after]
    given: dict[str, Any] = {"model": "m", "max_tokens": 4096, "messages": messages, "tools": SHELL_AND_EDITOR}
    return await fold(DemoModel().sample(SampleRequest(**given | changes)), whole_input="max_tokens" not in changes)


def answered(data: dict[str, Any], **more: Any) -> list[UpstreamMessage]:
    call = {"type": "tool_use", "id": "c1", "name": "bash_code_execution", "input": {"command": "..."}}
    text = [{"type": "text", "text": json.dumps(data)}]
    result = {"type": "tool_result", "tool_use_id": "c1", "content": text, **more}
    return [UpstreamMessage("assistant", [call]), UpstreamMessage("user", [result])]


async def test_it_streams_in_small_pieces() -> None:
    got = await sample(MEAN)
    assert len(got.text_deltas) > 3
    pieces = [event for event in got.events if getattr(getattr(event, "delta", None), "type", "") == "input_json_delta"]
    assert len(pieces) > 3


@pytest.mark.parametrize("max_tokens", [0, 1, 20, 60])
async def test_max_tokens(max_tokens: int) -> None:
    got = await sample(MEAN, max_tokens=max_tokens)
    assert got.stop_reason == "max_tokens"
    written = len(got.text) + sum(len(call["input"]) for call in got.calls)
    assert written <= max_tokens * 4 and got.usage.output_tokens <= max_tokens


async def test_stop_sequences() -> None:
    got = await sample("What can you do?", stop_sequences=["zzz", "language model"])
    assert (got.stop_reason, got.stop_sequence) == ("stop_sequence", "language model")
    assert NOTICE.startswith(got.text) and "language model" not in got.text


async def test_no_call_where_calls_are_forbidden_or_impossible() -> None:
    forbidden = await sample(MEAN, tool_choice={"type": "none"})
    assert forbidden.calls == [] and "forbids tool calls" in forbidden.text
    without = await sample(MEAN, tools=[])
    assert without.calls == [] and '"type": "code_execution_20250825"' in without.text


@pytest.mark.parametrize("prompt", ["Write me a poem", "", "```json\n{}\n```", "Get weather for 5 cities"])
async def test_an_unknown_prompt_is_answered_with_what_it_can_do(prompt: str) -> None:
    got = await sample(prompt)
    assert got.stop_reason == "end_turn" and got.calls == []
    assert all(part in got.text for part in (NOTICE, "bathysphere.toml", "ANTHROPIC_API_KEY", "OPENAI_BASE_URL"))


async def test_an_error_of_the_tool_is_told() -> None:
    data = {"error_code": "execution_time_exceeded", "message": "over 300 s"}
    got = await sample(MEAN, *answered(data, is_error=True))
    assert "execution_time_exceeded: over 300 s" in got.text and "mean:" not in got.text
    assert got.stop_reason == "end_turn"


async def test_a_program_that_fails_is_told_with_its_own_words() -> None:
    got = await sample(MEAN, *answered({"stdout": "", "stderr": "python3: not found", "return_code": 127}))
    assert "exit code 127" in got.text and "python3: not found" in got.text


async def test_output_that_is_not_what_was_expected_is_shown_not_guessed() -> None:
    got = await sample(MEAN, *answered({"stdout": "hello", "stderr": "", "return_code": 0}))
    assert "not what I expected" in got.text and "hello" in got.text


@pytest.mark.parametrize("tools", [SHELL_AND_EDITOR, PYTHON_ONLY], ids=["bash", "python only"])
async def test_fenced_blocks_run_one_after_another(tmp_path: Path, tools: list[dict[str, Any]]) -> None:
    prompt = (
        "Run these:\n```bash\necho one; echo '```' > f; false\n```\nthen\n```python\nprint(open('f').read() * 2)\n```\n"
        "and\n```\n$ echo three\nthree\n```\n~~~\nimport sys\nprint(sys.argv[0] is None)\n~~~\n```sql\nSELECT 1\n```"
    )
    bench = Workbench(tmp_path)
    answer = await bench.converse(prompt, tools=tools)
    assert len(bench.calls) == 4
    assert all(f"Block {number}:" in answer.text for number in (1, 2, 3, 4))
    assert "one" in answer.text and "````\n```\n```" in answer.text and "False" in answer.text
    assert "three" in bench.results[2]["stdout"] and "$ echo" not in json.dumps(bench.calls[2]["input"])


async def test_long_output_is_shortened_and_says_so(tmp_path: Path) -> None:
    answer = await Workbench(tmp_path).converse("```bash\nseq 1 5000\n```")
    assert "more characters are in the tool's result" in answer.text and len(answer.text) < 6000


async def test_code_that_would_end_the_heredoc_is_run_whole(tmp_path: Path) -> None:
    answer = await Workbench(tmp_path).converse("```python\nprint('''\nPROGRAM\n''', 6 * 7)\n```")
    assert "42" in answer.text


async def test_python_blocks_run_in_the_interpreter_where_there_is_one() -> None:
    """There they find variables of earlier ones and the user's own tools; shell blocks stay with bash."""
    prompt = "```python\nprint(await get_weather({}))\n```\n```bash\nls\n```"
    tools = [*SHELL_AND_EDITOR, *PYTHON_ONLY]
    first = await sample(prompt, tools=tools)
    assert [(call["name"], call["input"]) for call in first.calls] == [
        ("code_execution", {"code": "print(await get_weather({}))"})
    ]
    then = await sample(prompt, *answered({"stdout": "sunny\n", "stderr": "", "return_code": 0}), tools=tools)
    assert [call["name"] for call in then.calls] == ["bash_code_execution"]
