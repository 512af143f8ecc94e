"""A batch whose server is killed again and again: what came out, and what was really done, counted in the sandboxes.

Each request appends its id to a file of a container that it shares with others. So what ran can be counted after
the end, whatever the server says.
"""

from __future__ import annotations

import contextlib
import random
import sqlite3
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.batches.asking import PATIENCE_SECONDS, bash, create, ended, request, results
from tests.clients.asking import ask
from tests.seeds import expectations
from tests.server import Server, running_server, start_again

CONTAINERS = 8
WORKERS = 8
LEASE_SECONDS = 2


@dataclass(frozen=True)
class Outcome:
    """``ran``: how often each request left its mark. ``down_seconds``: when no server was there, of all ``seconds``."""

    batch: dict[str, Any]
    results: list[dict[str, Any]]
    ran: Counter[str]
    kills: int
    seconds: float
    down_seconds: float

    def faults(self, requests: int) -> list[str]:
        """What must not be, in words."""
        found = []
        ids = Counter(line["custom_id"] for line in self.results)
        if ids != Counter(f"r-{number}" for number in range(requests)):
            found.append("not each request has exactly one result")
        found += [f"{name} was executed {times} times" for name, times in self.ran.items() if times > 1]
        for line in self.results:
            name, result = line["custom_id"], line["result"]
            if result["type"] == "succeeded" and self.ran[name] != 1:
                found.append(f"{name} succeeded, and left {self.ran[name]} marks")
            if result["type"] == "errored" and "ended while this request was running" not in str(result["error"]):
                found.append(f"{name}: {result['error']}")
        in_doubt = sum(line["result"]["type"] == "errored" for line in self.results)
        if in_doubt > self.kills * WORKERS:
            found.append(f"{in_doubt} requests were given up, at {self.kills} kills of {WORKERS} workers")
        counts = Counter(line["result"]["type"] for line in self.results)
        if any(self.batch["request_counts"][kind] != counts[kind] for kind in ("succeeded", "errored", "canceled")):
            found.append(f"the batch counts {self.batch['request_counts']}, its results are {dict(counts)}")
        return found


def trial(folder: Path, requests: int, kills: int, seed: int, say: Callable[[str], None]) -> Outcome:
    """Run a batch of so many requests to its end, while its server is killed so many times."""
    tables = {
        "batches": {"workers": WORKERS, "claimed": 100, "lease_seconds": LEASE_SECONDS},
        "host": {"linger_seconds": 120},
    }
    choice = random.Random(seed)
    with running_server(folder, tables=tables) as server:
        shared = [ask(server, "```bash\ntrue\n```")["container"]["id"] for _ in range(CONTAINERS)]
        began = time.monotonic()
        batch = create(
            server,
            (
                request(f"r-{number}", bash(f"echo r-{number} >> /tmp/marks", container=shared[number % CONTAINERS]))
                for number in range(requests)
            ),
        )
        say(f"{requests} requests taken in {time.monotonic() - began:.2f} s")
        began = time.monotonic()
        down = 0.0
        for number in range(kills):
            _wait_for(server, requests * (number + choice.random()) / (kills + 1))
            server.kill()
            killed = time.monotonic()
            start_again(server)
            down += time.monotonic() - killed
            say(f"killed {number + 1} times, {_finished(server)} results so far")
        batch = ended(server, batch["id"])
        seconds = time.monotonic() - began
        ran: Counter[str] = Counter()
        for container in shared:
            ran.update(
                expectations.output(
                    ask(server, "```bash\ncat /tmp/marks | tr '\\n' ' '\n```", container=container)
                ).split()
            )
        return Outcome(batch, results(server, batch["id"]), ran, kills, seconds, down)


def _finished(server: Server) -> int:
    """How many results are written; the API tells only at the end."""
    path = server.data / "store" / "bathysphere.sqlite3"
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
        query = "SELECT count(*) FROM batch_requests WHERE state NOT IN ('queued', 'claimed', 'begun')"
        (count,) = database.execute(query).fetchone()
    return int(count)


def _wait_for(server: Server, finished: float) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while _finished(server) < finished:
        if time.monotonic() > deadline:
            raise AssertionError(f"only {_finished(server)} requests are finished\n{server.output()}")
        time.sleep(0.1)
