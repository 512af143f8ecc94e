"""What is in a tree: the packages it lists, and what is missing from it."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from bathysphere.image.definition import Definition, normalised
from bathysphere.image.finishing import STAMP

_LINKS = 20


def debian_packages(root: Path) -> dict[str, str]:
    """Installed Debian packages and their versions, from dpkg's own list. Empty if there is none."""
    packages: dict[str, str] = {}
    status = root / "var/lib/dpkg/status"
    if not status.is_file() or status.is_symlink():
        return packages
    for record in status.read_text("utf-8", "replace").split("\n\n"):
        fields = dict(line.split(": ", 1) for line in record.splitlines() if ": " in line and line[0] != " ")
        if fields.get("Status") == "install ok installed":
            packages[fields["Package"]] = fields.get("Version", "")
    return packages


def python_distributions(root: Path, definition: Definition) -> dict[str, str]:
    """Installed Python distributions (normalised name) and their versions."""
    site = root / definition.site_packages.lstrip("/")
    names = (directory.name.removesuffix(".dist-info") for directory in site.glob("*.dist-info"))
    return {normalised(name): version for name, _, version in (name.rpartition("-") for name in names)}


def shortcomings(root: Path, definition: Definition) -> list[str]:
    """Why the tree is not a complete image of the definition; empty if it is. Nothing in the tree is run."""
    problems = []
    stamp = root / STAMP
    if stamp.is_symlink() or not stamp.is_file() or stamp.read_text("utf-8", "replace").strip() != definition.digest:
        problems.append(f"it was not finished for the definition {definition.digest} (/{STAMP})")
    packages = debian_packages(root)
    missing = [name for name in definition.packages if name not in packages]
    libraries = python_distributions(root, definition)
    missing += [f"{name} {pin}" for name, pin in definition.wheels.items() if libraries.get(name) != pin]
    missing += [name for name in definition.required_commands if not _on_path(root, definition, name)]
    if not executable(root, f"/usr/bin/python{definition.python}"):
        missing.append(f"/usr/bin/python{definition.python}")
    if missing:
        problems.append("missing: " + ", ".join(missing))
    for mount_point in definition.mount_points:
        place = root / mount_point.lstrip("/")
        if place.is_symlink() or not place.is_dir() or any(place.iterdir()):
            problems.append(f"{mount_point} is not an empty directory")
    privileged = [path for path in _files(root) if os.lstat(path).st_mode & (stat.S_ISUID | stat.S_ISGID)]
    if privileged:
        problems.append(f"setuid or setgid: {', '.join(str(path) for path in privileged[:5])}")
    return problems


def executable(root: Path, path: str) -> bool:
    """Whether a path of the image is a program that others may run; links are followed as inside the image."""
    for _ in range(_LINKS):
        place = root
        parts = Path(path).parts[1:]
        for index, part in enumerate(parts):
            place = place / part
            if place.is_symlink():
                target = os.path.join("/", *parts[:index], place.readlink())  # noqa: PTH118 - may be absolute
                path = os.path.normpath(os.path.join(target, *parts[index + 1 :]))  # noqa: PTH118
                break
        else:
            return place.is_file() and place.stat().st_mode & 0o005 == 0o005
    return False


def _on_path(root: Path, definition: Definition, name: str) -> bool:
    return any(executable(root, f"{directory}/{name}") for directory in definition.environment["PATH"].split(":"))


def _files(root: Path) -> list[str]:
    return [
        os.path.join(parent, name)  # noqa: PTH118 - 60 000 of them
        for parent, directories, files in os.walk(root)
        for name in [*directories, *files]
    ]
