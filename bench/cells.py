"""How long cells take: a small one, calls of tools, a first `import pandas`, and 200 containers that wait at once.

python bench/cells.py [--rounds 200]
"""

from __future__ import annotations

import argparse
import asyncio
import http.client
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import uvloop
from tests.server import running_server

from bathysphere.containers.host import Cell, CellEnded, CellState, CellWaits, ToolAnswer, ToolFunction
from bathysphere.containers.local import LocalHost
from bathysphere.image.definition import Definition
from bathysphere.image.image import find
from bathysphere.settings import Settings

ADD = ToolFunction("add", ("a", "b"))
AT_ONCE = 200
CALLS = 1000
HTTP_CALLS = 100


def show(name: str, taken: list[float]) -> None:
    """One line of the table, in milliseconds."""
    taken.sort()
    p99 = taken[min(len(taken) - 1, int(len(taken) * 0.99))]
    print(f"{name:<58}{len(taken):>6}{statistics.median(taken):>9.1f}{p99:>9.1f}{taken[0]:>9.1f}", flush=True)


async def timed(rounds: int, action: Callable[[int], Awaitable[object]]) -> list[float]:
    """Milliseconds of each round."""
    taken = []
    for number in range(rounds):
        started = time.perf_counter()
        await action(number)
        taken.append((time.perf_counter() - started) * 1000)
    return taken


class Bench:
    """One host, and cells in its containers."""

    def __init__(self, host: LocalHost) -> None:
        self.host = host

    async def run(self, container: str, source: str) -> CellState:
        """One cell."""
        return await self.host.run_cell(container, "cell", Cell(source, 90, (ADD,)))

    async def output(self, container: str, source: str, output: str = "") -> None:
        """A cell that ends at once, which must have printed this."""
        state = await self.run(container, source)
        assert isinstance(state, CellEnded), state
        assert state.stdout.decode() == output, state

    async def answer(self, container: str, state: CellState) -> CellState:
        """Answer what it waits for."""
        assert isinstance(state, CellWaits), state
        sums = [ToolAnswer(call.id, str(call.arguments["a"] + call.arguments["b"])) for call in state.calls]
        return await self.host.answer_cell(container, "cell", sums)

    async def calls(self) -> list[float]:
        """Milliseconds of each of many calls in one cell, one after the other."""
        state = await self.run(
            "live", f"t = 0\nfor n in range({CALLS}):\n    t = int(await add({{'a': t, 'b': n}}))\nt"
        )
        taken = []
        while isinstance(state, CellWaits):
            started = time.perf_counter()
            state = await self.answer("live", state)
            taken.append((time.perf_counter() - started) * 1000)
        assert state.stdout.decode() == f"{sum(range(CALLS))}\n", state
        return taken

    async def pooled(self, rounds: int) -> list[float]:
        """Milliseconds of a first `import pandas` in containers from the pool that had time to be prepared."""
        taken = []
        for number in range(rounds):
            while (await self.host.status()).ready < 1:
                await asyncio.sleep(0.05)
            await asyncio.sleep(5)
            await self.host.create(f"pooled{number}")
            started = time.perf_counter()
            await self.output(f"pooled{number}", "import pandas")
            taken.append((time.perf_counter() - started) * 1000)
            await self.host.delete(f"pooled{number}")
        return taken


