"""A build that is killed leaves nothing running or mounted, and the next one goes on where it stopped.

A real image, made of the few packages that the finishing needs, is built in a directory of its own.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bathysphere.image.build import build
from bathysphere.image.definition import Definition
from bathysphere.image.errors import ImageError
from bathysphere.image.image import find

LIBRARIES = {
    *("matplotlib", "numpy", "pillow", "contourpy", "cycler", "fonttools", "kiwisolver"),
    *("packaging", "pyparsing", "python-dateutil"),
}
PACKAGES = ["fontconfig", "fonts-dejavu-core", "python3"]


@pytest.fixture
def small(definition: Definition, tmp_path: Path) -> Definition:
    directory = Path(shutil.copytree(definition.directory, tmp_path / "definition"))
    (directory / "debian-packages.txt").write_text("\n".join(PACKAGES) + "\n")
    pinned = definition.wheels_file.read_text()
    pins = re.findall(r"^(\S+)==(\S+ \\\n(?:    --hash=\S+(?: \\)?\n)+)", pinned, re.MULTILINE)
    (directory / "wheels.txt").write_text("".join(f"{name}=={pin}" for name, pin in pins if name in LIBRARIES))
    data = (directory / "image.toml").read_text()
    required = '[required]\ncommands = ["bash", "python"]'
    data = re.sub(r"\[required\]\ncommands = \[.*?\n\]", required, data, flags=re.DOTALL)
    (directory / "image.toml").write_text(data)
    return Definition.load(directory)


@pytest.fixture
def images(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "images"
    shutil.rmtree(tmp_path / "images")  # too large to leave lying about


def start(small: Definition, images: Path) -> subprocess.Popen[bytes]:
    program = (
        "import sys; from pathlib import Path\n"
        "from bathysphere.image.build import build\n"
        "from bathysphere.image.definition import Definition\n"
        "build(Definition.load(Path(sys.argv[1])), Path(sys.argv[2]))\n"
    )
    return subprocess.Popen([sys.executable, "-c", program, small.directory, images], env={**os.environ})


def kill_when(building: subprocess.Popen[bytes], reached: Callable[[], bool]) -> None:
    while not reached():
        assert building.poll() is None, "the build ended before it could be killed"
        time.sleep(0.02)
    building.send_signal(signal.SIGKILL)
    building.wait()


def at_work_in(images: Path) -> list[str]:
    """Processes that name the directory, or live in a tree below it."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes().decode(errors="replace")
            place = str((process / "root").readlink())
        except OSError:
            continue
        if str(images) in words or place.startswith(str(images)):
            found.append(words)
    return found


def assert_nothing_is_left(images: Path) -> None:
    # The kernel ends the others when it has ended the first; give it the moment it takes.
    for _ in range(500):
        if not at_work_in(images):
            break
        time.sleep(0.02)
    assert at_work_in(images) == []
    assert str(images) not in Path("/proc/self/mountinfo").read_text()


def test_a_killed_build_leaves_nothing_behind_and_is_taken_up_again(small: Definition, images: Path) -> None:
    work = images / f".building-{small.digest}"
    leftover = images / ".building-0000000000000000"
    (leftover / "rootfs/usr").mkdir(parents=True)

    def fetched() -> set[str]:
        return {file.name for file in images.glob(".downloads/debian/*.deb")}

    kill_when(start(small, images), lambda: len(fetched()) > 10)
    assert_nothing_is_left(images)
    assert find(images, small) is None
    assert not leftover.exists()
    kept = fetched()
    assert kept
    first = {name: (images / ".downloads/debian" / name).stat().st_mtime_ns for name in kept}

    base = work / "base.done"
    kill_when(start(small, images), base.exists)
    assert_nothing_is_left(images)
    assert find(images, small) is None
    assert {name: (images / ".downloads/debian" / name).stat().st_mtime_ns for name in kept} == first
    made = (work / "rootfs/usr/bin/python3.11").stat().st_ino

    image = build(small, images)
    assert (image.root / "usr/bin/python3.11").stat().st_ino == made
    assert find(images, small) == image
    assert image.root == images / small.digest / "rootfs"
    assert sorted(path.name for path in images.iterdir()) == sorted([".lock", small.digest])
    assert_nothing_is_left(images)

    manifest = image.manifest
    assert manifest["digest"] == small.digest
    assert set(manifest["python"]) == LIBRARIES
    assert set(PACKAGES) <= set(manifest["debian"])
    assert manifest["bytes"] > 100_000_000
    assert build(small, images) == image


def test_no_place_to_build_in_is_said_plainly(small: Definition, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ImageError, match="BATHYSPHERE_IMAGES"):
        build(small, tmp_path / "file" / "images")
