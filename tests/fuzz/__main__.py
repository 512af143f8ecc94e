"""``make fuzz``: made requests, round after round, until there were enough of them; prints the figures."""

from __future__ import annotations

import argparse
import itertools
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.fuzz.made_requests import run, target
from tests.server import Server

PHASES = "coverage,fuzzing,stateful"
"""In the first round; the requests that cover the description are the same in each, and not made again."""


class Rounds:
    """The figures so far. Rounds run beside each other, and each has a seed of its own."""

    def __init__(self, server: Server, folder: Path, enough: int, examples: int, first_seed: int) -> None:
        self.sent = self.failed = 0
        self._server, self._folder, self._enough, self._examples = server, folder, enough, examples
        self._seeds = itertools.count(first_seed)
        self._first_seed = first_seed
        self._lock = threading.Lock()

    def work(self) -> None:
        """Run rounds until there were enough requests; a round without any is a failure, and the last."""
        while self.sent < self._enough:
            with self._lock:
                seed = next(self._seeds)
                folder = self._folder / str(seed)
                folder.mkdir()
            phases = PHASES if seed == self._first_seed else PHASES.partition(",")[2]
            this = run(self._server, folder, self._examples, seed, phases)
            with self._lock:
                self.sent += this.requests
                self.failed += not this.passed
                if not this.passed:
                    print(this.output)
                print(f"seed {seed}: {self.sent} requests so far, {self.failed} rounds with failures", flush=True)
            if not this.requests:
                break


def main() -> int:
    """The exit status: 0 when every answer was one of those described."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--requests", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--examples", type=int, default=100, help="for each route, in each round and phase")
    parser.add_argument("--beside", type=int, default=2, help="rounds at the same time")
    arguments = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="bathysphere-fuzz-") as folder, target(Path(folder)) as server:
        rounds = Rounds(server, Path(folder), arguments.requests, arguments.examples, arguments.seed)
        with ThreadPoolExecutor(arguments.beside) as pool:
            for done in [pool.submit(rounds.work) for _ in range(arguments.beside)]:
                done.result()
    print(f"{rounds.sent} requests in {time.monotonic() - began:.0f} s, {rounds.failed} rounds with failures")
    return 1 if rounds.failed or not rounds.sent else 0


if __name__ == "__main__":
    sys.exit(main())
