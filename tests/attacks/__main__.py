"""``python -m tests.attacks``: carry out every attack on one subject, a verdict per line; or write the table.

``python -m tests.attacks --write docs/security.md`` carries them out on every subject that there is here and writes
the table, unless something is not as the data say.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import re
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.attacks.attack import SUBJECTS, Subject, groups
from tests.attacks.battlefield import Verdict, battlefield


def verdicts(subject: Subject, only: re.Pattern[str] | None = None) -> Iterator[Verdict]:
    """Carry out the attacks on a subject, two groups at a time."""
    with tempfile.TemporaryDirectory(prefix="bathysphere-attacks-") as folder:
        Path(folder).chmod(0o755)
        with battlefield(Path(folder), subject) as field, ThreadPoolExecutor(2) as pool:
            chosen = [group for group in groups() if not only or any(only.search(one.name) for one in group.attack)]
            for found in pool.map(lambda group: list(field.attacks(group, only)), chosen):
                yield from found


def main() -> int:
    """See the module."""
    parser = argparse.ArgumentParser(prog="python -m tests.attacks", description=__doc__)
    parser.add_argument("--subject", choices=SUBJECTS, default="root")
    parser.add_argument("--only", type=re.compile, help="a regular expression for names of attacks")
    options = parser.parse_args()
    for verdict in verdicts(options.subject, options.only):
        print(json.dumps(dataclasses.asdict(verdict)), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
