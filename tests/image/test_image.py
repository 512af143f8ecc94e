"""Where images are kept, which one is found, and bringing one in that was built elsewhere."""

from __future__ import annotations

import fcntl
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from click.testing import CliRunner

from bathysphere.cli.image import image as command
from bathysphere.image.build import build, import_tree
from bathysphere.image.definition import Definition
from bathysphere.image.errors import ImageError
from bathysphere.image.finishing import finish
from bathysphere.image.image import default_images_directory, find


@pytest.fixture
def images(tmp_path: Path) -> Path:
    return tmp_path / "images"


@pytest.fixture
def tar(likeness: Path, definition: Definition, tmp_path: Path) -> Path:
    """What a container tool exports of a tree made with the Containerfile."""
    finish(likeness, definition)
    (likeness / "etc/resolv.conf").write_text("nameserver 192.0.2.1\n")
    with tarfile.open(tmp_path / "image.tar", "w") as archive:
        archive.add(likeness, ".")
    return tmp_path / "image.tar"


def test_the_directory_named_by_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("BATHYSPHERE_IMAGES", str(tmp_path))
    assert default_images_directory() == tmp_path


def test_the_usual_directories(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("BATHYSPHERE_IMAGES", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    assert default_images_directory() == tmp_path / "bathysphere/images"
    monkeypatch.delenv("XDG_DATA_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert default_images_directory() == tmp_path / ".local/share/bathysphere/images"
    monkeypatch.setattr("os.geteuid", lambda: 0)
    assert default_images_directory() == Path("/var/lib/bathysphere/images")


def test_an_exported_tree_is_brought_in(tar: Path, images: Path, definition: Definition) -> None:
    assert find(images, definition) is None
    brought = import_tree(tar, definition, images)
    assert find(images, definition) == brought
    assert brought.manifest["origin"] == "import"
    assert brought.manifest["python"] == definition.wheels
    assert (brought.root / "etc/resolv.conf").read_text() == ""
    assert sorted(path.name for path in images.iterdir()) == sorted([".lock", definition.digest])


def test_what_was_brought_in_is_not_built_again(tar: Path, images: Path, definition: Definition) -> None:
    brought = import_tree(tar, definition, images)
    assert build(definition, images) == brought
    assert import_tree(tar, definition, images) == brought


def test_an_incomplete_tree_is_refused_and_leaves_nothing(tmp_path: Path, images: Path, definition: Definition) -> None:
    (tmp_path / "tree/etc").mkdir(parents=True)
    with tarfile.open(tmp_path / "image.tar", "w") as archive:
        archive.add(tmp_path / "tree", ".")
    with pytest.raises(ImageError, match=r"not a complete image.*missing: "):
        import_tree(tmp_path / "image.tar", definition, images)
    assert [path.name for path in images.iterdir()] == [".lock"]


@pytest.mark.parametrize("content", [b"", b"no tar file", b"\0" * 10240], ids=["empty", "text", "zeros"])
def test_what_is_no_tree_is_refused(tmp_path: Path, images: Path, definition: Definition, content: bytes) -> None:
    (tmp_path / "image.tar").write_bytes(content)
    with pytest.raises(ImageError):
        import_tree(tmp_path / "image.tar", definition, images)
    assert find(images, definition) is None


def test_a_cut_off_tar_is_refused(tar: Path, images: Path, definition: Definition) -> None:
    whole = tar.read_bytes()
    tar.write_bytes(whole[: len(whole) // 2 + 100])
    with pytest.raises(ImageError):
        import_tree(tar, definition, images)
    assert find(images, definition) is None


def test_a_second_builder_waits_for_the_first(tar: Path, images: Path, definition: Definition) -> None:
    images.mkdir()
    with (images / ".lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        program = "import sys; from bathysphere.cli.image import image; image(sys.argv[1:])"
        arguments = [sys.executable, "-c", program, "import", str(tar), "--images", str(images)]
        with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as second:
            assert second.stderr is not None and second.stdout is not None
            assert second.stderr.readline().startswith("Waiting for another build")
            assert find(images, definition) is None
            fcntl.flock(lock, fcntl.LOCK_UN)
            assert second.stdout.read().strip() == str(images / definition.digest / "rootfs")


class TestCommand:
    """``bathysphere image``."""

    def test_show_before_and_after(self, tar: Path, images: Path, definition: Definition) -> None:
        before = CliRunner().invoke(command, ["show", "--images", str(images)])
        assert (before.exit_code, "bathysphere image build" in before.output) == (0, True)
        assert definition.digest in before.output
        assert CliRunner().invoke(command, ["import", str(tar), "--images", str(images)]).exit_code == 0
        after = CliRunner().invoke(command, ["show", "--images", str(images), "--packages"])
        assert after.exit_code == 0
        assert str(images / definition.digest / "rootfs") in after.output
        assert f"pandas {definition.wheels['pandas']}" in after.output
        assert " MB" in after.output

    def test_an_error_is_told_without_a_traceback(self, tmp_path: Path) -> None:
        (tmp_path / "image.tar").write_bytes(b"no tar file")
        result = CliRunner().invoke(command, ["import", str(tmp_path / "image.tar"), "--images", str(tmp_path / "i")])
        assert result.exit_code == 1
        assert "Error: " in result.output and "is no tar file" in result.output

    def test_a_damaged_manifest_says_what_to_do(self, tar: Path, images: Path, definition: Definition) -> None:
        import_tree(tar, definition, images)
        (images / definition.digest / "manifest.json").write_text("{")
        result = CliRunner().invoke(command, ["show", "--images", str(images)])
        assert (result.exit_code, "build the image again" in result.output) == (1, True)
