"""Turns of the demo model through a real server: how soon a result arrives, and how long a whole turn takes.

Prints milliseconds. "result after the command ended" runs ``date`` as the command, whose own output says when it
ran: the time from there until the client holds the result block of the stream.
"""

from __future__ import annotations

import http.client
import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import quantiles
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.server import Server, running_server

RUNS = 200
RUNS_WITH_A_NEW_CONTAINER = 40
CLOCK = "```bash\ndate +%s%N\n```"
NOTHING = "```bash\ntrue\n```"


class Client:
    """One kept-open connection, so that only the server is measured."""

    def __init__(self, server: Server) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=120)
        self.headers = {"x-api-key": server.key, "content-type": "application/json"}

    def ask(self, prompt: str, stream: bool, container: str | None) -> http.client.HTTPResponse:
        """Send one request with the code execution tool. Raises RuntimeError unless it is answered with 200."""
        body: dict[str, Any] = {
            "model": "demo",
            "max_tokens": 1024,
            "stream": stream,
            "messages": [{"role": "user", "content": prompt}],
            "tools": [{"type": "code_execution_20250825", "name": "code_execution"}],
            "container": container,
        }
        self.connection.request("POST", "/v1/messages", json.dumps(body), self.headers)
        response = self.connection.getresponse()
        if response.status != 200:
            raise RuntimeError(f"{response.status}: {response.read().decode()}")
        return response

    def new_container(self) -> str:
        """The id of a container that runs."""
        identifier: str = json.load(self.ask(NOTHING, False, None))["container"]["id"]
        return identifier

    def result_after_the_command_ended(self, container: str) -> float:
        """Milliseconds from the moment that ``date`` printed to the arrival of its result block."""
        response = self.ask(CLOCK, True, container)
        milliseconds = None
        while line := response.readline():
            arrived = time.time_ns()
            if line.startswith(b"data:") and b'"content_block_start"' in line and b"_tool_result" in line:
                result = json.loads(line.removeprefix(b"data:"))["content_block"]["content"]
                milliseconds = (arrived - int(result["stdout"])) / 1e6
        if milliseconds is None:
            raise RuntimeError("the stream held no result")
        return milliseconds

    def turn(self, stream: bool, container: str | None) -> float:
        """Milliseconds that a whole turn took, its answer read to the end."""
        started = time.perf_counter()
        self.ask(NOTHING, stream, container).read()
        return (time.perf_counter() - started) * 1000


def measure(name: str, runs: int, once: Callable[[], float]) -> None:
    """Run it, after a few runs that are not counted, and print a line of the table."""
    for _ in range(min(5, runs)):
        once()
    points = quantiles([once() for _ in range(runs)], n=100, method="inclusive")
    print(f"{name:<48} {runs:>5} {points[49]:>9.2f} {points[98]:>9.2f}", flush=True)


def main() -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as folder, running_server(Path(folder)) as server:
        client = Client(server)
        container = client.new_container()
        print(f"{'turns of the demo model, ms':<48} {'n':>5} {'p50':>9} {'p99':>9}")
        measure(
            "result block after the command ended (stream)",
            RUNS,
            lambda: client.result_after_the_command_ended(container),
        )
        measure("turn with one command, streaming", RUNS, lambda: client.turn(True, container))
        measure("turn with one command, not streaming", RUNS, lambda: client.turn(False, container))
        measure("the same in a new container, streaming", RUNS_WITH_A_NEW_CONTAINER, lambda: client.turn(True, None))
        measure(
            "the same in a new container, not streaming", RUNS_WITH_A_NEW_CONTAINER, lambda: client.turn(False, None)
        )


if __name__ == "__main__":
    main()
