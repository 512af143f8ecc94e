"""Mixed work of many clients for a long time: what it takes ends where it began.

``python bench/soak.py`` works for an hour (``--minutes``), with 20 clients (``--clients``): messages, commands,
uploads, downloads, forks, deletions. It begins to count after a time of warming up, with everything deleted and every
container at rest, and ends so. It prints a figure for each resource, and ends with 1 if one has grown by more than is
allowed.
"""

from __future__ import annotations

import argparse
import secrets
import sqlite3
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.crash import leavings
from tests.crash.client import MOST_CONTAINERS, Client
from tests.crash.ledger import Ledger
from tests.crash.processes import Role, family
from tests.server import Server, running_server

from bathysphere.settings import store_directory
from bathysphere.store.database import DATABASE_FILE

MIB = 1 << 20
IDLE_SECONDS = 5
POOL = 2
_REST_SECONDS = 60.0
_PROCESSES: tuple[Role, ...] = ("server", "keeper", "daemon", "worker")

ALLOWED: dict[str, float] = {
    # The interpreter keeps what it once needed at the same time, which depends on chance.
    "memory of the server, MiB": 32.0,
    "memory of the keeper, MiB": 2.0,
    "memory of the daemon, MiB": 12.0,
    "memory of the worker, MiB": 12.0,
    "open files of the server": 8,
    "open files of the keeper": 0,
    "open files of the daemon": 4,
    # It keeps a namespace for each user id once it was used; there are a little more than twice as many as sandboxes.
    "open files of the worker": 256,
    "threads of the server": 8,
    "sandboxes' processes": 0,
    "mounts of the daemon": 0,
    "loop devices": 0,
    "control groups": 0,
    "disks": 0,
    "half-made files": 0,
    "disk of containers and files, MiB": 1.0,
    "containers in the database": 0,
    "files in the database": 0,
}
"""What a resource may be more at the end than at the beginning."""

Figures = dict[str, float]


@dataclass
class Soak:
    """What came of it."""

    begin: Figures = field(default_factory=dict)
    peak: Figures = field(default_factory=dict)
    end: Figures = field(default_factory=dict)
    acknowledged: Counter[str] = field(default_factory=Counter)
    unacknowledged: Counter[str] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)

    def grown(self) -> list[str]:
        """The resources that have grown by more than is allowed."""
        return [name for name, allowed in ALLOWED.items() if self.end[name] - self.begin[name] > allowed]


def soak(
    folder: Path,
    seconds: float,
    warm_seconds: float,
    clients: int,
    seed: int,
    say: Callable[[str], None] = lambda _text: None,
) -> Soak:
    """Work in a server of its own with its data in ``folder``. Raises ValueError when something cannot be deleted."""
    result = Soak()
    tables = {
        "host": {"idle_seconds": IDLE_SECONDS, "pool": POOL, "max_sandboxes": clients * MOST_CONTAINERS + POOL},
        "sandbox": {"disk_bytes": 256 * MIB, "memory_bytes": 512 * MIB},
    }
    with running_server(folder, tables=tables) as server:
        say(f"warming up for {warm_seconds:g} s")
        _work(server, warm_seconds, clients, seed, result, lambda _figures: None)
        result.begin = _at_rest(server)
        result.peak = dict(result.begin)

        def seen(figures: Figures) -> None:
            result.peak = {name: max(result.peak[name], figures[name]) for name in figures}
            memory = ", ".join(f"{role} {figures[f'memory of the {role}, MiB']:.0f}" for role in _PROCESSES)
            say(f"{result.acknowledged.total()} calls; MiB: {memory}; {figures['loop devices']:.0f} disks in use")

        _work(server, seconds, clients, seed + 1, result, seen)
        result.end = _at_rest(server)
    return result


def _work(
    server: Server, seconds: float, clients: int, seed: int, result: Soak, seen: Callable[[Figures], None]
) -> None:
    ended = threading.Event()
    workers = [Client(number, server.port, server.key, seed, ended) for number in range(clients)]
    for worker in workers:
        worker.thread.start()
    deadline = time.monotonic() + seconds
    before = Counter(result.acknowledged)
    while (left := deadline - time.monotonic()) > 0:
        time.sleep(min(left, max(1.0, seconds / 20)))
        result.acknowledged = before + _together(worker.ledger.acknowledged for worker in workers)
        seen(figures_of(server))
    ended.set()
    for worker in workers:
        worker.thread.join()
    _count(result, before, [worker.ledger for worker in workers])
    for worker in workers:
        worker.clear()


def _together(counts: Iterable[dict[str, int]]) -> Counter[str]:
    total: Counter[str] = Counter()
    for count in counts:
        total.update(dict(count))
    return total


