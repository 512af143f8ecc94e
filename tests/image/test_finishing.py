"""The finishing and settling of a tree, on a small one made up here."""

from __future__ import annotations

import dataclasses
import os
import stat
import subprocess
from pathlib import Path

import pytest

from bathysphere.image.contents import debian_packages, executable, python_distributions, shortcomings
from bathysphere.image.definition import Definition
from bathysphere.image.errors import ImageError
from bathysphere.image.finishing import finish
from bathysphere.image.settling import settle
from tests.image.likeness import write


@pytest.fixture
def root(likeness: Path) -> Path:
    return likeness


def test_a_finished_and_settled_tree_is_complete(root: Path, definition: Definition) -> None:
    assert shortcomings(root, definition) != []
    finish(root, definition)
    settle(root, definition)
    assert shortcomings(root, definition) == []


def test_finishing_twice_changes_nothing(root: Path, definition: Definition) -> None:
    def everything() -> dict[str, bytes]:
        files = [path for path in root.rglob("*") if path.is_file() and not path.is_symlink()]
        return {str(path): path.read_bytes() + oct(path.stat().st_mode).encode() for path in files}

    finish(root, definition)
    once = everything()
    finish(root, definition)
    assert everything() == once


def test_commands_have_the_names_that_people_type(root: Path, definition: Definition) -> None:
    finish(root, definition)
    assert (root / "usr/local/bin/fd").readlink() == Path("/usr/bin/fdfind")
    assert executable(root, "/usr/local/bin/7z")
    assert not executable(root, "/usr/local/bin/fdfind")


def test_console_scripts_run_the_python_of_the_image(root: Path, definition: Definition) -> None:
    finish(root, definition)
    script = (root / "usr/local/bin/tqdm").read_text()
    assert script.startswith("#!/usr/bin/python3\n")
    assert "from tqdm.cli import main" in script
    assert "from odd.commands import Command\n\nsys.exit(Command.run())" in (root / "usr/local/bin/odd").read_text()


def test_the_account(root: Path, definition: Definition) -> None:
    finish(root, definition)
    assert "user:x:1000:1000::/home/user:/bin/bash" in (root / "etc/passwd").read_text().splitlines()
    assert "root:x:0:0:root:/root:/bin/bash" in (root / "etc/passwd").read_text().splitlines()


def test_what_a_container_has_no_use_for_goes_and_licences_stay(root: Path, definition: Definition) -> None:
    licence = write(root, "usr/share/doc/bc/copyright")
    gone = [
        write(root, "usr/share/doc/bc/examples/pi.bc"),
        write(root, "usr/share/man/man1/bc.1"),
        write(root, "etc/apt/sources.list.d/mirror.sources"),
        write(root, "etc/apt/apt.conf.d/99mmdebstrap"),
        write(root, f"{definition.site_packages[1:]}/pandas/core/tests/deep/test_frame.py"),
    ]
    finish(root, definition)
    assert licence.exists()
    assert [path for path in gone if path.exists()] == []
    assert (root / "usr/share/man").is_dir()


def test_removal_does_not_follow_links_out_of_the_tree(root: Path, definition: Definition, tmp_path: Path) -> None:
    outside = write(tmp_path, "outside/file")
    (root / "usr/share").mkdir()
    (root / "usr/share/man").symlink_to(outside.parent)
    finish(root, definition)
    assert outside.exists()


def test_nothing_is_privileged_and_all_is_readable_by_others(root: Path, definition: Definition) -> None:
    su = write(root, "usr/bin/su", mode=0o6750)
    shadow = write(root, "etc/secret", mode=0o600)
    fifo = root / "etc/pipe"
    os.mkfifo(fifo)
    settle(root, definition)
    assert stat.S_IMODE(su.stat().st_mode) == 0o755
    assert stat.S_IMODE(shadow.stat().st_mode) == 0o644
    assert not fifo.exists()


def test_file_capabilities_are_dropped(root: Path, definition: Definition) -> None:
    ping = write(root, "usr/bin/ping", mode=0o755)
    capability = bytes.fromhex("0100000200200000000000000000000000000000")
    if os.geteuid() == 0:  # only root may set one
        os.setxattr(ping, "security.capability", capability)
    settle(root, definition)
    assert "security.capability" not in os.listxattr(ping)


