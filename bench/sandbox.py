"""How long a container takes at the host's interface and over HTTP, beside raw bubblewrap and a bare process.

python bench/sandbox.py [--rounds 200]
"""

from __future__ import annotations

import argparse
import asyncio
import http.client
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import uvloop
from tests.server import Server, running_server

from bathysphere.containers.host import Command, OutputChunk
from bathysphere.containers.local import LocalHost
from bathysphere.image.definition import Definition
from bathysphere.image.image import find
from bathysphere.settings import Settings

UID = 1_879_048_192 + 65_000


async def timed(rounds: int, action: Callable[[int], Awaitable[None]]) -> list[float]:
    """Milliseconds of each round."""
    taken = []
    for number in range(rounds):
        started = time.perf_counter()
        await action(number)
        taken.append((time.perf_counter() - started) * 1000)
    return sorted(taken)


def show(name: str, taken: list[float]) -> None:
    """One line of the table."""
    p99 = taken[min(len(taken) - 1, int(len(taken) * 0.99))]
    print(f"{name:<58}{len(taken):>6}{statistics.median(taken):>9.1f}{p99:>9.1f}{taken[0]:>9.1f}")


def run(argv: list[str], uid: int | None = None) -> None:
    """A program on the host, as somebody else where that is possible."""
    identity = {} if uid is None or os.geteuid() else {"user": uid, "group": uid, "extra_groups": []}
    subprocess.run(argv, check=True, stdout=subprocess.PIPE, env={}, cwd="/", **identity)  # type: ignore[call-overload]


async def main() -> None:
    """Print the table."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rounds", type=int, default=200)
    rounds = arguments.parse_args().rounds
    image = find()
    if image is None:
        raise SystemExit("There is no container image. Build it: bathysphere image build")
    few = max(10, rounds // 10)
    raw = [
        "/usr/bin/bwrap", "--unshare-all", "--die-with-parent", "--new-session", "--cap-drop", "ALL",
        "--ro-bind", str(image.root), "/", "--proc", "/proc", "--dev", "/dev", "--",
    ]  # fmt: skip
    print(f"{'milliseconds':<58}{'n':>6}{'p50':>9}{'p99':>9}{'min':>9}")

    async def bare(_: int) -> None:
        run(["/bin/bash", "-c", "echo hi"])

    async def bubblewrap(_: int) -> None:
        run([*raw, "/bin/true"], UID)

    async def bubblewrap_python(_: int) -> None:
        run([*raw, "/usr/bin/python3", "-I", "-S", "-c", "print(1)"], UID)

    show("host: bash -c 'echo hi'", await timed(rounds, bare))
    show("raw bubblewrap: true", await timed(rounds, bubblewrap))
    show("raw bubblewrap: python3 -I -S -c 'print(1)'", await timed(few, bubblewrap_python))
    async with a_host(image.root, pool=0) as (host, _data):
        await at_rest_and_live(host, rounds, few)
    async with a_host(image.root, pool=3) as (host, _data):
        await from_the_pool(host, few)
    async with a_host(image.root, pool=0, idle_seconds=0.2) as (host, _data):
        await restored(host, few)
    async with a_host(image.root, pool=0, max_sandboxes=128) as (host, data):
        await many_at_once(host, data)
    async with a_host(image.root, pool=0, max_sandboxes=8, idle_seconds=1) as (host, data):
        await many_suspended(host, data)
    over_http(rounds, few)


@asynccontextmanager
async def a_host(image: Path, **host: Any) -> AsyncIterator[tuple[LocalHost, Path]]:
    """A host of its own in an empty data directory."""
    with tempfile.TemporaryDirectory(prefix="bathysphere-bench-") as data:
        settings = Settings.model_validate({"host": {"max_sandboxes": 1000, **host}})
        one = LocalHost(Path(data), settings, image, Definition.load().environment)
        await one.start()
        try:
            yield one, Path(data)
        finally:
            await one.close(stop_host=True)


async def execute(host: LocalHost, name: str, source: str, language: str = "bash") -> str:
    """Run a command; what it printed."""
    said = b""
    async for item in host.execute(name, Command("python" if language == "python" else "bash", source, 60)):
        said += item.data if isinstance(item, OutputChunk) else b""
    return said.decode()


async def at_rest_and_live(host: LocalHost, rounds: int, few: int) -> None:
    """A container made from nothing, calls in a live one, and its end."""

    async def cold(number: int) -> None:
        await host.create(f"cold{number}")
        await execute(host, f"cold{number}", "echo hi")

    show("cold: container ready", await timed(few, lambda number: host.create(f"ready{number}")))
    show("cold: container ready and first echo", await timed(few, cold))
    await host.create("live")
    await execute(host, "live", "echo hi")

    async def echo(_: int) -> None:
        await execute(host, "live", "echo hi")

    async def python(_: int) -> None:
        await execute(host, "live", "print(1)", "python")

    show("live: echo", await timed(rounds, echo))
    show("live: python print(1)", await timed(few, python))
    show("container deleted", await timed(few, lambda number: host.delete(f"ready{number}")))


async def from_the_pool(host: LocalHost, few: int) -> None:
    """A container that was started ahead, to its first command's result."""
    ready = []
    for number in range(few):
        while (await host.status()).ready < 3:
            await asyncio.sleep(0.02)
        started = time.perf_counter()
        await host.create(f"pooled{number}")
        await execute(host, f"pooled{number}", "echo hi")
        ready.append((time.perf_counter() - started) * 1000)
    show("pool: container to first echo", sorted(ready))


