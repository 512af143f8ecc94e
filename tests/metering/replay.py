"""Many turns through the official SDK, and then the same sum from every place that has it."""

from __future__ import annotations

import asyncio
import json
import random
import subprocess
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import anthropic
from anthropic.types import CodeExecutionTool20250825Param

from tests.metering.books import Books
from tests.server import COMMAND, Server, create_key, free_port, running_server

FREE_HOURS = 0.5
TOOL: CodeExecutionTool20250825Param = {"type": "code_execution_20250825", "name": "code_execution"}


@dataclass(frozen=True)
class Sums:
    """Seconds and cents as each place has them, and turns."""

    turns: int
    calls_seconds: int
    books_seconds: int
    metrics_seconds: int
    calls_cents: Decimal
    report_cents: Decimal
    metrics_cents: Decimal
    metrics_turns: int
    reported_turns: int

    def agree(self) -> bool:
        """To the second, the cent and the turn. Metrics are floating point, so their cents are rounded."""
        millionth = Decimal("0.000001")
        return (
            self.calls_seconds == self.books_seconds == self.metrics_seconds
            and self.calls_cents.quantize(millionth) == self.report_cents.quantize(millionth)
            and self.metrics_cents.quantize(millionth) == self.report_cents.quantize(millionth)
            and self.turns == self.metrics_turns == self.reported_turns
        )


def replay(folder: Path, turns: int, clients: int, seed: int, say: Callable[[str], None]) -> Sums:
    """Run the turns, each with code execution, in containers that are used again or new, and read all the sums."""
    port = free_port()
    tables: dict[str, dict[str, Any]] = {
        "metering": {"free_hours": FREE_HOURS},
        "metrics": {"listen": f"127.0.0.1:{port}"},
        "host": {"pool": 2},
    }
    with running_server(folder, tables=tables) as server:
        admin = create_key(server.data, server.environment, "--admin")
        asyncio.run(_turns(server, turns, clients, seed, say))
        return _sums(server, port, admin, turns)


async def _turns(server: Server, turns: int, clients: int, seed: int, say: Callable[[str], None]) -> None:
    waiting = iter(range(turns))
    done = 0

    async def client(number: int) -> None:
        nonlocal done
        chance = random.Random(f"{seed} {number}")
        key = server.key if number % 2 else server.other_key
        sdk = anthropic.AsyncAnthropic(base_url=server.base_url, api_key=key, max_retries=5)
        async with sdk:
            container: str | None = None
            for turn in waiting:
                if container is None or chance.random() < 0.03:
                    container = None
                text = f"```bash\necho {turn}\n```"
                message = await sdk.messages.create(
                    model="demo",
                    max_tokens=1024,
                    messages=[{"role": "user", "content": text}],
                    tools=[TOOL],
                    container=container,
                )
                assert f'"stdout":"{turn}\\n"' in message.to_json(indent=None).replace(" ", ""), message
                assert message.container is not None
                container = message.container.id
                done += 1
                if done % 1000 == 0:
                    say(f"{done} turns")

    await asyncio.gather(*(client(number) for number in range(clients)))


def _sums(server: Server, port: int, admin: str, turns: int) -> Sums:
    books = Books(server.data)
    assert books.agree()
    calls_seconds = sum(books.seconds_of_calls().values())
    paid = max(0, calls_seconds - int(FREE_HOURS * 3600))
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
        metrics = [line.rpartition(" ") for line in answer.read().decode().splitlines() if line[:1] != "#"]

    def metric(name: str) -> Decimal:
        return sum((Decimal(value) for found, _, value in metrics if found.partition("{")[0] == name), Decimal(0))

    since = (datetime.now(UTC) - timedelta(days=1)).strftime("%Y-%m-%dT00:00:00Z")
    report = _admin(server, admin, f"cost_report?starting_at={since}&group_by[]=workspace_id&group_by[]=description")
    used = subprocess.run(
        [*COMMAND, "usage", "--data", str(server.data), "--json"], capture_output=True, check=True, text=True
    )
    return Sums(
        turns=turns,
        calls_seconds=calls_seconds,
        books_seconds=sum(books.seconds().values()),
        metrics_seconds=int(metric("bathysphere_execution_seconds_total")),
        calls_cents=Decimal(paid) * 5 / 3600,
        report_cents=sum(
            (Decimal(result["amount"]) for bucket in report["data"] for result in bucket["results"]), Decimal(0)
        ),
        metrics_cents=metric("bathysphere_execution_dollars_total") * 100,
        metrics_turns=int(metric("bathysphere_metered_requests_total")),
        reported_turns=_requests(json.loads(used.stdout)),
    )


def _requests(printed: object) -> int:
    """What ``bathysphere usage --json`` says of requests, over all its rows."""
    assert isinstance(printed, dict)
    return sum(row["requests"] for row in printed["data"])


def _admin(server: Server, key: str, path: str) -> dict[str, list[dict[str, list[dict[str, str]]]]]:
    asked = urllib.request.Request(f"{server.base_url}/v1/organizations/{path}", headers={"x-api-key": key})
    with urllib.request.urlopen(asked) as answer:
        found: dict[str, list[dict[str, list[dict[str, str]]]]] = json.load(answer)
        return found
