"""The whole trial: work, kill, compare, look for what was left."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.crash import leavings
from tests.crash.client import Client
from tests.crash.killing import Supervisor, kill_at_random
from tests.crash.verification import Verification
from tests.server import Server, ServerFailed, running_server, start_again, stop

IDLE_SECONDS = 2
"""After this a container is suspended, so that many calls find a suspended one."""

POOL = 2

SWEPT_SECONDS = 60.0


@dataclass
class Outcome:
    """What came of it; ``violations`` are sentences, and there should be none."""

    kills: Counter[str] = field(default_factory=Counter)
    starts: int = 0
    containers: int = 0
    files: int = 0
    stored: int = 0
    acknowledged: Counter[str] = field(default_factory=Counter)
    unacknowledged: Counter[str] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)


def trial(
    folder: Path, kills: int, clients: int, seed: int, outcome: Outcome, say: Callable[[str], None] = lambda _text: None
) -> None:
    """Run it with a server of its own in ``folder``, which is empty. Raises ServerFailed when that is of no use."""
    temporary = folder / "tmp"
    temporary.mkdir()
    temporary.chmod(0o1777)
    tables = {
        "host": {"linger_seconds": 120, "idle_seconds": IDLE_SECONDS, "max_sandboxes": clients + POOL, "pool": POOL},
        "sandbox": {"disk_bytes": 256 << 20, "memory_bytes": 512 << 20},
    }
    with running_server(folder, tables=tables, environment={"TMPDIR": str(temporary)}) as server:
        workers = _work(server, kills, clients, seed, outcome, say)
        say("comparing")
        verification = Verification(server, [worker.ledger for worker in workers], POOL)
        verification.containers()
        verification.produced_files()
        verification.at_rest()
        outcome.containers = sum(len(worker.ledger.containers) for worker in workers)
        outcome.files = verification.compared
        outcome.violations += verification.violations
        ids = verification.listed_ids()
        leavings.age(server)
        _stop(server, outcome)
        outcome.violations += _after_the_end(server, temporary)
        say("starting once more: what belongs to nobody goes")
        start_again(server)
        _wait_for_sweep(server, ids, outcome)
        _stop(server, outcome)
        _compare_stored(server, workers, outcome)


def _work(
    server: Server, kills: int, clients: int, seed: int, outcome: Outcome, say: Callable[[str], None]
) -> list[Client]:
    ended = threading.Event()
    workers = [Client(number, server.port, server.key, seed, ended) for number in range(clients)]
    supervisor = Supervisor(server)
    for thread in (*(worker.thread for worker in workers), supervisor):
        thread.start()
    try:
        outcome.kills = kill_at_random(server, workers, supervisor, kills, seed, say)
    except ServerFailed as error:
        outcome.violations.append(str(error))
    ended.set()
    for worker in workers:
        worker.thread.join()
        outcome.violations += worker.ledger.violations
        outcome.acknowledged += Counter(worker.ledger.acknowledged)
        outcome.unacknowledged += Counter(worker.ledger.unacknowledged)
    supervisor.end()
    outcome.starts = supervisor.starts
    if supervisor.trouble is not None:
        raise ServerFailed(f"the server could not be started again: {supervisor.trouble}")
    return workers


def _stop(server: Server, outcome: Outcome) -> None:
    """End it in order; what it printed before is looked at here, and not by who stops it."""
    printed = server.output()
    server.log.write_text("")
    if "Traceback (most recent call last):" in printed:
        before, _, after = printed.partition("Traceback (most recent call last):")
        outcome.violations.append(f"the server printed a traceback: {before[-500:]}{after[:12_000]}")
    stop(server)


def _after_the_end(server: Server, temporary: Path) -> list[str]:
    return [
        f"after the end, {what}: {name}"
        for what, left in (
            ("a mount", leavings.mounts(server)),
            ("a loop device", leavings.loop_devices(server)),
            ("a control group", leavings.groups(server, ended=True)),
            ("half-made", leavings.half_made(server)),
            ("a process", leavings.sandbox_processes(server)),
            ("a temporary file", [str(path) for path in temporary.iterdir()]),
            ("a damaged disk", leavings.damaged(server)),
        )
        for name in left
    ]


def _wait_for_sweep(server: Server, ids: set[str], outcome: Outcome) -> None:
    deadline = time.monotonic() + SWEPT_SECONDS
    while (there := leavings.disks(server)) != ids and time.monotonic() < deadline:
        time.sleep(0.2)
    outcome.violations += [f"{container} has a disk, and the server does not know it" for container in there - ids]
    outcome.violations += [f"{container} is listed, and has no disk" for container in ids - there]


def _compare_stored(server: Server, workers: list[Client], outcome: Outcome) -> None:
    stored, unmatched = leavings.stored_files(server)
    outcome.violations += [f"blob {key} has no row, or the row no blob" for key in unmatched]
    for worker in workers:
        for file_id, content in worker.ledger.uploads.items():
            if file_id in stored:
                outcome.stored += 1
                if stored[file_id].read_bytes() != content.bytes():
                    outcome.violations.append(f"{file_id} in the store is not {content}")
            elif file_id not in worker.ledger.doomed_uploads:
                outcome.violations.append(f"{file_id} is not in the store; it has {content}")
        outcome.violations += [f"{file_id} was deleted" for file_id in worker.ledger.deleted_uploads & stored.keys()]
