"""The image itself, and a bare sandbox to run programs in it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from bathysphere.image.build import build
from bathysphere.image.definition import Definition
from bathysphere.image.progress import ConsoleProgress
from tests.image.likeness import make_likeness

# bubblewrap must not be started as root; any other uid will do, and the image must work under any.
UID = 231_000

Run = Callable[[str, str], subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def definition() -> Definition:
    return Definition.load()


@pytest.fixture
def likeness(tmp_path: Path, definition: Definition) -> Path:
    return make_likeness(tmp_path / "rootfs", definition)


@pytest.fixture(scope="session")
def image_root(definition: Definition) -> Path:
    return build(definition, progress=ConsoleProgress()).root


@pytest.fixture(scope="session")
def run_inside(image_root: Path, definition: Definition) -> Run:
    """Runs a program's text with an interpreter (``python3`` or ``bash -eu``) in a fresh home directory."""
    settings = [word for name, value in definition.environment.items() for word in ("--setenv", name, value)]
    argv = [
        "bwrap",
        *("--unshare-all", "--die-with-parent", "--new-session", "--clearenv", *settings),
        *("--uid", str(definition.user.id), "--gid", str(definition.user.id), "--hostname", definition.hostname),
        *("--ro-bind", str(image_root), "/", "--proc", "/proc", "--dev", "/dev"),
        *("--tmpfs", "/tmp", "--tmpfs", definition.user.home, "--chdir", definition.user.home),
    ]

    def run(interpreter: str, program: str) -> subprocess.CompletedProcess[str]:
        start = f"cp -a /etc/skel/. . && cat > /tmp/program && exec {interpreter} /tmp/program"
        somebody = UID if os.geteuid() == 0 else None
        return subprocess.run(
            [*argv, "bash", "-c", start],
            input=program,
            capture_output=True,
            text=True,
            check=False,
            cwd="/",
            user=somebody,
            group=somebody,
            extra_groups=None if somebody is None else [],
        )

    return run