async def restored(host: LocalHost, few: int) -> None:
    """A suspended container, to its first command's result."""
    await host.create("one")
    await execute(host, "one", "echo kept > kept.txt")
    taken = []
    for _ in range(few):
        while (await host.list())[0].state != "suspended":
            await asyncio.sleep(0.05)
        started = time.perf_counter()
        if await execute(host, "one", "cat kept.txt") != "kept\n":
            raise SystemExit("a restored container has lost its file")
        taken.append((time.perf_counter() - started) * 1000)
    show("suspended: restored and first result", sorted(taken))


async def many_at_once(host: LocalHost, data: Path, count: int = 100) -> None:
    """``count`` containers from nothing, and again while they live, each running Python."""

    async def one(number: int) -> bool:
        await host.create(f"many{number}")
        return await execute(host, f"many{number}", f"print({number} * 7)", "python") == f"{number * 7}\n"

    for name in (f"{count} at once: from nothing to Python's answer", f"{count} at once: Python's answer, live"):
        started = time.perf_counter()
        right = sum(await asyncio.gather(*(one(number) for number in range(count))))
        show(f"{name} ({right} right)", [(time.perf_counter() - started) * 1000])
    if os.geteuid() == 0:
        sizes = [path.stat().st_blocks * 512 for path in (data / "host" / "disks").iterdir()]
        print(f"{'disk of a container that ran one command, KiB':<58}{count:>6}{statistics.median(sizes) / 1024:>9.0f}")


async def many_suspended(host: LocalHost, data: Path, count: int = 1000) -> None:
    """Memory of the daemon's processes for ``count`` suspended containers."""
    await host.create("first")
    before = memory_of(data)
    for number in range(count):
        await host.create(f"held{number}")
    while any(container.state != "suspended" for container in await host.list()):
        await asyncio.sleep(0.2)
    grown = memory_of(data) - before
    print(f"{f'{count} suspended: growth of the daemon in MiB':<58}{count:>6}{grown / (1 << 20):>9.1f}", flush=True)


def memory_of(data: Path) -> int:
    """Bytes that the daemon of a data directory and its worker hold, shared pages counted once."""
    found = 0
    for entry in Path("/proc").iterdir():
        try:
            command = (entry / "cmdline").read_bytes()
            if b"bathysphere.host" in command and str(data).encode() in command:
                rollup = (entry / "smaps_rollup").read_text()
                found += next(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:")) * 1024
        except (OSError, StopIteration):
            continue
    return found


def over_http(rounds: int, few: int) -> None:
    """The Containers API of a real server, over one kept connection."""
    with (
        tempfile.TemporaryDirectory(prefix="bathysphere-bench-") as folder,
        running_server(Path(folder), tables={"host": {"pool": 3, "max_sandboxes": 1000}}) as server,
    ):
        connection = http.client.HTTPConnection("127.0.0.1", server.port)
        live = ask(server, connection, "")["id"]
        echo = {"source": "echo hi"}
        ask(server, connection, f"/{live}/run", echo)
        taken = []
        for _ in range(rounds):
            started = time.perf_counter()
            ask(server, connection, f"/{live}/run", echo)
            taken.append((time.perf_counter() - started) * 1000)
        show("HTTP, live: echo", sorted(taken))
        taken = []
        for _ in range(few):
            time.sleep(0.4)  # for the pool to be full again
            started = time.perf_counter()
            made = ask(server, connection, "")["id"]
            ask(server, connection, f"/{made}/run", echo)
            taken.append((time.perf_counter() - started) * 1000)
        show("HTTP, pool: container to first echo", sorted(taken))


def ask(server: Server, connection: http.client.HTTPConnection, path: str, body: object = None) -> Any:
    """One request to the Containers API. Raises SystemExit unless it was carried out."""
    headers = {"x-api-key": server.key, "content-type": "application/json"}
    text = None if body is None else json.dumps(body)
    connection.request("POST", f"/bathysphere/v1/containers{path}", text, headers)
    answer = connection.getresponse()
    said = answer.read()
    if answer.status >= 300:
        raise SystemExit(f"{answer.status}: {said.decode()}")
    return json.loads(said)


if __name__ == "__main__":
    # The loop that the server has.
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())