def test_mount_points_are_empty_directories(root: Path, definition: Definition) -> None:
    write(root, "dev/shm/leftover")
    write(root, "tmp/leftover")
    settle(root, definition)
    assert all(list((root / point[1:]).iterdir()) == [] for point in definition.mount_points)


def test_files_that_name_the_machine(root: Path, definition: Definition) -> None:
    write(root, "etc/resolv.conf", "nameserver 192.0.2.1\n")
    write(root, "etc/machine-id", "0123\n")
    settle(root, definition)
    assert (root / "etc/resolv.conf").read_text() == (root / "etc/machine-id").read_text() == ""
    assert (root / "etc/hosts").read_text().startswith("127.0.0.1 localhost\n")
    assert (root / "etc/hostname").read_text() == "bathysphere\n"


@pytest.mark.parametrize("path", ["etc", "home"])
def test_a_tree_whose_directories_lead_elsewhere_is_refused(
    root: Path, definition: Definition, tmp_path: Path, path: str
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    write(outside, "hosts", "of this machine")
    subprocess.run(["rm", "-rf", root / path], check=True)
    (root / path).symlink_to(outside)
    with pytest.raises(ImageError, match="symbolic link"):
        settle(root, definition)
    assert [file.name for file in outside.iterdir()] == ["hosts"]
    assert (outside / "hosts").read_text() == "of this machine"


def test_a_link_in_place_of_a_file_is_replaced_not_followed(root: Path, definition: Definition, tmp_path: Path) -> None:
    outside = write(tmp_path, "hosts", "of this machine")
    (root / "etc/hosts").symlink_to(outside)
    settle(root, definition)
    assert outside.read_text() == "of this machine"
    assert not (root / "etc/hosts").is_symlink()


class TestShortcomings:
    """Each thing that is missing is named."""

    @pytest.fixture
    def complete(self, root: Path, definition: Definition) -> Path:
        finish(root, definition)
        settle(root, definition)
        return root

    def test_another_definition(self, complete: Path, definition: Definition) -> None:
        other = dataclasses.replace(definition, digest="0" * 16)
        assert "0000000000000000" in shortcomings(complete, other)[0]

    def test_a_library_of_another_version(self, complete: Path, definition: Definition) -> None:
        (found,) = (complete / definition.site_packages[1:]).glob("tqdm-*.dist-info")
        found.rename(found.with_name("tqdm-0.1.dist-info"))
        assert shortcomings(complete, definition) == [f"missing: tqdm {definition.wheels['tqdm']}"]

    def test_a_command(self, complete: Path, definition: Definition) -> None:
        (complete / "usr/bin/rg").unlink()
        assert shortcomings(complete, definition) == ["missing: rg"]

    def test_a_command_that_only_root_may_run(self, complete: Path, definition: Definition) -> None:
        (complete / "usr/bin/rg").chmod(0o750)
        assert shortcomings(complete, definition) == ["missing: rg"]

    def test_a_debian_package(self, complete: Path, definition: Definition) -> None:
        status = complete / "var/lib/dpkg/status"
        status.write_text(status.read_text().replace("Package: bc\n", "Package: other\n"))
        assert shortcomings(complete, definition) == ["missing: bc"]

    def test_something_privileged(self, complete: Path, definition: Definition) -> None:
        (complete / "usr/bin/rg").chmod(0o4755)
        assert "setuid" in shortcomings(complete, definition)[0]

    def test_a_full_mount_point(self, complete: Path, definition: Definition) -> None:
        write(complete, "skills/leftover")
        assert shortcomings(complete, definition) == ["/skills is not an empty directory"]


def test_lists_of_what_is_installed(root: Path, definition: Definition) -> None:
    packages = debian_packages(root)
    assert packages["bc"] == "1" and "gone" not in packages
    assert python_distributions(root, definition) == definition.wheels
    assert debian_packages(root / "etc") == {}


def test_links_are_followed_as_inside_the_tree(root: Path) -> None:
    (root / "usr/bin/loop").symlink_to("loop")
    (root / "usr/bin/far").symlink_to("/bin/rg")
    (root / "usr/bin/near").symlink_to("../bin/rg")
    (root / "usr/bin/up").symlink_to("../../../../../../usr/bin/rg")
    assert executable(root, "/bin/far") and executable(root, "/bin/near") and executable(root, "/bin/up")
    assert not executable(root, "/usr/bin/loop") and not executable(root, "/usr/bin/none")
