"""A file that is being written is nowhere to be seen, then there whole; what is given up is gone."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from bathysphere.guest.whole_file import WholeFile


@pytest.fixture(params=["without a name", "under another name"])
def named(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Both ways: not every file system can hold a file without a name."""
    if request.param == "without a name":
        return False
    real = os.open

    def unable(path: Any, flags: int, *more: Any, **names: Any) -> int:
        if flags & os.O_TMPFILE == os.O_TMPFILE:
            raise OSError(errno.EOPNOTSUPP, "not supported")
        return real(path, flags, *more, **names)

    monkeypatch.setattr(os, "open", unable)
    return True


def test_it_appears_whole(tmp_path: Path, named: bool) -> None:
    file = WholeFile(str(tmp_path / "new"))
    file.write(b"first, ")
    file.write(memoryview(b"second"))
    assert len(list(tmp_path.iterdir())) == named
    assert file.appear()
    file.close()
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"new": "first, second"}


def test_it_takes_the_place_of_another(tmp_path: Path, named: bool) -> None:
    (tmp_path / "there").write_text("old")
    file = WholeFile(str(tmp_path / "there"))
    file.write(b"new")
    assert (tmp_path / "there").read_text() == "old"
    assert file.appear()
    file.close()
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"there": "new"}


def test_a_link_in_its_place_is_replaced_not_followed(tmp_path: Path, named: bool) -> None:
    (tmp_path / "target").write_text("kept")
    (tmp_path / "link").symlink_to("target")
    file = WholeFile(str(tmp_path / "link"))
    file.write(b"new")
    assert file.appear()
    file.close()
    assert (tmp_path / "target").read_text() == "kept"
    assert not (tmp_path / "link").is_symlink()


def test_a_directory_is_not_replaced_and_nothing_is_left(tmp_path: Path, named: bool) -> None:
    (tmp_path / "there").mkdir()
    file = WholeFile(str(tmp_path / "there"))
    with pytest.raises(IsADirectoryError):
        file.appear()
    file.close()
    file.close()
    assert [path.name for path in tmp_path.iterdir()] == ["there"]


def test_given_up_it_is_gone(tmp_path: Path, named: bool) -> None:
    file = WholeFile(str(tmp_path / "new"))
    file.write(b"half")
    file.close()
    assert list(tmp_path.iterdir()) == []


def test_one_that_was_exchanged_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "O_TMPFILE", os.O_DIRECTORY)  # refused: a directory cannot be opened for writing
    file = WholeFile(str(tmp_path / "new"))
    (part,) = tmp_path.iterdir()
    part.unlink()
    part.symlink_to("/etc/passwd")
    assert not file.appear()
    file.close()


def test_without_its_directory_it_cannot_be_begun(tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    with pytest.raises(FileNotFoundError):
        WholeFile(str(tmp_path / "none" / "new"))
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208
