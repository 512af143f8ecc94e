"""The second stage: the pinned Python libraries, installed into the tree from outside."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from pathlib import Path

from bathysphere.image.definition import Definition
from bathysphere.image.errors import ImageError
from bathysphere.image.programs import confined, run
from bathysphere.image.progress import Progress


def install_wheels(definition: Definition, root: Path, downloads: Path, progress: Progress) -> None:
    """Fetch the wheels into ``downloads`` (those already there are not fetched again) and install them.

    Each is checked against its hash; no code of a package runs. Raises ``ImageError`` when pip is missing or fails.
    """
    cache = downloads / "wheels"
    cache.mkdir(parents=True, exist_ok=True)
    site = root / definition.site_packages.lstrip("/")
    pinned = ["--no-deps", "--require-hashes", "--requirement", str(definition.wheels_file)]
    fetch = [*pip("download"), *target_platform(definition), *pinned, "--dest", str(cache)]
    run(confined(fetch), progress, "Fetching the Python libraries with pip")
    shutil.rmtree(site, ignore_errors=True)
    install = [
        *pip("install"),
        *target_platform(definition),
        *pinned,
        "--no-index",
        "--find-links",
        str(cache),
        "--no-compile",
        "--no-warn-script-location",
        "--target",
        str(site),
    ]
    run(confined(install), progress, "Installing the Python libraries with pip", {"PIP_USER": "0"})


def pip(command: str) -> list[str]:
    """The start of a pip command line. Raises ``ImageError`` if this Python has no pip."""
    if importlib.util.find_spec("pip") is None:
        raise ImageError(f"pip is not installed: run '{sys.executable} -m ensurepip'.")
    return [sys.executable, "-m", "pip", command, "--progress-bar", "off", "--disable-pip-version-check"]


def target_platform(definition: Definition) -> list[str]:
    """Options that make pip choose wheels for the image instead of for this machine."""
    abi = "cp" + definition.python.replace(".", "")
    return [
        "--only-binary=:all:",
        "--implementation=cp",
        f"--python-version={definition.python}",
        *(f"--abi={tag}" for tag in (abi, "abi3", "none")),
        *(f"--platform={tag}" for tag in definition.platforms),
    ]
