"""``python -m tests.crash``: the full trial, with a seed that is printed and can be given."""

from __future__ import annotations

import argparse
import secrets
import shutil
import sys
import tempfile
import time
from pathlib import Path

from tests.crash.trial import Outcome, trial


def main() -> int:
    """0 when nothing was wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.crash", description=__doc__)
    parser.add_argument("--kills", type=int, default=300)
    parser.add_argument("--clients", type=int, default=20)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1 << 32))
    parser.add_argument("--keep", action="store_true", help="keep the data directory and the logs")
    arguments = parser.parse_args()
    print(f"seed {arguments.seed}, {arguments.kills} kills, {arguments.clients} clients", flush=True)
    started = time.monotonic()

    def say(text: str) -> None:
        print(f"{time.monotonic() - started:7.1f} s  {text}", flush=True)

    folder = Path(tempfile.mkdtemp(prefix="bathysphere-crash-"))
    folder.chmod(0o755)  # the server is another user
    outcome = Outcome()
    try:
        trial(folder, arguments.kills, arguments.clients, arguments.seed, outcome, say)
    finally:
        report(outcome, arguments.seed)
        if arguments.keep:
            print(f"kept: {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)
    return 1 if outcome.violations else 0


def report(outcome: Outcome, seed: int) -> None:
    """Print what came of it."""
    for kind, count in sorted(outcome.kills.items()):
        print(f"{count:6} times killed: {kind}")
    print(f"{outcome.starts:6} starts of the server's command")
    for kind in sorted(outcome.acknowledged):
        print(f"{outcome.acknowledged[kind]:6} acknowledged, {outcome.unacknowledged[kind]:4} not: {kind}")
    print(f"{outcome.containers:6} containers with {outcome.files} files, and {outcome.stored} stored files, compared")
    for violation in outcome.violations:
        print(f"WRONG  {violation}")
    print(f"seed {seed}: {len(outcome.violations)} wrong")


if __name__ == "__main__":
    sys.exit(main())
