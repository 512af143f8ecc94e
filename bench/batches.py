"""A batch of 10 000 requests with code execution, whose server is killed ten times: none lost, none run twice.

Prints requests per second, over all and without the time in which the killed server started again. ``--requests``
and ``--kills`` say how many.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.batches.killing import trial


def main() -> None:
    """Run it; ends with 1 when a request is missing, doubled, or was executed twice."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
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
