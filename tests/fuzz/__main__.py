"""``make fuzz``: made requests, round after round, until there were enough of them; prints the figures."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from tests.fuzz.made_requests import run, target


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--requests", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--examples", type=int, default=100, help="for each route, in each round and phase")
    arguments = parser.parse_args()
    sent = failed = 0
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="bathysphere-fuzz-") as folder, target(Path(folder)) as server:
        seed = arguments.seed
        while sent < arguments.requests:
            this = run(server, Path(folder), arguments.examples, seed, "examples,coverage,fuzzing,stateful")
            sent += this.requests
            if not this.passed:
                failed += 1
                print(this.output)
            print(f"seed {seed}: {sent} requests so far, {failed} rounds with failures", flush=True)
            if this.requests == 0:
                break
            seed += 1
    print(f"{sent} requests in {time.monotonic() - began:.0f} s, {failed} rounds with failures")
    return 1 if failed or not sent else 0


if __name__ == "__main__":
    sys.exit(main())