def over_http(folder: Path) -> list[float]:
    """Milliseconds of each request that answers a call, until the answer that holds the next one."""
    tool = {"name": "add", "input_schema": {"type": "object"}, "allowed_callers": ["code_execution_20260120"]}
    source = f"t = 0\nfor n in range({HTTP_CALLS}):\n    t = int(await add({{'a': t, 'b': n}}))\nt"
    messages: list[dict[str, Any]] = [{"role": "user", "content": f"```python\n{source}\n```"}]
    body: dict[str, Any] = {"model": "demo", "max_tokens": 1000, "messages": messages}
    body["tools"] = [{"type": "code_execution_20260120", "name": "code_execution"}, tool]
    taken = []
    with running_server(folder) as server:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
        headers = {"x-api-key": server.key, "anthropic-version": "2023-06-01", "content-type": "application/json"}
        while True:
            text = json.dumps(body)
            started = time.perf_counter()
            connection.request("POST", "/v1/messages", text, headers)
            answer = json.loads(connection.getresponse().read())
            taken.append((time.perf_counter() - started) * 1000)
            if answer["stop_reason"] != "tool_use":
                break
            body["container"] = answer["container"]["id"]
            call = answer["content"][-1]
            result = {"type": "tool_result", "tool_use_id": call["id"]}
            result["content"] = str(call["input"]["a"] + call["input"]["b"])
            messages += [{"role": "assistant", "content": answer["content"]}, {"role": "user", "content": [result]}]
        connection.close()
    assert answer["content"][0]["content"]["stdout"] == f"{sum(range(HTTP_CALLS))}\n", answer
    return taken[1:-1]


async def suspended(bench: Bench) -> None:
    """Hold many containers in a call at once, then let all go on."""
    limit = asyncio.Semaphore(8)

    async def begin(name: str, number: int) -> CellState:
        async with limit:
            await bench.host.create(name)
            return await bench.run(name, f"x = {number}\nprint(x, await add({{'a': x, 'b': 1}}))")

    started = time.perf_counter()
    states = await asyncio.gather(*(begin(f"s{number}", number) for number in range(AT_ONCE)))
    held = time.perf_counter()
    ends = await asyncio.gather(*(bench.answer(f"s{number}", state) for number, state in enumerate(states)))
    done = time.perf_counter()
    right = sum(
        isinstance(end, CellEnded) and end.stdout.decode() == f"{number} {number + 1}\n"
        for number, end in enumerate(ends)
    )
    print(
        f"{AT_ONCE} containers that wait in a call: made in {held - started:.1f} s, all answered in {done - held:.2f} s"
    )
    print(f"right: {right} of {AT_ONCE}")
    assert right == AT_ONCE


async def main() -> None:
    """Print the table."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rounds", type=int, default=200)
    rounds = arguments.parse_args().rounds
    image = find()
    if image is None:
        raise SystemExit("There is no container image. Build it: bathysphere image build")
    environment = Definition.load().environment
    print(f"{'milliseconds':<58}{'n':>6}{'p50':>9}{'p99':>9}{'least':>9}")

    with tempfile.TemporaryDirectory(prefix="bathysphere-bench-") as data:
        settings = Settings.model_validate({"host": {"pool": 0, "max_sandboxes": AT_ONCE + 8}})
        host = LocalHost(Path(data), settings, image.root, environment)
        bench = Bench(host)
        try:
            await host.create("live")
            await bench.output("live", "x = 1")
            show("a cell in a live interpreter: 1", await timed(rounds, lambda _: bench.output("live", "x", "1\n")))
            show("a call of a tool, at the host's interface", await bench.calls())

            async def first(number: int, source: str) -> None:
                await bench.output(f"cold{number}", source)

            for number in range(10):
                await host.create(f"cold{number}")
            show("first cell of a container, with nothing prepared", await timed(10, lambda n: first(n, "x = 1")))
            for number in range(10):
                await host.delete(f"cold{number}")
                await host.create(f"cold{number}")
            show(
                "first cell, import pandas, with nothing prepared", await timed(10, lambda n: first(n, "import pandas"))
            )
            for number in range(10):
                await host.delete(f"cold{number}")
            await suspended(bench)
        finally:
            await host.close(stop_host=True)
    with tempfile.TemporaryDirectory(prefix="bathysphere-bench-") as data:
        show("a call of a tool, over HTTP, of 100 in one cell", await asyncio.to_thread(over_http, Path(data)))
    with tempfile.TemporaryDirectory(prefix="bathysphere-bench-") as data:
        host = LocalHost(Path(data), Settings.model_validate({"host": {"pool": 1}}), image.root, environment)
        try:
            await host.start()
            show("first cell, import pandas, in a container from the pool", await Bench(host).pooled(10))
        finally:
            await host.close(stop_host=True)


if __name__ == "__main__":
    uvloop.run(main())
