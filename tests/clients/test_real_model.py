"""A real language model behind the whole server. It is tiny: tokens flow and the loop turns, and that is all."""

from __future__ import annotations

from pathlib import Path

from tests.clients.asking import question
from tests.clients.events import streaming
from tests.models.smollm import smollm
from tests.server import running_server

__all__ = ["smollm"]

PROMPT = "Use bash to list the files in /tmp."


def test_tokens_stream_and_the_loop_turns(smollm: str, tmp_path: Path) -> None:
    models = [{"match": "*", "backend": "openai", "base_url": smollm, "tool_calls": "prompt", "model": "smollm2"}]
    with running_server(tmp_path, models) as server:
        # One sampling more after the first call is enough to see the loop turn.
        body = question(PROMPT, max_tokens=400, temperature=0)
        with streaming(server, body) as stream:
            events = list(stream)

    blocks = [event["content_block"] for event in events if event["type"] == "content_block_start"]
    kinds = [block["type"] for block in blocks]
    assert kinds.count("server_tool_use") >= 1
    first_result = kinds.index("bash_code_execution_tool_result")
    assert blocks[first_result]["content"]["type"] == "bash_code_execution_result"
    assert len(kinds) > first_result + 1, "the model was sampled again after the result"

    deltas = [event for event in events if event["type"] == "content_block_delta" and event["index"] == 0]
    assert len(deltas) > 3, "text comes in pieces"
    end = next(event for event in events if event["type"] == "message_delta")
    assert end["usage"]["output_tokens"] > len(deltas) / 2
    assert end["usage"]["server_tool_use"]["code_execution_requests"] == kinds.count("server_tool_use")
    assert end["delta"]["container"]["id"].startswith("container_")
    assert events[-1]["type"] == "message_stop"
