"""How long gVisor takes beside bubblewrap, by the host's own interface, in the same run.

python bench/gvisor.py [--rounds 20]    (as root)
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from bathysphere.containers.host import Command
from bathysphere.containers.local import LocalHost
from bathysphere.host.engines.gvisor_release import Release
from bathysphere.image.definition import Definition
from bathysphere.image.image import find
from bathysphere.settings import Settings

COMMANDS = {
    "echo": ("bash", "echo hi"),
    "ls -la /usr/bin": ("bash", "ls -la /usr/bin > /dev/null"),
    "python: print(1)": ("python", "print(1)"),
    "python: import numpy": ("python", "import numpy"),
    "python: import pandas": ("python", "import pandas"),
    "python: 10^7 additions": ("python", "sum(range(10**7))"),
    "100 processes": ("bash", "for i in {1..100}; do /bin/true; done"),
    "1 000 small files": ("bash", "mkdir m; for i in {1..1000}; do : > m/$i; done; rm -r m"),
    "64 MiB written and read": ("bash", "head -c 64M /dev/zero > b; cat b > /dev/null; rm b"),
}


async def timed(rounds: int, action: Callable[[int], Awaitable[None]]) -> str:
    """Median and 99th percentile in milliseconds."""
    taken = []
    for number in range(rounds):
        started = time.perf_counter()
        await action(number)
        taken.append((time.perf_counter() - started) * 1000)
    taken.sort()
    return f"{statistics.median(taken):>9.1f}{taken[min(len(taken) - 1, int(len(taken) * 0.99))]:>9.1f}"


async def main() -> None:
    """Print the table."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rounds", type=int, default=20)
    rounds = arguments.parse_args().rounds
    image = find()
    if image is None:
        raise SystemExit("There is no container image. Build it: bathysphere image build")
    release = Release.newest()
    print(f"gVisor of {release.date}, {release.platform}; n = {rounds}")
    print(f"{'milliseconds':<30}{'bubblewrap p50, p99':>22}{'gvisor p50, p99':>22}")
    with tempfile.TemporaryDirectory(prefix="bathysphere-bench-") as data:
        host = LocalHost(Path(data), Settings(), image.root, Definition.load().environment)
        rows: dict[str, list[str]] = {}

        async def execute(name: str, language: str, source: str) -> None:
            async for _ in host.execute(name, Command("python" if language == "python" else "bash", source, 60)):
                pass

        try:
            for engine in ("bubblewrap", "gvisor"):
                await host.create(engine, engine)

                async def ready(number: int, engine: str = engine) -> None:
                    await host.create(f"{engine}{number}", engine)

                async def delete(number: int, engine: str = engine) -> None:
                    await host.delete(f"{engine}{number}")

                rows.setdefault("container ready", []).append(await timed(rounds, ready))
                rows.setdefault("container deleted", []).append(await timed(rounds, delete))
                for title, (language, source) in COMMANDS.items():
                    await execute(engine, language, source)

                    async def run(_: int, engine: str = engine, language: str = language, source: str = source) -> None:
                        await execute(engine, language, source)

                    rows.setdefault(title, []).append(await timed(rounds, run))
        finally:
            await host.close(stop_host=True)
        for title, cells in rows.items():
            print(f"{title:<30}" + "".join(f"{cell:>22}" for cell in cells))


if __name__ == "__main__":
    asyncio.run(main())
