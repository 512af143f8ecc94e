"""``python -m tests.attacks``: carry out the attacks on one subject and print a verdict per line, as JSON.

``python -m tests.attacks --write docs/security.md`` carries them out on every subject that there is here and then
writes the table, unless something was not as the data say.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bathysphere.host.conformance.ordinary_user import become
from bathysphere.image.image import default_images_directory
from tests.attacks import table
from tests.attacks.attack import SUBJECTS, Subject, groups
from tests.attacks.battlefield import Verdict, battlefield

ORDINARY_UID = 64_322


def verdicts(subject: Subject, which: str, only: re.Pattern[str] | None = None) -> Iterator[Verdict]:
    """Carry out the attacks on a subject, two groups at a time; ``which`` of them is "all" or "quick"."""
    if subject == "ordinary" and os.geteuid() == 0:
        os.environ["BATHYSPHERE_IMAGES"] = str(default_images_directory().resolve())
        become(ORDINARY_UID)
    with tempfile.TemporaryDirectory(prefix="bathysphere-attacks-") as folder:
        Path(folder).chmod(0o755)
        with battlefield(Path(folder), subject) as field, ThreadPoolExecutor(2) as pool:
            chosen = [group for group in groups() if group.quick or which == "all"]
            if only:
                chosen = [group for group in chosen if any(only.search(attack.name) for attack in group.attack)]
            for found in pool.map(lambda group: list(field.attacks(group, only)), chosen):
                yield from found


def elsewhere(subject: Subject, which: str = "all") -> dict[str, Verdict]:
    """Carry out the attacks in a process of its own: for the ordinary user it leaves its rights for good.

    Raises RuntimeError when not every attack came to a verdict.
    """
    ran = subprocess.run(
        [sys.executable, "-m", "tests.attacks", "--subject", subject, "--which", which],
        capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    found = [Verdict(**json.loads(line)) for line in ran.stdout.splitlines()]
    if ran.returncode != 0:
        raise RuntimeError(f"the attacks on {SUBJECTS[subject]} could not be carried out:\n{ran.stderr}")
    return {verdict.attack: verdict for verdict in found}


def contradictions(subject: Subject, found: dict[str, Verdict]) -> dict[str, str]:
    """What was seen otherwise than the data say, by attack."""
    wrong = {}
    for group in groups():
        for attack in group.attack:
            if attack.name not in found:
                continue
            verdict = found[attack.name]
            if subject in attack.fails and not verdict.failure:
                wrong[attack.name] = "is denied, though the data say that it is known not to be"
            elif subject not in attack.fails and verdict.failure:
                wrong[attack.name] = verdict.failure
    return wrong


def main() -> int:
    """See the module."""
    parser = argparse.ArgumentParser(prog="python -m tests.attacks", description=__doc__)
    parser.add_argument("--subject", choices=SUBJECTS, default="root" if os.geteuid() == 0 else "ordinary")
    parser.add_argument("--which", choices=("all", "quick"), default="all")
    parser.add_argument("--only", type=re.compile, help="a regular expression for names of attacks")
    parser.add_argument("--write", type=Path, metavar="PAGE", help="carry out all of them on all subjects first")
    options = parser.parse_args()
    if options.write:
        wrong = {subject: contradictions(subject, elsewhere(subject)) for subject in SUBJECTS}
        if any(wrong.values()):
            print(json.dumps(wrong, indent=1, ensure_ascii=False))
            return 1
        options.write.write_text(table.replaced(options.write.read_text(), groups()))
        return 0
    for verdict in verdicts(options.subject, options.which, options.only):
        print(json.dumps(dataclasses.asdict(verdict)), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
