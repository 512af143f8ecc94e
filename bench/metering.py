"""10 000 turns with code execution through the official SDK: then every place that has their sum is read.

The cost report of the Admin API, the record of calls of each container, the books, Prometheus' metrics and
``bathysphere usage`` have to agree to the second and the cent. Ends with 1 when they do not.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.metering.replay import replay


def main() -> None:
    """Run it and print every sum."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=10_000)
    parser.add_argument("--clients", type=int, default=24)
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        sums = replay(Path(folder), chosen.turns, chosen.clients, chosen.seed, lambda line: print(line, flush=True))
    print(f"{chosen.turns} turns in {time.perf_counter() - began:.0f} s")
    for name, value in asdict(sums).items():
        print(f"  {name:16} {value}")
    print("all agree" if sums.agree() else "THEY DIFFER")
    sys.exit(not sums.agree())


if __name__ == "__main__":
    main()
