"""A tar file brought in from elsewhere writes nothing outside the tree and brings nothing privileged."""

from __future__ import annotations

import io
import os
import stat
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from bathysphere.image.errors import ImageError
from bathysphere.image.unpacking import unpack

Members = list[tuple[str, bytes, str, int]]  # type, linkname: name, type, target, mode


def member(name: str, kind: bytes = tarfile.REGTYPE, target: str = "", mode: int = 0o644) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.mode = kind, target, mode
    info.uid, info.gid = os.getuid(), os.getgid()
    return info


@pytest.fixture
def unpacked(tmp_path: Path) -> Callable[..., Path]:
    def unpack_these(*members: tarfile.TarInfo) -> Path:
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as archive:
            for info in members:
                data = b"data" if info.isreg() else b""
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))
        buffer.seek(0)
        with tarfile.open(fileobj=buffer) as archive:
            unpack(archive, tmp_path / "tree")
        return tmp_path / "tree"

    return unpack_these


Unpacked = Callable[..., Path]


def test_files_directories_and_links_arrive(unpacked: Unpacked) -> None:
    tree = unpacked(
        member("usr/", tarfile.DIRTYPE, mode=0o755),
        member("usr/tool", mode=0o755),
        member("tool", tarfile.SYMTYPE, "/usr/tool"),
        member("usr/twin", tarfile.LNKTYPE, "usr/tool", mode=0o755),
    )
    assert (tree / "usr/tool").read_bytes() == b"data"
    assert (tree / "usr/tool").stat().st_mode & 0o777 == 0o755
    assert (tree / "tool").readlink() == Path("/usr/tool")
    assert (tree / "usr/twin").samefile(tree / "usr/tool")


@pytest.mark.parametrize(
    "members",
    [
        [member("../outside")],
        [member("a/../../outside")],
        [member("a", tarfile.SYMTYPE, ".."), member("a/outside")],
        [member("a", tarfile.SYMTYPE, "/"), member("a/tmp/outside")],
        [member("outside", tarfile.LNKTYPE, "../secret")],
        [member("a", tarfile.SYMTYPE, ".."), member("outside", tarfile.LNKTYPE, "a/secret")],
    ],
    ids=["parent", "hidden parent", "through a link", "through the root", "hard link", "hard link through a link"],
)
def test_what_leads_outside_is_refused(unpacked: Unpacked, tmp_path: Path, members: list[tarfile.TarInfo]) -> None:
    (tmp_path / "secret").write_text("of this machine")
    with pytest.raises(ImageError, match="outside"):
        unpacked(*members)
    assert not (tmp_path / "outside").exists()
    assert not (tmp_path / "tree/outside").exists()


def test_an_absolute_name_lands_inside(unpacked: Unpacked) -> None:
    assert (unpacked(member("/etc/motd")) / "etc/motd").read_bytes() == b"data"


def test_devices_and_pipes_are_left_out(unpacked: Unpacked) -> None:
    tree = unpacked(member("sda", tarfile.BLKTYPE), member("null", tarfile.CHRTYPE), member("pipe", tarfile.FIFOTYPE))
    assert list(tree.iterdir()) == []


def test_setuid_bits_are_dropped(unpacked: Unpacked) -> None:
    tree = unpacked(member("su", mode=0o6755))
    assert not (tree / "su").stat().st_mode & (stat.S_ISUID | stat.S_ISGID)
