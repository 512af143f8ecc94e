"""Disks through crashes and damage: nothing that was finished is lost, nothing half-made is left."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bathysphere.containers.host import HostError, SandboxFailed
from bathysphere.containers.local import LocalHost
from bathysphere.host.processes import parent_of

from .conftest import ROOT, Container, MakeHost, processes_of, wait_for_end
from .test_placing import daemon_of

MIB = 1024 * 1024


def loops_of(data: Path) -> list[str]:
    """Loop devices over files of a data directory."""
    found = []
    for backing in Path("/sys/block").glob("loop*/loop/backing_file"):
        with contextlib.suppress(OSError):
            if str(data) in backing.read_text():
                found.append(backing.parent.parent.name)
    return found


async def nothing_left_of(data: Path) -> None:
    """Wait for the end of a daemon and of what it held; a leak would wait for ever."""
    await asyncio.to_thread(wait_for_end, data)
    while processes_of(data) or loops_of(data):
        await asyncio.sleep(0.01)
    assert str(data) not in Path("/proc/self/mountinfo").read_text()


def worker_of(daemon: int) -> int:
    """The daemon's process for disks."""
    children = Path(f"/proc/{daemon}/task/{daemon}/children").read_text().split()
    (worker,) = (child for child in children if "bwrap" not in Path(f"/proc/{child}/comm").read_text())
    return int(worker)


def group_leader(process: int) -> int:
    """The process, or the daemon that made it."""
    parent = parent_of(process)
    return parent if parent not in (None, 1) else process


async def test_at_rest_a_container_holds_nothing(make_host: MakeHost, tmp_path: Path) -> None:
    host = make_host(host={"idle_seconds": 0.2})
    for name in ("one", "two", "three"):
        await host.create(name)
        await Container(host, name).bash("(sleep 100) > /dev/null 2>&1 &")
    while loops_of(tmp_path / "data") or (await host.status()).sandboxes:
        await asyncio.sleep(0.05)
    daemon = daemon_of(tmp_path / "data")
    mounts = Path(f"/proc/{daemon}/mountinfo").read_text()
    assert "/disk " not in mounts
    assert {one.state for one in await host.list()} == {"suspended"}
    assert (await Container(host, "two").bash("echo works")).stdout == "works\n"


async def test_the_daemon_is_killed_at_any_step(make_host: MakeHost, tmp_path: Path) -> None:
    """Clients write, fork, make and delete; what they were told is there afterwards, whole, and nothing else."""
    data = tmp_path / "data"
    seed = random.SystemRandom().randrange(1 << 32)
    print("seed", seed)
    choose = random.Random(seed)
    host = make_host()
    told: dict[str, int] = {}
    unsure: set[str] = set()
    for name in ("a", "b", "c"):
        await host.create(name)
        told[name] = 0

    async def work(name: str) -> None:
        number = told[name]
        while True:
            number += 1
            text = f"{number} " * 5000
            await Container(host, name).bash(f"printf '{number} %.0s' $(seq 5000) > f; echo {number} > g")
            assert len(text) > 9999
            told[name] = number
            if choose.random() < 0.3:
                copy = f"{name}-{number}"
                unsure.add(copy)
                await host.fork(name, copy)
                told[copy] = number
                unsure.discard(copy)
            if choose.random() < 0.3:
                unsure.add(f"new-{name}-{number}")
                await host.create(f"new-{name}-{number}")
                await host.delete(f"new-{name}-{number}")
                unsure.discard(f"new-{name}-{number}")

    for _round in range(4):
        at_work = [asyncio.create_task(work(name)) for name in ("a", "b", "c")]
        await asyncio.sleep(0.2 + choose.random())
        daemon = daemon_of(data)
        # A client between two calls would start a daemon anew and go on; so none is left to.
        for task in at_work:
            task.cancel()
        os.kill(daemon, signal.SIGKILL)
        for ended in await asyncio.gather(*at_work, return_exceptions=True):
            assert isinstance(ended, HostError | asyncio.CancelledError), (seed, ended)
        await asyncio.to_thread(wait_for_end, data)
        # A new daemon clears away what the old one's death left, whatever that one was just starting.
        listed = {one.id for one in await host.list()}
        daemon = daemon_of(data)
        while loops_of(data) or {group_leader(process) for process in processes_of(data)} - {daemon}:
            await asyncio.sleep(0.01)
        assert set(told) <= listed <= set(told) | unsure, seed
        for name, number in told.items():
            if number:
                written, mark = [(await Container(host, name).bash(f"cat {file}")).stdout for file in "fg"]
                *words, last = written.split() or [""]
                # The call that was cut off may have been carried out in part or not at all; the finished one was. What
                # was cut off may end in the middle of a number.
                either = (str(number), str(number + 1))
                assert int(mark) in (number, number + 1), (seed, name)
                assert set(words) <= set(either), (seed, name)
                assert any(one.startswith(last) for one in either), (seed, name)
                assert len(words) == 4999 or int(mark) == number, (seed, name)
        for name in ("a", "b", "c"):
            told[name] += 1
            await Container(host, name).bash(f"printf '{told[name]} %.0s' $(seq 5000) > f; echo {told[name]} > g")
        for name in listed - set(told):
            await host.delete(name)
        unsure.clear()
        removed = data / "host" / "disks-removed"
        while any(removed.iterdir()):
            await asyncio.sleep(0.01)
    await host.close(stop_host=True)
    await nothing_left_of(data)


