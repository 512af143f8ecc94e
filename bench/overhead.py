"""What the server adds to a turn that a model answers at once: time, first token, throughput, histories, streams.

python bench/overhead.py [--rounds 500] [--streams 1000]

Every figure stands beside that of the upstream itself and that of a plain pass-through proxy (Starlette and httpx2,
nothing looked at), all measured in the same run. Upstream, proxy, server and clients share the machine.
"""

from __future__ import annotations

import argparse
import asyncio
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import uvloop
from bench.streams.reader import Answer, Reader
from tests.server import free_port, peak_memory, reset_peak_memory, running_server

ROOT = Path(__file__).parents[1]
TOOL = {"type": "code_execution_20250825", "name": "code_execution"}
CLIENTS = (1, 16, 256)
HISTORIES = (1, 10, 100, 1000)
SECONDS_OF_LOAD = 5.0


@dataclass(frozen=True)
class Party:
    """Somebody who answers ``POST /v1/messages``."""

    name: str
    port: int
    key: str = "none"
    tools: bool = False


def body(party: Party, *, stream: bool, messages: int = 1, model: str = "instant") -> dict[str, Any]:
    """A request whose history has so many messages."""
    history: list[dict[str, Any]] = [
        {"role": "user" if number % 2 == 0 else "assistant", "content": f"Message {number}: " + "words " * 30}
        for number in range(messages if messages % 2 else messages + 1)
    ]
    asked: dict[str, Any] = {"model": model, "max_tokens": 1024, "stream": stream, "messages": history}
    return asked | ({"tools": [TOOL]} if party.tools else {})


@contextmanager
def started(module: str, *ports: int) -> Iterator[None]:
    """A party as a process of its own, from when it takes connections."""
    process = subprocess.Popen([sys.executable, "-m", module, *map(str, ports)], cwd=ROOT)
    try:
        deadline = time.monotonic() + 30
        while True:
            try:
                socket.create_connection(("127.0.0.1", ports[0]), timeout=1).close()
                break
            except OSError:
                if process.poll() is not None or time.monotonic() > deadline:
                    raise
                time.sleep(0.05)
        yield
    finally:
        process.terminate()
        process.wait()


async def one_after_another(
    party: Party, rounds: int, *, stream: bool, messages: int = 1, model: str = "instant"
) -> list[Answer]:
    """Answers of one client, after some that are not counted."""
    reader = await Reader.connect(party.port)
    request = reader.prepared(body(party, stream=stream, messages=messages, model=model), party.key)
    for _ in range(min(20, rounds)):
        await reader.ask(request)
    answers = [await reader.ask(request) for _ in range(rounds)]
    reader.close()
    return answers


async def per_second(party: Party, clients: int) -> float:
    """Requests per second of so many clients that ask without a pause, streaming."""
    readers = [await Reader.connect(party.port) for _ in range(clients)]
    request = readers[0].prepared(body(party, stream=True), party.key)
    ending = time.perf_counter() + SECONDS_OF_LOAD
    done = 0

    async def ask(reader: Reader) -> None:
        nonlocal done
        while time.perf_counter() < ending:
            await reader.ask(request)
            done += 1

    began = time.perf_counter()
    await asyncio.gather(*map(ask, readers))
    taken = time.perf_counter() - began
    for reader in readers:
        reader.close()
    return done / taken


async def live(party: Party, streams: int, tokens: int, pause_ms: int) -> list[Answer]:
    """So many streams at once, each with so many tokens, so far apart."""
    readers = [await Reader.connect(party.port) for _ in range(streams)]
    asked = body(party, stream=True, model=f"live-{tokens}-{pause_ms}")
    request = readers[0].prepared(asked, party.key)
    answers = await asyncio.gather(*(reader.ask(request, live=True) for reader in readers))
    for reader in readers:
        reader.close()
    return answers


def points(seconds: list[float]) -> tuple[float, float]:
    """p50 and p99 in milliseconds."""
    ordered = sorted(seconds)
    return statistics.median(ordered) * 1000, ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))] * 1000


def line(name: str, *columns: object) -> None:
    """One line of a table."""
    cells = "".join(f"{column:>12.2f}" if isinstance(column, float) else f"{column:>12}" for column in columns)
    print(f"{name:<44}{cells}", flush=True)


async def measure(parties: list[Party], server_pid: int, rounds: int, streams: int) -> None:
    """Print the tables."""
    line("one client, ms", "p50", "p99")
    for stream in (True, False):
        for party in parties:
            answers = await one_after_another(party, rounds, stream=stream)
            line(
                f"{party.name}, {'streaming' if stream else 'not streaming'}",
                *points([answer.whole for answer in answers]),
            )
    print()
    line("first token of three, 10 ms apart, ms", "p50", "p99")
    for party in parties:
        answers = await one_after_another(party, rounds // 2, stream=True, model="live-3-10")
        line(party.name, *points([answer.first_token for answer in answers]))
    print()
    line("requests per second, streaming", *(f"{clients} clients" for clients in CLIENTS))
    for party in parties:
        line(party.name, *[await per_second(party, clients) for clients in CLIENTS])
    print()
    line("a turn with a history of, p50 ms", *(f"{count} msgs" for count in HISTORIES))
    for party in parties:
        medians = []
        for count in HISTORIES:
            answers = await one_after_another(party, max(20, rounds // 10), stream=True, messages=count)
            medians.append(points([answer.whole for answer in answers])[0])
        line(party.name, *medians)
    print()
    line(f"{streams} streams at once, 100 tokens, ms", "lag p50", "lag p99", "longest", "MiB more")
    for party in parties[1:]:
        before = reset_peak_memory(server_pid)
        answers = await live(party, streams, 100, 200)
        lags = [lag for answer in answers for lag in answer.lags]
        if len(lags) != streams * 100:
            raise RuntimeError(f"{streams * 100 - len(lags)} tokens were lost")
        more = (peak_memory(server_pid) - before) / (1 << 20) if party.port == parties[-1].port else "-"
        line(party.name, *points(lags), max(lags) * 1000, more)


def main() -> None:
    """Start everybody, and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=500)
    parser.add_argument("--streams", type=int, default=1000)
    given = parser.parse_args()
    upstream_port, proxy_port = free_port(), free_port()
    model = {
        "backend": "anthropic",
        "match": "*",
        "base_url": f"http://127.0.0.1:{upstream_port}",
        "api_key_env": "BENCH_KEY",
    }
    with ExitStack() as stack:
        stack.enter_context(started("bench.streams.upstream", upstream_port))
        stack.enter_context(started("bench.streams.proxy", proxy_port, upstream_port))
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        server = stack.enter_context(running_server(folder, [model], environment={"BENCH_KEY": "k"}))
        parties = [
            Party("the upstream itself", upstream_port),
            Party("a plain proxy", proxy_port),
            Party("bathysphere", server.port, server.key),
            Party("bathysphere, code execution declared", server.port, server.key, tools=True),
        ]
        uvloop.run(measure(parties, server.pid, given.rounds, given.streams))


if __name__ == "__main__":
    main()
