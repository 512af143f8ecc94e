"""How paths that a model wrote are read."""

from __future__ import annotations

from pathlib import Path

import pytest

from bathysphere.guest import paths

ENVIRONMENT = {"HOME": "/home/user", "INPUT_DIR": "/files/input", "OUTPUT_DIR": "/files/output/0123"}


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("/etc/hosts", "/etc/hosts"),
        ("a.txt", "/home/user/a.txt"),
        ("./d/a.txt", "/home/user/./d/a.txt"),
        ("~", "/home/user"),
        ("~/a", "/home/user/a"),
        ("~other/a", "/home/user/~other/a"),
        ("$INPUT_DIR/data.csv", "/files/input/data.csv"),
        ("${OUTPUT_DIR}/x", "/files/output/0123/x"),
        ("$HOME/x", "/home/user/x"),
        ("$UNKNOWN/x", "/home/user/$UNKNOWN/x"),
        ("price$5", "/home/user/price$5"),
    ],
)
def test_expansion(written: str, meant: str) -> None:
    assert paths.expand(written, ENVIRONMENT) == meant


def test_a_directory_is_made_whatever_is_in_its_place(tmp_path: Path) -> None:
    place = tmp_path / "a" / "b"
    paths.ensure_directory(str(place))
    paths.ensure_directory(str(place))
    assert place.is_dir()
    place.rmdir()
    place.symlink_to("/etc")
    paths.ensure_directory(str(place))
    assert place.is_dir() and not place.is_symlink()
    place.rmdir()
    place.write_text("in the way")
    paths.ensure_directory(str(place))
    assert place.is_dir()
    assert "in the way" in [
        moved.read_text() for moved in tmp_path.glob("a/b.*.moved") if moved.is_file() and not moved.is_symlink()
    ]
