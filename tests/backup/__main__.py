"""``python -m tests.backup``: the whole drill, with a seed that is printed and can be given."""

from __future__ import annotations

import argparse
import secrets
import shutil
import sys
import tempfile
import time
from pathlib import Path

from tests.backup.drill import Outcome, drill


def main() -> int:
    """0 when nothing was wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.backup", description=__doc__)
    parser.add_argument("--clients", type=int, default=6)
    parser.add_argument("--seconds", type=float, default=20.0, help="of work before the first backup")
    parser.add_argument("--kills", type=int, default=6)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1 << 32))
    arguments = parser.parse_args()
    print(f"seed {arguments.seed}, {arguments.clients} clients, {arguments.kills} kills", flush=True)
    started = time.monotonic()

    def say(text: str) -> None:
        print(f"{time.monotonic() - started:7.1f} s  {text}", flush=True)

    folder = Path(tempfile.mkdtemp(prefix="bathysphere-backup-"))
    folder.chmod(0o755)  # the server is another user
    outcome = Outcome()
    try:
        drill(folder, arguments.clients, arguments.seconds, arguments.kills, arguments.seed, outcome, say)
    finally:
        report(outcome)
        shutil.rmtree(folder, ignore_errors=True)
    return 1 if outcome.violations else 0


def report(outcome: Outcome) -> None:
    """Print what came of it."""
    print(f"{outcome.calls:6} calls of clients while {outcome.backups} backups were taken")
    if outcome.backup_seconds:
        print(f"       a backup took {min(outcome.backup_seconds):.1f} to {max(outcome.backup_seconds):.1f} s")
    for kind, count in sorted(outcome.killed.items()):
        print(f"{count:6} times killed meanwhile: {kind}")
    for kind, count in sorted(outcome.found.items()):
        print(f"{count:6} {kind} found in restored servers, and opened")
    for violation in outcome.violations:
        print(f"WRONG  {violation}")
    print(f"{len(outcome.violations)} wrong")


if __name__ == "__main__":
    sys.exit(main())
