"""The conformance suite of engines: bubblewrap as root and as an ordinary user, and gVisor.

Where the tests themselves run as an ordinary user, bubblewrap as that user is the only one that can be tried.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from bathysphere.host.conformance import CHECKS
from bathysphere.host.conformance.deviations import KNOWN

from .conftest import ROOT

ORDINARY_UID = 64_321

SUBJECTS = {
    "bubblewrap as root": ["--engine", "bubblewrap"],
    "bubblewrap as an ordinary user": ["--engine", "bubblewrap", "--uid", str(ORDINARY_UID)],
    "gVisor": ["--engine", "gvisor"],
}
if not ROOT:
    SUBJECTS = {"bubblewrap as an ordinary user": ["--engine", "bubblewrap"]}


@cache
def verdicts(subject: str, image: Path) -> dict[str, dict[str, str]]:
    """All checks on one subject, in a process of its own: as root it leaves for a mount namespace."""
    ran = subprocess.run(
        [sys.executable, "-m", "bathysphere.host.conformance", "--json", "--image", str(image), *SUBJECTS[subject]],
        capture_output=True, text=True, check=False, cwd="/",
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    found = {line["name"]: line for line in map(json.loads, ran.stdout.splitlines())}
    assert found, ran.stderr
    return found


@pytest.mark.parametrize("check", [check.name for check in CHECKS])
@pytest.mark.parametrize("subject", SUBJECTS)
@pytest.mark.timeout(900)
def test_conforms(subject: str, check: str, image: Path) -> None:
    verdict = verdicts(subject, image)[check]
    if verdict["known"]:
        print(f"{subject}: {check.replace('_', ' ')}: known not to hold: {verdict['known']}")
    else:
        assert not verdict["failure"], f"{verdict['contract']}\nseen: {verdict['failure']}"


def test_what_is_known_is_checked() -> None:
    names = {check.name for check in CHECKS}
    assert all(set(known) <= names for known in KNOWN.values())


def test_an_engine_that_does_not_conform_is_found_out(image: Path, tmp_path: Path) -> None:
    """Somebody else's engine, by the public interface; it gives its containers another name."""
    program = tmp_path / "try.py"
    program.write_text(
        "import asyncio, sys\n"
        "from pathlib import Path\n"
        "from bathysphere.host import conformance\n"
        "from bathysphere.host.engines import bubblewrap\n"
        "from bathysphere.image.definition import Definition\n"
        "class Careless(bubblewrap.Bubblewrap):\n"
        "    name = 'careless'\n"
        "    def _arguments(self, *given):\n"
        "        words = super()._arguments(*given)\n"
        "        words[words.index('--hostname') + 1] = 'elsewhere'\n"
        "        return words\n"
        "async def main():\n"
        "    checks = [c for c in conformance.CHECKS if c.name in ('no_network', 'an_ordinary_user', 'unicode')]\n"
        "    async for v in conformance.run(Careless(), Path(sys.argv[1]), Definition.load().environment, checks):\n"
        "        print(v.check.name, 'fails' if v.failure else 'holds')\n"
        "asyncio.run(main())\n"
    )
    ran = subprocess.run(
        [sys.executable, str(program), str(image)], capture_output=True, text=True, check=False, cwd="/",
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    assert sorted(ran.stdout.splitlines()) == ["an_ordinary_user fails", "no_network holds", "unicode holds"], (
        ran.stderr
    )