async def test_half_made_disks_are_cleared_away(make_host: MakeHost, tmp_path: Path) -> None:
    host = make_host()
    await host.create("one")
    await host.close(stop_host=True)
    removed = tmp_path / "data" / "host" / "disks-removed"
    (removed / "two.0123456789abcdef").write_bytes(b"half a disk")
    (removed / "three.0123456789abcdef" / "home").mkdir(parents=True)
    assert [one.id for one in await host.list()] == ["one"]
    while any(removed.iterdir()):
        await asyncio.sleep(0.01)


if ROOT:

    @pytest.fixture
    async def host(make_host: MakeHost) -> LocalHost:
        return make_host(sandbox={"disk_bytes": 64 * MIB})

    @pytest.fixture
    def disk(tmp_path: Path) -> Path:
        """Where the disk of container ``one`` is."""
        return tmp_path / "data" / "host" / "disks" / "one"

    async def test_the_process_for_disks_is_killed(host: LocalHost, tmp_path: Path) -> None:
        await host.create("one")
        await Container(host, "one").bash("echo kept > f")
        for _ in range(2):
            worker = worker_of(daemon_of(tmp_path / "data"))
            os.kill(worker, signal.SIGKILL)
            while Path(f"/proc/{worker}").exists() and "State:\tZ" not in Path(f"/proc/{worker}/status").read_text():
                await asyncio.sleep(0.01)
            assert (await Container(host, "one").bash("cat f")).stdout == "kept\n"
        await host.create("two")
        await host.close(stop_host=True)
        await nothing_left_of(tmp_path / "data")

    async def test_it_is_killed_while_it_works_and_nothing_waits_for_it(host: LocalHost, tmp_path: Path) -> None:
        """Each call is done or refused, whatever it had begun: a mount, a user namespace, the end of a mount."""
        await host.create("one")
        names = [f"c{number}" for number in range(12)]
        ended = asyncio.Event()

        async def kill() -> None:
            while not ended.is_set():
                with contextlib.suppress(ValueError, OSError):
                    os.kill(worker_of(daemon_of(tmp_path / "data")), signal.SIGKILL)
                await asyncio.sleep(0.05)

        async def live(name: str) -> None:
            for _ in range(3):
                with contextlib.suppress(HostError):
                    await host.create(name)
                    await Container(host, name).bash("echo kept > f")
                    await host.fork(name, f"{name}-copy")
                with contextlib.suppress(HostError):
                    await host.delete(f"{name}-copy")

        killing = asyncio.create_task(kill())
        async with asyncio.timeout(120):
            await asyncio.gather(*(live(name) for name in names))
        ended.set()
        await killing
        for name in names:
            await host.create(name)
            assert (await Container(host, name).bash("echo kept > f; cat f")).stdout == "kept\n"
            await host.delete(name)
        await host.close(stop_host=True)
        await nothing_left_of(tmp_path / "data")

    async def test_an_upload_is_on_the_disk_when_it_is_answered(host: LocalHost, disk: Path, tmp_path: Path) -> None:
        async def content() -> AsyncIterator[bytes]:
            yield b"kept" * MIB

        await host.create("one")
        await Container(host, "one").bash("true")
        await host.write_path("one", "/home/user/sent", content())
        taken = tmp_path / "taken"
        subprocess.run(["dd", f"if={disk}", f"of={taken}", "bs=1M", "iflag=direct", "status=none"], check=True)
        await host.close(stop_host=True)
        shutil.copyfile(taken, disk)
        seen = await Container(host, "one").bash("md5sum < sent; yes kept | tr -d '\\n' | head -c 4M | md5sum")
        mine, right = seen.stdout.split("\n")[:2]
        assert mine == right

    async def test_what_a_call_wrote_is_on_the_disk_when_it_is_answered(
        host: LocalHost, disk: Path, tmp_path: Path
    ) -> None:
        """A copy of the file as the machine's disk has it at that moment, as after a loss of power: no cache helps."""
        await host.create("one")
        await Container(host, "one").bash("for n in $(seq 200); do echo $n > $n; done; head -c 3M /dev/zero > large")
        taken = tmp_path / "taken"
        subprocess.run(["dd", f"if={disk}", f"of={taken}", "bs=1M", "iflag=direct", "status=none"], check=True)
        await host.close(stop_host=True)
        shutil.copyfile(taken, disk)
        seen = await Container(host, "one").bash("cat $(seq 200) | md5sum; seq 200 | md5sum; stat -c %s large")
        written, expected, size = seen.stdout.splitlines()
        assert written == expected
        assert size == str(3 * MIB)

    @pytest.mark.parametrize("damage", ["superblock", "shortened", "emptied", "link"])
    async def test_a_disk_that_cannot_be_mounted_is_told_and_kept(
        host: LocalHost, disk: Path, damage: str, tmp_path: Path
    ) -> None:
        for name in ("one", "two"):
            await host.create(name)
            await Container(host, name).bash("echo kept > f")
        await host.close(stop_host=True)
        good = tmp_path / "good"
        shutil.copy2(disk, good)
        if damage == "superblock":
            with disk.open("r+b") as file:
                file.write(b"\xff" * 4 * MIB)
        elif damage == "shortened":
            os.truncate(disk, MIB)
        elif damage == "emptied":
            os.truncate(disk, 0)
        else:
            disk.unlink()
            disk.symlink_to(good)
        with pytest.raises(HostError, match=r"cannot be attached|There is no container"):
            await Container(host, "one").bash("cat f")
        listed = {one.id: one.state for one in await host.list()}
        assert listed.get("one") == (None if damage == "link" else "broken")
        assert (await Container(host, "two").bash("cat f")).stdout == "kept\n"
        # Once its file is mended the container works again.
        disk.unlink()
        shutil.copy2(good, disk)
        assert (await Container(host, "one").bash("cat f")).stdout == "kept\n"
        assert {one.state for one in await host.list()} == {"idle"}

    async def test_small_damage_is_mended(host: LocalHost, disk: Path) -> None:
        """A superblock that is gone has copies, from which a check restores it."""
        await host.create("one")
        await Container(host, "one").bash("echo kept > f")
        await host.close(stop_host=True)
        subprocess.run(["debugfs", "-w", "-R", "set_super_value free_blocks_count 1", str(disk)], check=True)
        assert (await Container(host, "one").bash("cat f; echo x > g; cat g")).stdout == "kept\nx\n"

    async def test_without_loop_devices_nothing_starts_and_the_mend_is_told(image: Path, tmp_path: Path) -> None:
        program = (
            "import asyncio, sys\n"
            "from pathlib import Path\n"
            "from bathysphere.containers.local import LocalHost\n"
            "from bathysphere.settings import Settings\n"
            "asyncio.run(LocalHost(Path(sys.argv[1]), Settings(), Path(sys.argv[2])).start())\n"
        )
        hidden = 'mount --bind /dev/null /dev/loop-control && exec "$@"'
        python = [sys.executable, "-c", program, str(tmp_path / "data"), str(image)]
        tried = await asyncio.to_thread(
            subprocess.run, ["unshare", "-m", "sh", "-c", hidden, "sh", *python], capture_output=True, text=True
        )
        assert "nothing would limit their disks" in tried.stderr
        assert "modprobe loop" in tried.stderr
        assert list((tmp_path / "data" / "host" / "disks").iterdir()) == []

    async def test_a_file_that_is_in_use_is_not_mounted_twice(host: LocalHost, disk: Path) -> None:
        await host.create("one")
        held = await asyncio.create_subprocess_exec("flock", "--nonblock", str(disk), "true")
        assert await held.wait() == 1, "a running container has it"
        with pytest.raises(SandboxFailed, match="already"):
            await host.fork("one", "one")

    async def test_disks_of_an_earlier_version_stay_folders(host: LocalHost, disk: Path, tmp_path: Path) -> None:
        await host.create("two")
        await host.close(stop_host=True)
        uid = 1_879_048_192 + 40_000
        for place, mode in (("home", 0o755), ("tmp", 0o1777), ("files/input", 0o755), ("files/output", 0o755)):
            (disk / place).mkdir(parents=True)
            (disk / place).chmod(mode)
        (disk / "home" / "old.txt").write_text("old\n")
        subprocess.run(["chown", "-R", f"{uid}:{uid}", str(disk)], check=True)
        os.chown(disk, 0, uid)
        disk.chmod(0o710)
        old = Container(host, "one")
        assert (await old.bash("cat old.txt; echo new > new.txt; stat -c %U new.txt")).stdout == "old\nuser\n"
        assert (disk / "home" / "new.txt").stat().st_uid == uid
        await host.fork("one", "three")
        await host.delete("one")
        assert (await Container(host, "three").bash("cat old.txt new.txt")).stdout == "old\nnew\n"
        assert [one.id for one in await host.list()] == ["three", "two"]
        assert json.dumps([one.state for one in await host.list()]) == '["idle", "suspended"]'
