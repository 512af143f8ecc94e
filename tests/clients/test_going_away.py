"""Clients that go away in the middle of a turn."""

from __future__ import annotations

from tests.clients.asking import ask, question
from tests.clients.events import streaming
from tests.seeds import expectations
from tests.server import Server


def test_a_command_ends_with_its_client(server: Server) -> None:
    """Calls of one container are carried out one after another, so the next one would wait for it."""
    container = ask(server, "```bash\ntrue\n```")["container"]["id"]
    endless = question("```bash\nsleep 250\n```", container=container)
    with streaming(server, endless) as events:
        next(event for event in events if event.get("content_block", {}).get("type") == "server_tool_use")
        next(event for event in events if event["type"] == "content_block_stop")
    message = ask(server, "```bash\npgrep -c sleep\n```", container=container)
    assert expectations.output(message) == "0\n"
