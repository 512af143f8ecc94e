"""Clients that disconnect at random moments: no turn hangs, no command runs twice, no container is left busy.

``python bench/vanishing.py`` lets 500 clients go away (``--clients``), 40 at a time (``--at-once``), by chance
(``--seed``); half of them come back with a retry. It ends with 1 when something is not as it should be after.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.clients.vanishing import TABLES, vanish
from tests.server import running_server


def main() -> int:
    """Run it once and print what came of it; 1 when something is wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, default=500)
    parser.add_argument("--at-once", type=int, default=40)
    parser.add_argument("--seed", type=int, default=5)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, running_server(Path(folder), tables=TABLES) as server:
        began = time.monotonic()
        try:
            outcomes = vanish(server, given.clients, given.at_once, given.seed)
        except AssertionError as error:
            print(f"seed {given.seed}: {error}")
            return 1
        print(f"{given.clients} clients went away in {time.monotonic() - began:.0f} s (seed {given.seed}):")
        for way, times in sorted(outcomes.items()):
            print(f"  {times:4}  {way}")
        print("No turn hangs, no command ran twice, every container is usable, nothing is left open.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
