"""A batch of 10 000 requests with code execution, whose server is killed ten times: none lost, none run twice.

First the largest batch there may be goes in and out. Prints requests per second, over all and without the time in
which the killed server started again. ``--requests`` and ``--kills`` say how many.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.batches.asking import PATH, ended, request
from tests.batches.killing import trial
from tests.clients.asking import get, post
from tests.server import peak_memory, reset_peak_memory, running_server


def in_and_out(folder: Path) -> None:
    """The largest batch there may be, taken in by a server that runs none of it, cancelled, and its results read."""
    with running_server(folder, tables={"batches": {"workers": 0}}) as server:
        params = {"text": "x" * 2_500}
        body = json.dumps({"requests": [request(f"r-{number}", params) for number in range(100_000)]}).encode()
        before = reset_peak_memory(server.pid)
        began = time.perf_counter()
        made = post(server, PATH, body).json()
        taken = time.perf_counter() - began
        post(server, f"{PATH}/{made['id']}/cancel", b"")
        ended(server, made["id"])
        began = time.perf_counter()
        lines = get(server, f"{PATH}/{made['id']}/results").body.count(b"\n")
        read = time.perf_counter() - began
        more = (peak_memory(server.pid) - before) / 1e6
    print(
        f"{len(body) / 1e6:.0f} MB with 100000 requests taken in {taken:.1f} s; {lines} results read in {read:.1f} s; "
        f"at most {more:.0f} MB of memory for it"
    )


def main() -> None:
    """Run it; ends with 1 when a request is missing, doubled, or was executed twice."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        in_and_out(Path(folder))
    with tempfile.TemporaryDirectory() as folder:
        outcome = trial(Path(folder), chosen.requests, chosen.kills, chosen.seed, lambda line: print(line, flush=True))
    kinds = Counter(line["result"]["type"] for line in outcome.results)
    twice = sum(times > 1 for times in outcome.ran.values())
    up = outcome.seconds - outcome.down_seconds
    print(f"{len(outcome.results)} results of {chosen.requests} requests: {dict(kinds)}; executed twice: {twice}")
    print(
        f"{outcome.seconds:.1f} s with {chosen.kills} kills, {chosen.requests / outcome.seconds:.1f} requests/s; "
        f"without the {outcome.down_seconds:.1f} s of starting again: {chosen.requests / up:.1f} requests/s"
    )
    if faults := outcome.faults(chosen.requests):
        print("\n".join(faults[:50]))
        sys.exit(1)


if __name__ == "__main__":
    main()
