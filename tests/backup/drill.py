"""A backup in the middle of work, restored elsewhere and compared; also while things are killed."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.backup.client import Client
from tests.backup.comparing import Comparison
from tests.host.test_placing import daemon_of
from tests.server import COMMAND, Server, running_server, start_again

TABLES: Final = {
    "host": {"linger_seconds": 30, "idle_seconds": 3, "pool": 1, "max_sandboxes": 32},
    "sandbox": {"disk_bytes": 256 << 20, "memory_bytes": 512 << 20},
}

OPERATORS_SKILL: Final = "---\nname: of-the-operator\ndescription: Lies in the data directory.\n---\nRead me.\n"

_COMMAND_SECONDS: Final = 300


@dataclass
class Outcome:
    """What came of it; ``violations`` are sentences, and there should be none."""

    calls: int = 0
    backups: int = 0
    backup_seconds: list[float] = field(default_factory=list)
    killed: Counter[str] = field(default_factory=Counter)
    found: Counter[str] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)


def drill(
    folder: Path,
    clients: int,
    seconds: float,
    kills: int,
    seed: int,
    outcome: Outcome,
    say: Callable[[str], None],
    restored: int | None = None,
) -> None:
    """Run it in ``folder``, which is empty: a backup after ``seconds`` of work, then one during and after each kill.

    With ``restored`` there is no first one, and only so many are restored, the last ones.
    """
    backups = folder / "backups"
    backups.mkdir(mode=0o700)
    (folder / "original").mkdir()
    chance = random.Random(seed)
    taken: list[tuple[Path, float, float]] = []
    with running_server(folder / "original", tables=TABLES) as server:
        operators = server.data / "skills" / "of-the-operator"
        operators.mkdir(parents=True)
        (operators / "SKILL.md").write_text(OPERATORS_SKILL)
        stop = threading.Event()
        workers = [Client(number, server.base_url, server.key, seed, stop) for number in range(clients)]
        with _working(workers, stop):
            time.sleep(seconds)
            if restored is None:
                say("a backup under load")
                taken.append(_backup(server, backups / "under-load", outcome))
            for number in range(kills):
                time.sleep(min(seconds, 3.0))
                kind = ("backup", "server", "daemon")[number % 3]
                say(f"a backup while the {kind} is killed")
                outlived = _killing(kind, server, workers, backups / f"killed-{number}", chance, outcome)
                if outlived is not None:
                    taken.append(outlived)
                taken.append(_backup(server, backups / f"after-{number}", outcome))
        outcome.calls = sum(worker.calls for worker in workers)
        outcome.violations += [violation for worker in workers for violation in worker.ledger.violations]
        left = [path.name for path in backups.iterdir() if path.name.startswith(".")]
        if left:
            outcome.violations.append(f"half a backup is left: {left}")
        key = server.key
    for place, began, ended in taken[-restored:] if restored else taken:
        say(f"restoring {place.name}")
        elsewhere = folder / place.name
        elsewhere.mkdir()
        _run("restore", str(place), "--data", str(elsewhere / "data"), outcome=outcome)
        with running_server(elsewhere, tables=TABLES) as another:
            comparison = Comparison(another.base_url, key, began, ended)
            comparison.all_of(worker.ledger for worker in workers)
            comparison.operators_skill("of-the-operator")
            outcome.found += comparison.found
            outcome.violations += [f"{place.name}: {violation}" for violation in comparison.violations]
        shutil.rmtree(elsewhere)


@contextlib.contextmanager
def _working(workers: list[Client], stop: threading.Event) -> Iterator[None]:
    for worker in workers:
        worker.thread.start()
    try:
        yield
    finally:
        stop.set()
        for worker in workers:
            worker.thread.join()


def _backup(server: Server, place: Path, outcome: Outcome) -> tuple[Path, float, float]:
    began = time.monotonic()
    _run("backup", str(place), "--data", str(server.data), outcome=outcome)
    ended = time.monotonic()
    outcome.backups += 1
    outcome.backup_seconds.append(ended - began)
    return place, began, ended


def _run(*arguments: str, outcome: Outcome) -> None:
    done = subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, check=False, timeout=_COMMAND_SECONDS)
    if done.returncode != 0:
        outcome.violations.append(f"{arguments} ended with {done.returncode}: {done.stderr[-2000:]}")


def _killing(
    kind: str, server: Server, workers: list[Client], place: Path, chance: random.Random, outcome: Outcome
) -> tuple[Path, float, float] | None:
    """Begin a backup, and kill something in the middle of it; the backup, if it comes to its end all the same."""
    began = time.monotonic()
    with subprocess.Popen(
        [*COMMAND, "backup", str(place), "--data", str(server.data)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    ) as running:  # fmt: skip
        assert running.stderr is not None
        running.stderr.readline()  # the database is copied
        time.sleep(chance.random() * 0.2)
        outcome.killed[kind] += 1
        if kind == "backup":
            os.killpg(running.pid, signal.SIGKILL)
            running.wait()
            if place.exists() and not (place / "manifest.json").exists():
                outcome.violations.append(f"half a backup has the name of a whole one: {place}")
            return None
        for worker in workers:
            worker.forgiving.set()
        if kind == "server":
            server.kill()
            start_again(server)
        else:
            os.kill(daemon_of(server.data), signal.SIGKILL)
        time.sleep(1.0)  # calls that were under way are answered by now
        for worker in workers:
            worker.forgiving.clear()
        _said, complaint = running.communicate(timeout=_COMMAND_SECONDS)
        if running.returncode != 0:
            outcome.violations.append(f"the backup did not outlive the killed {kind}: {complaint[-2000:]}")
            return None
        outcome.backups += 1
        return place, began, time.monotonic()
