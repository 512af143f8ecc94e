"""Code that waits for the client's tools while the processes around it are killed."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients.asking import ask
from tests.server import Server, running_server, start_again

from .test_code_calls_tools import Conversation


@pytest.fixture
def lingering(tmp_path: Path) -> Iterator[Server]:
    """A server whose host daemon outlives it for a while."""
    with running_server(tmp_path, tables={"host": {"linger_seconds": 120}}) as server:
        yield server


def test_the_server_is_killed_while_code_waits(lingering: Server) -> None:
    """The new server goes on with the code where it stands; its variables are those from before."""
    conversation = Conversation(lingering)
    conversation.advance()
    for city in ("Oslo", "Rome"):
        lingering.kill()
        start_again(lingering)
        conversation.answer(f"{city} is fine")
        message = conversation.advance()
    assert message["stop_reason"] == "end_turn"
    assert message["content"][0]["content"]["stdout"] == "Oslo Oslo is fine\nRome Rome is fine\n"


def test_the_host_is_killed_while_code_waits(lingering: Server) -> None:
    """The result says what has happened, the model goes on, and so does the conversation in its container."""
    ask_in = ask(lingering, "```bash\necho kept > kept.txt\n```")["container"]["id"]
    conversation = Conversation(lingering)
    conversation.body["container"] = ask_in
    conversation.advance()
    os.kill(lingering.daemon_pid(), signal.SIGKILL)
    conversation.answer("too late")
    message = conversation.advance()
    assert message["stop_reason"] == "end_turn"
    result = message["content"][0]
    assert result["type"] == "code_execution_tool_result"
    assert result["content"]["return_code"] == 1
    for word in ("ended", "waited", "Files", "variables"):
        assert word.lower() in result["content"]["stderr"].lower()
    after = ask(lingering, "```bash\ncat kept.txt\n```", container=ask_in)
    assert "kept\n" in str(after["content"]).replace("\\n", "\n")
    conversation.body["messages"] = [
        *conversation.body["messages"],
        {"role": "user", "content": "```python\nprint('on')\n```"},
    ]
    last = conversation.advance()
    assert "on\n" in [
        block["content"]["stdout"] for block in last["content"] if block["type"] == "code_execution_tool_result"
    ]


def test_the_guest_is_killed_while_code_waits(lingering: Server) -> None:
    conversation = Conversation(lingering)
    conversation.advance()
    (guest,) = (pid for pid, command in lingering.processes().items() if "/guest/start.py" in command and first(pid))
    os.kill(guest, signal.SIGKILL)
    conversation.answer("too late")
    message = conversation.advance()
    assert message["stop_reason"] == "end_turn"
    assert message["content"][0]["content"]["return_code"] == 1


def first(pid: int) -> bool:
    """Whether a process is process 1 of a namespace of its own."""
    status = Path(f"/proc/{pid}/status").read_text()
    numbers = next(line.split()[1:] for line in status.splitlines() if line.startswith("NSpid"))
    return len(numbers) > 1 and numbers[-1] == "1"
