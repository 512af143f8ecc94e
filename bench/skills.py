"""What skills cost a turn of the demo model: the same again, others, the first time in a new container.

Prints milliseconds. A skill is of one file, and of 1 MB in 20 files.
"""

from __future__ import annotations

import http.client
import json
import os
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
FEWER = 30
NOTHING = "```bash\ntrue\n```"


class Client:
    """One kept-open connection, so that only the server is measured."""

    def __init__(self, server: Server) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=120)
        self.key = server.key

    def send(self, path: str, kind: str, body: bytes) -> Any:
        """Post, and give what is answered. Raises RuntimeError unless that is 200."""
        self.connection.request("POST", path, body, {"x-api-key": self.key, "content-type": kind})
        response = self.connection.getresponse()
        said = response.read()
        if response.status != 200:
            raise RuntimeError(f"{response.status}: {said.decode()}")
        return json.loads(said)

    def upload(self, name: str, files: dict[str, bytes]) -> dict[str, str]:
        """A new skill, as a request names it."""
        text = f"---\nname: {name}\ndescription: What {name} is for.\n---\n".encode()
        parts = b"".join(
            f'--edge\r\ncontent-disposition: form-data; name="files[]"; filename="{name}/{path}"\r\n\r\n'.encode()
            + data
            + b"\r\n"
            for path, data in ({"SKILL.md": text} | files).items()
        )
        made = self.send("/v1/skills", "multipart/form-data; boundary=edge", parts + b"--edge--\r\n")
        return {"type": "custom", "skill_id": made["id"]}

    def turn(self, container: dict[str, Any] | None) -> dict[str, Any]:
        """A whole turn with one command."""
        body = {
            "model": "demo",
            "max_tokens": 1024,
            "messages": [{"role": "user", "content": NOTHING}],
            "tools": [{"type": "code_execution_20250825", "name": "code_execution"}],
            "container": container,
        }
        answer: dict[str, Any] = self.send("/v1/messages", "application/json", json.dumps(body).encode())
        return answer


def measure(name: str, runs: int, once: Callable[[int], object]) -> None:
    """Run it, after a few runs that are not counted, and print a line of the table."""
    taken = []
    for number in range(runs + 5):
        started = time.perf_counter()
        once(number)
        taken.append((time.perf_counter() - started) * 1000)
    points = quantiles(taken[5:], n=100, method="inclusive")
    print(f"{name:<56} {runs:>5} {points[49]:>9.2f} {points[98]:>9.2f}", flush=True)


def main() -> None:
    """Print the table."""
    pool = {"host": {"pool": 4}}
    with tempfile.TemporaryDirectory() as folder, running_server(Path(folder), tables=pool) as server:
        client = Client(server)
        small = [client.upload(name, {}) for name in ("one", "two")]
        large = client.upload("large", {f"data/{number}.bin": os.urandom(50_000) for number in range(20)})
        used = client.turn(None)["container"]["id"]
        print(f"{'turns of the demo model with one command, ms':<56} {'n':>5} {'p50':>9} {'p99':>9}")
        measure("without skills", RUNS, lambda _: client.turn({"id": used}))
        measure("the same skill again", RUNS, lambda _: client.turn({"id": used, "skills": small[:1]}))
        measure("the same skill of 1 MB again", RUNS, lambda _: client.turn({"id": used, "skills": [large]}))
        measure("two skills in turn", FEWER, lambda n: client.turn({"id": used, "skills": [small[n % 2]]}))
        measure(
            "a skill of 1 MB, and none, in turn",
            FEWER,
            lambda n: client.turn({"id": used, "skills": [large] if n % 2 else []}),
        )
        measure("a new container, without skills", FEWER, lambda _: client.turn(None))
        measure("a new container, a small skill", FEWER, lambda _: client.turn({"skills": small[:1]}))
        measure("a new container, a skill of 1 MB", FEWER, lambda _: client.turn({"skills": [large]}))


if __name__ == "__main__":
    main()
