"""How long a sandbox takes, beside raw bubblewrap and a bare process in the same run.

python bench/sandbox.py [--rounds 200]
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from bathysphere.containers.host import Command
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
    with tempfile.TemporaryDirectory(prefix="bathysphere-bench-") as data:
        settings = Settings.model_validate({"host": {"max_sandboxes": 1000}})
        host = LocalHost(Path(data), settings, image.root, Definition.load().environment)
        started = time.perf_counter()
        await host.start()
        show("host daemon: started and tried", [(time.perf_counter() - started) * 1000])
        try:
            await measure(host, rounds, few)
        finally:
            await host.close(stop_host=True)


async def measure(host: LocalHost, rounds: int, few: int) -> None:
    """The lines about a running host."""

    async def execute(name: str, source: str, language: str = "bash") -> None:
        command = Command("python" if language == "python" else "bash", source, 60)
        async for _ in host.execute(name, command):
            pass

    async def cold(number: int) -> None:
        await host.create(f"cold{number}")
        await execute(f"cold{number}", "echo hi")

    await host.create("live")
    show("bathysphere: container ready", await timed(few, lambda number: host.create(f"ready{number}")))
    show("bathysphere: container ready and first echo", await timed(few, cold))
    await execute("live", "echo hi")
    show("bathysphere: echo in a live container", await timed(rounds, lambda _: execute("live", "echo hi")))
    show(
        "bathysphere: python print(1) in a live container",
        await timed(few, lambda _: execute("live", "print(1)", "python")),
    )
    show("bathysphere: container deleted", await timed(few, lambda number: host.delete(f"ready{number}")))


if __name__ == "__main__":
    asyncio.run(main())
