"""What a container's disk costs: in time, in bytes of the host, and in the latency of a call.

python bench/disks.py [--rounds 50]
"""

from __future__ import annotations

import argparse
import asyncio
import os
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from bathysphere.containers.host import Command
from bathysphere.containers.local import LocalHost
from bathysphere.host import stage
from bathysphere.host.disks.base import Disk
from bathysphere.host.disks.folders import Folders
from bathysphere.host.disks.images import Images
from bathysphere.host.disks.uids import UserIds
from bathysphere.image.definition import Definition
from bathysphere.image.image import find
from bathysphere.settings import GIB, MIB, Settings


def show(name: str, taken: list[float]) -> None:
    """One line of the table."""
    taken = sorted(taken)
    p50, p99 = (taken[min(len(taken) - 1, int(len(taken) * share))] for share in (0.5, 0.99))
    print(f"{name:<62}{len(taken):>6}{p50:>9.2f}{p99:>9.2f}")


async def timed(rounds: int, action: Callable[[int], Awaitable[None]]) -> list[float]:
    """Milliseconds of each round."""
    taken = []
    for number in range(rounds):
        started = time.perf_counter()
        await action(number)
        taken.append((time.perf_counter() - started) * 1000)
    return taken


async def alone(image: Path, folder: Path, rounds: int) -> None:
    """The disks without anything around them (root only)."""
    root = folder / "disks"
    root.mkdir()
    shown = stage.set_private(image, root, [folder])
    uids = UserIds(1_900_000_000, 65536, 0)
    disks = Images(root, shown.mounts, uids, 5 * GIB, Folders(root, shown.disks, uids))
    show("make the template", await timed(1, lambda _: disks.prepare()))
    attached: dict[int, Disk] = {}

    async def attach(number: int) -> None:
        attached[number] = await disks.attach(f"c{number}")

    def put(number: int, size: int) -> None:
        identity = attached[number].identity
        assert identity is not None
        os.setegid(identity.gid)
        os.seteuid(identity.uid)
        (attached[number].path / "files" / "written").write_bytes(os.urandom(size))
        os.seteuid(0)
        os.setegid(0)

    async def write(number: int) -> None:
        put(number, 4096)
        await disks.sync(attached[number])

    show("create", await timed(rounds, lambda number: disks.create(f"c{number}")))
    show("attach", await timed(rounds, attach))
    show("sync after 4 KiB were written", await timed(rounds, write))
    show("sync with nothing written", await timed(rounds, lambda number: disks.sync(attached[number])))
    put(0, 100 * MIB)
    show("sync after 100 MiB were written", await timed(1, lambda _: disks.sync(attached[0])))
    show("detach", await timed(rounds, lambda number: disks.detach(attached[number])))
    show("attach again", await timed(rounds, attach))
    show("detach again", await timed(rounds, lambda number: disks.detach(attached[number])))
    few = max(5, rounds // 10)
    show("fork with 100 MiB in it", await timed(few, lambda number: disks.fork("c0", f"large{number}")))
    show("fork with nothing in it", await timed(rounds, lambda number: disks.fork("c1", f"small{number}")))
    show("delete with 100 MiB in it", await timed(few, lambda number: disks.delete(f"large{number}")))
    show("delete with nothing in it", await timed(rounds, lambda number: disks.delete(f"small{number}")))
    await disks.close()


async def calls(image: Path, folder: Path, rounds: int, sync: bool) -> None:
    """Calls through the host with and without waiting for the disk."""
    settings = Settings.model_validate({"host": {"sync": sync, "linger_seconds": 0}})
    host = LocalHost(folder / f"data-{sync}", settings, image, Definition.load().environment)
    word = "waiting for the disk" if sync else "not waiting"

    async def call(source: str) -> None:
        async for _ in host.execute("one", Command("bash", source, 60)):
            pass

    await host.create("one")
    if os.geteuid() == 0:
        file = folder / f"data-{sync}" / "host" / "disks" / "one"
        print(f"bytes on the host of an untouched container, {word}: {file.stat().st_blocks * 512}")
    show(f"echo, {word}", await timed(rounds * 4, lambda _: call("echo hi")))
    show(f"a call that writes 4 KiB, {word}", await timed(rounds * 4, lambda _: call("head -c 4096 /dev/zero > f")))
    await host.close(stop_host=True)


def main() -> None:
    """Print the table."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rounds", type=int, default=50)
    rounds = arguments.parse_args().rounds
    image = find()
    if image is None:
        raise SystemExit("There is no container image. Build it: bathysphere image build")
    print(f"{'milliseconds':<62}{'n':>6}{'p50':>9}{'p99':>9}")
    with tempfile.TemporaryDirectory(prefix="bathysphere-bench-") as folder:
        for sync in (True, False):
            asyncio.run(calls(image.root, Path(folder), rounds, sync))
        if os.geteuid() == 0:
            asyncio.run(alone(image.root, Path(folder), rounds))


if __name__ == "__main__":
    main()
