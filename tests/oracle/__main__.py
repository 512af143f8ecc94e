"""``make oracle``: all of the SDK's own tests that fit, with every kind of client; prints the figures."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from tests.oracle.suite import run

if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="bathysphere-oracle-") as folder:
        outcome = run(Path(folder), ["-n", "2", *sys.argv[1:]])
    if outcome.failed:
        print(outcome.output[-20_000:])
    print(outcome.table())
    sys.exit(1 if outcome.failed or not outcome.passed else 0)
