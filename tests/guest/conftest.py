"""Guests in sandboxes of their own."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from bathysphere.image.build import build
from bathysphere.image.definition import Definition
from bathysphere.image.image import find
from bathysphere.image.progress import ConsoleProgress

from .first_process import FirstProcess, guest_folder


@pytest.fixture(scope="session")
def image() -> Path:
    return (find() or build(Definition.load(), progress=ConsoleProgress())).root


@pytest.fixture(scope="session")
def guest(image: Path) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="bathysphere-guest-") as folder:
        yield guest_folder(image, Path(folder))


@pytest.fixture
def first(image: Path, guest: Path, tmp_path: Path) -> Iterator[FirstProcess]:
    """Process 1 of a sandbox that the test has to itself."""
    process = FirstProcess(image, guest, tmp_path / "disk", Definition.load().environment)
    yield process
    process.close()


@pytest.fixture(scope="module")
def shared(image: Path, guest: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FirstProcess]:
    """Process 1 of a sandbox whose interpreter all tests of a file use."""
    process = FirstProcess(image, guest, tmp_path_factory.mktemp("disk"), Definition.load().environment)
    yield process
    process.close()