def _count(result: Soak, before: Counter[str], ledgers: Sequence[Ledger]) -> None:
    result.acknowledged = before + _together(ledger.acknowledged for ledger in ledgers)
    result.unacknowledged += _together(ledger.unacknowledged for ledger in ledgers)
    for ledger in ledgers:
        result.violations += ledger.violations


def _at_rest(server: Server) -> Figures:
    """The figures when no more is in use than what is kept in store for new containers."""
    deadline = time.monotonic() + _REST_SECONDS
    while time.monotonic() < deadline:
        # Of a sandbox in store: bubblewrap's own process, process 1, and the interpreter that it has ready.
        if (len(leavings.loop_devices(server)), len(leavings.sandbox_processes(server))) == (POOL, 3 * POOL):
            break
        time.sleep(0.2)
    time.sleep(1)  # connections that were closed at last are taken leave of
    return figures_of(server)


def figures_of(server: Server) -> Figures:
    """Everything in ``ALLOWED``, now."""
    processes = family(server)
    figures: Figures = {}
    for role in _PROCESSES:
        figures[f"memory of the {role}, MiB"] = sum(_status(pid, "VmRSS") for pid in processes[role]) / 1024
        figures[f"open files of the {role}"] = sum(_entries(pid, "fd") for pid in processes[role])
    figures["threads of the server"] = sum(_entries(pid, "task") for pid in processes["server"])
    figures["sandboxes' processes"] = len(leavings.sandbox_processes(server))
    figures["mounts of the daemon"] = sum(_lines(pid) for pid in processes["daemon"])
    figures["loop devices"] = len(leavings.loop_devices(server))
    figures["control groups"] = len(leavings.groups(server))
    figures["disks"] = len(leavings.disks(server))
    figures["half-made files"] = len(leavings.half_made(server))
    places = (server.data / "host" / "disks", store_directory(server.data) / "blobs")
    figures["disk of containers and files, MiB"] = sum(_taken(place) for place in places) / MIB
    database = sqlite3.connect(f"file:{store_directory(server.data) / DATABASE_FILE}?mode=ro", uri=True)
    with suppress(sqlite3.OperationalError):
        for name, query in (
            ("containers in the database", "select count(*) from containers where deleted_at is null"),
            ("files in the database", "select count(*) from files"),
        ):
            figures[name] = database.execute(query).fetchone()[0]
    database.close()
    return figures


def _status(pid: int, name: str) -> int:
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith(f"{name}:"):
                return int(line.split()[1])
    return 0


def _entries(pid: int, name: str) -> int:
    with suppress(OSError):
        return sum(1 for _ in Path(f"/proc/{pid}/{name}").iterdir())
    return 0


def _lines(pid: int) -> int:
    with suppress(OSError):
        return len(Path(f"/proc/{pid}/mountinfo").read_text().splitlines())
    return 0


def _taken(place: Path) -> int:
    taken = 0
    for path in place.rglob("*"):
        with suppress(OSError):
            taken += path.lstat().st_blocks * 512
    return taken


def report(result: Soak) -> None:
    """Print the table."""
    print(f"{'':36}{'begin':>10}{'peak':>10}{'end':>10}{'grown':>10}{'allowed':>10}")
    for name, allowed in ALLOWED.items():
        begin, peak, end = result.begin[name], result.peak[name], result.end[name]
        mark = "  TOO MUCH" if name in result.grown() else ""
        print(f"{name:36}{begin:10.1f}{peak:10.1f}{end:10.1f}{end - begin:10.1f}{allowed:10.1f}{mark}")
    for kind in sorted(result.acknowledged):
        print(f"{result.acknowledged[kind]:8} done, {result.unacknowledged[kind]:4} refused: {kind}")
    for violation in result.violations:
        print(f"WRONG  {violation}")


def main() -> int:
    """0 when nothing has grown and nothing was wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--warm-seconds", type=float, default=60.0)
    parser.add_argument("--clients", type=int, default=20)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1 << 32))
    arguments = parser.parse_args()
    print(f"seed {arguments.seed}, {arguments.minutes:g} minutes, {arguments.clients} clients", flush=True)
    with tempfile.TemporaryDirectory(prefix="bathysphere-soak-") as folder:
        Path(folder).chmod(0o755)  # the server is another user

        def say(text: str) -> None:
            print(f"{time.strftime('%H:%M:%S')}  {text}", flush=True)

        seconds = arguments.minutes * 60
        result = soak(Path(folder), seconds, arguments.warm_seconds, arguments.clients, arguments.seed, say)
    report(result)
    return 1 if result.grown() or result.violations else 0


if __name__ == "__main__":
    sys.exit(main())
