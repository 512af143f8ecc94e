"""A server whose processes are killed at random moments while clients work, and that is started again."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence

from tests.crash.client import Client
from tests.crash.processes import ROLES, family, kill
from tests.server import Server, ServerFailed, start_again

STANDSTILL_SECONDS = 45.0
"""After a kill, something must be acknowledged within this time."""

_ATTEMPTS = 20

_WARM = 40
"""So much is acknowledged before the first kill, and after the last."""


class Supervisor(threading.Thread):
    """Starts the server's command again whenever it has ended, as an operator's service would."""

    def __init__(self, server: Server) -> None:
        super().__init__(name="supervisor", daemon=True)
        self.starts = 0
        self.trouble: str | None = None
        """Why the server could not be started any more."""
        self._server = server
        self._ending = threading.Event()

    def run(self) -> None:
        while not self._ending.wait(0.02):
            if self._server.process.poll() is not None:
                self._start()

    def _start(self) -> None:
        for attempt in range(_ATTEMPTS):
            try:
                start_again(self._server)
            except ServerFailed as error:
                # It was killed while it started, or the one before it still holds the port.
                self.trouble = str(error)
                time.sleep(0.1 * attempt)
            else:
                self.starts += 1
                self.trouble = None
                return
        self._ending.set()

    def end(self) -> None:
        """Start it no more; it runs then, unless ``trouble`` says why not."""
        self._ending.set()
        self.join()
        if self.trouble is None and self._server.process.poll() is not None:
            self._ending.clear()
            self._start()


def kill_at_random(
    server: Server,
    clients: Sequence[Client],
    supervisor: Supervisor,
    kills: int,
    seed: int,
    say: Callable[[str], None],
) -> Counter[str]:
    """Kill one process after the other; how many of which kind. Raises ServerFailed when nothing works any more."""
    choice = random.Random(f"{seed}/kills")
    done: Counter[str] = Counter()
    _wait_for_progress(clients, supervisor, _WARM)
    while done.total() < kills:
        _wait_for_progress(clients, supervisor, choice.randrange(12))
        time.sleep(choice.random() * 0.15)
        processes = family(server)
        # Each kind as often as another one, however many there are of it and however short it lives.
        fewest = min((done[role] for role in ROLES if processes[role]), default=0)
        kinds = [role for role in ROLES if processes[role] and done[role] <= fewest + 1]
        if not kinds:
            continue
        role = choice.choice(kinds)
        pid = choice.choice(processes[role])
        if kill(server, role, pid):
            done[role] += 1
            say(f"{done.total()}: {role} {pid} killed")
    _wait_for_progress(clients, supervisor, _WARM)
    return done


def _wait_for_progress(clients: Sequence[Client], supervisor: Supervisor, wanted: int) -> None:
    """Until so much more was acknowledged. Raises ServerFailed after a long standstill."""
    deadline = time.monotonic() + STANDSTILL_SECONDS
    before = sum(client.progress for client in clients)
    while sum(client.progress for client in clients) < before + wanted:
        if not any(client.thread.is_alive() for client in clients):
            raise ServerFailed("no client works any more")
        if time.monotonic() > deadline:
            raise ServerFailed(f"nothing was acknowledged for {STANDSTILL_SECONDS:g} s; {supervisor.trouble}")
        time.sleep(0.005)
