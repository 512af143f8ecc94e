"""Files on their way in and out: byte for byte, whole or not at all, in bounded memory."""

from __future__ import annotations

import hashlib
import os
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from bathysphere.containers.host import Host

from .conftest import Container, MakeHost, Outcome

MIB = 1024 * 1024


async def test_a_small_file(container: Container) -> None:
    await container.place("data.csv", b"a,b\n1,2\n")
    assert (await container.bash("cat $INPUT_DIR/data.csv; ls -A $INPUT_DIR")).stdout == "a,b\n1,2\ndata.csv\n"
    await container.place("data.csv", b"")
    assert (await container.bash("stat -c '%s %U' $INPUT_DIR/data.csv")).stdout == "0 user\n"


@pytest.mark.parametrize("name", ["naïve 名前.txt", "-rf", " ", 'a<b>:|?*\\".csv', "x" * 255])
async def test_names(container: Container, name: str) -> None:
    await container.place(name, b"x")
    seen = await container.python("import os\nprint(ascii(os.listdir('/files/input')))")
    assert seen.stdout == ascii([name]) + "\n"


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "/etc/passwd", "a\0b", "a\nb", "\x1b[2J", "x" * 256, "\ud800"])
async def test_names_that_no_file_may_have(container: Container, name: str) -> None:
    with pytest.raises(ValueError, match="name"):
        await container.place(name, b"x")
    assert (await container.bash("ls -A $INPUT_DIR")).stdout == ""


async def test_other_lengths_than_announced(container: Container) -> None:
    async def content() -> AsyncGenerator[bytes, None]:
        yield b"12345"

    for announced in (4, 6):
        with pytest.raises(ValueError, match="than announced"):
            await container.host.place(container.name, "f", announced, content())
    assert (await container.bash("ls -A $INPUT_DIR")).stdout == ""


async def test_a_source_that_breaks_off_leaves_nothing(container: Container) -> None:
    async def content() -> AsyncGenerator[bytes, None]:
        yield b"x" * MIB
        raise RuntimeError("the upload broke off")

    await container.place("f", b"old")
    with pytest.raises(RuntimeError, match="broke off"):
        await container.host.place(container.name, "f", 5 * MIB, content())
    assert (await container.bash("cat $INPUT_DIR/f; ls -A $INPUT_DIR")).stdout == "oldf\n"


async def test_a_link_in_the_way_is_replaced_not_followed(container: Container) -> None:
    await container.bash("echo precious > /tmp/precious; ln -s /tmp/precious $INPUT_DIR/f")
    await container.place("f", b"new")
    assert (await container.bash("cat /tmp/precious $INPUT_DIR/f")).stdout == "precious\nnew"


def memory_of(process: int) -> int:
    """Resident bytes at most so far."""
    status = Path(f"/proc/{process}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


def daemon_of(data: Path) -> int:
    """The process that holds the lock of a data directory."""
    inode = (data / "host" / "lock").stat().st_ino
    for line in Path("/proc/locks").read_text().splitlines():
        fields = line.split()
        if fields[1] == "FLOCK" and fields[5].endswith(f":{inode}"):
            return int(fields[4])
    raise AssertionError("no daemon holds the lock")


def guest_of(daemon: int) -> int:
    """The process on the host that is process 1 of the daemon's only sandbox."""
    children = Path(f"/proc/{daemon}/task/{daemon}/children").read_text().split()
    (monitor,) = (child for child in children if Path(f"/proc/{child}/comm").read_text() == "bwrap\n")
    (guest,) = Path(f"/proc/{monitor}/task/{monitor}/children").read_text().split()
    return int(guest)


async def test_300_megabytes_in_and_out(make_host: MakeHost, tmp_path: Path) -> None:
    host: Host = make_host()
    size = 300 * MIB
    block = os.urandom(MIB)
    digest = hashlib.sha256()

    async def content() -> AsyncGenerator[bytes, None]:
        for number in range(300):
            chunk = number.to_bytes(8, "big") + block[8:]
            digest.update(chunk)
            yield chunk

    await host.create("large")
    daemon = daemon_of(tmp_path / "data")
    guest = guest_of(daemon)
    before = [memory_of(process) for process in (daemon, guest)]
    await host.place("large", "large.bin", size, content())
    container = Container(host, "large")  # type: ignore[arg-type]
    seen: Outcome = await container.bash("sha256sum < $INPUT_DIR/large.bin; cp $INPUT_DIR/large.bin $OUTPUT_DIR/")
    assert seen.stdout.split()[0] == digest.hexdigest()
    (file,) = seen.finished.files
    assert file.size_bytes == size
    received = hashlib.sha256()
    async for chunk in host.read_output("large", file.handle):
        assert 0 < len(chunk) <= MIB
        received.update(chunk)
    assert received.hexdigest() == digest.hexdigest()
    for process, used in zip((daemon, guest), before, strict=True):
        assert memory_of(process) - used < 30 * MIB
