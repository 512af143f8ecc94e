"""The image as data: what ``definition/`` says, and the digest that names an image made from it.

Standard library only: the finishing stage imports this inside the image.
"""

from __future__ import annotations

import hashlib
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path

DIRECTORY = Path(__file__).with_name("definition")

# The part of a definition directory that holds what the larger image has beyond the usual one.
OFFICE = "office"

# Changed by hand when the builder's own code makes another tree from the same data.
FORMAT = 1

# Code whose result is part of the tree, so that a change to it is a new image.
_CODE = ("finishing.py", "settling.py")


@dataclass(frozen=True)
class InstalledFile:
    """A file of the definition that is copied into the image."""

    source: Path
    target: str
    mode: int


@dataclass(frozen=True)
class Account:
    """The account that a container's processes run under."""

    name: str
    id: int
    home: str
    shell: str


@dataclass(frozen=True)
class Definition:
    """Everything that decides what an image holds. Equal definitions have equal digests."""

    directory: Path
    digest: str
    suite: str
    components: tuple[str, ...]
    architecture: str
    python: str
    platforms: tuple[str, ...]
    hostname: str
    mount_points: tuple[str, ...]
    user: Account
    environment: dict[str, str]
    """What every process of a container finds in its environment."""
    files: tuple[InstalledFile, ...]
    commands: dict[str, str]
    """Additional command names, each with the program (an absolute path in the image) it stands for."""
    required_commands: tuple[str, ...]
    remove: tuple[str, ...]
    keep: tuple[str, ...]
    packages: tuple[str, ...]
    """Names of Debian packages."""
    wheels: dict[str, str]
    """Python distributions (normalised name) with their pinned version."""
    office: bool = False
    """Whether it is the larger image, with LibreOffice."""

    @property
    def wheels_file(self) -> Path:
        """The pinned and hashed requirements file."""
        return self.directory / "wheels.txt"

    @property
    def site_packages(self) -> str:
        """Where wheels are installed, an absolute path in the image."""
        return f"/usr/local/lib/python{self.python}/dist-packages"

    @classmethod
    def load(cls, directory: Path | None = None, *, office: bool = False) -> Definition:
        """Read a definition directory (default: the one that ships with bathysphere).

        With ``office`` it is the larger image: the same, and what the directory ``office`` in it adds.
        Raises ``OSError``, ``tomllib.TOMLDecodeError`` or ``KeyError`` if the directory is not a definition.
        """
        directory = directory or DIRECTORY
        parts = [directory, directory / OFFICE] if office else [directory]
        data, *additions = [tomllib.loads((part / "image.toml").read_text("utf-8")) for part in parts]
        return cls(
            directory=directory,
            digest=_digest(parts),
            suite=data["suite"],
            components=tuple(data["components"]),
            architecture=data["architecture"],
            python=data["python"],
            platforms=tuple(data["platforms"]),
            hostname=data["hostname"],
            mount_points=tuple(data["mount_points"]),
            user=Account(**data["user"]),
            environment=dict(data["environment"]),
            files=tuple(
                InstalledFile(directory / item["from"], target, item["mode"]) for target, item in data["files"].items()
            ),
            commands=dict(data["commands"]),
            required_commands=tuple(name for one in (data, *additions) for name in one["required"]["commands"]),
            remove=tuple(path for one in (data, *additions) for path in one["remove"]["paths"]),
            keep=tuple(data["remove"]["keep"]),
            packages=tuple(name for part in parts for name in _lines(part / "debian-packages.txt")),
            wheels=_pins(directory / "wheels.txt"),
            office=office,
        )


def normalised(name: str) -> str:
    """A distribution's name in the one spelling in which names are compared."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _lines(file: Path) -> list[str]:
    lines = (line.partition("#")[0].strip() for line in file.read_text("utf-8").splitlines())
    return [line for line in lines if line]


def _pins(file: Path) -> dict[str, str]:
    pins = re.findall(r"^([A-Za-z0-9._-]+)==([^\s\\;]+)", file.read_text("utf-8"), re.MULTILINE)
    return {normalised(name): version for name, version in pins}


def _digest(directories: list[Path]) -> str:
    """16 hexadecimal digits over what the definition says; the unpinned ``*.in`` lists say nothing by themselves.

    What a later directory holds is counted after all of those before, so that the first alone has a digest of its own.
    """
    whole = hashlib.sha256(f"bathysphere image, format {FORMAT}\n".encode())
    code = [Path(__file__).with_name(name) for name in _CODE]
    for directory in directories:
        files = [file for file in directory.iterdir() if file.is_file() and file.suffix != ".in"]
        for file in sorted([*files, *code], key=lambda file: file.name):
            whole.update(f"{file.name} {hashlib.sha256(file.read_bytes()).hexdigest()}\n".encode())
        code = []
    return whole.hexdigest()[:16]
