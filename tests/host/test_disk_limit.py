"""A disk's limit is hard, is told, and hurts nobody else."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bathysphere.containers.host import Command, DiskFull, EditorCommand
from bathysphere.containers.local import LocalHost

from .conftest import ROOT, Container, MakeHost

MIB = 1024 * 1024
LIMIT = 128 * MIB
NOTE = "The disk limit of 128 MiB was reached."


@pytest.fixture
async def host(make_host: MakeHost) -> LocalHost:
    """A host whose containers have small disks."""
    return make_host(sandbox={"disk_bytes": LIMIT})


async def test_whether_there_is_a_limit_is_told(host: LocalHost) -> None:
    status = await host.status()
    assert status.guarantees["disk limit"] is ROOT
    assert any("no limit of its own" in weakness for weakness in status.weaknesses) is not ROOT


if ROOT:

    @pytest.mark.parametrize("place", ["~", "/tmp", "/files"])
    async def test_a_full_disk_refuses_and_says_so(host: LocalHost, place: str) -> None:
        await host.create("one")
        await host.create("two")
        container = Container(host, "one")
        seen = await container.bash(f"head -c 500M /dev/zero > {place}/full; echo $?")
        assert seen.stdout == "1\n"
        assert "No space left on device" in seen.stderr
        assert seen.finished.notes == (NOTE,)
        size = int((await container.bash(f"stat -c %s {place}/full")).stdout)
        assert 0.8 * LIMIT < size < LIMIT
        (one, two) = await host.list()
        assert (one.full, two.full) == (True, False)
        assert one.disk_bytes is not None and size < one.disk_bytes <= LIMIT
        # A neighbour has all of its own.
        assert (await Container(host, "two").bash("head -c 90M /dev/zero > f; echo $?")).stdout == "0\n"
        made_room = await container.bash(f"rm {place}/full; echo works > f; cat f")
        assert made_room.stdout == "works\n"
        assert NOTE not in made_room.finished.notes
        assert not (await host.list())[0].full

    async def test_too_many_files_are_a_full_disk_too(host: LocalHost) -> None:
        await host.create("one")
        seen = await Container(host, "one").python(
            "import os\n"
            "os.makedirs('many')\n"
            "try:\n"
            "    for number in range(10**6): os.mknod(f'many/{number}')\n"
            "except OSError as error: print(error.strerror)\n"
        )
        assert seen.stdout == "No space left on device\n"
        assert seen.finished.notes == (NOTE,)

    async def test_what_is_placed_or_edited_on_a_full_disk(host: LocalHost) -> None:
        await host.create("one")
        container = Container(host, "one")
        await container.bash("head -c 500M /dev/zero > full")
        with pytest.raises(DiskFull):
            await container.place("data.bin", b"x" * 5 * MIB)
        with pytest.raises(DiskFull):
            await host.edit("one", EditorCommand(command="create", path="f", file_text="x" * MIB))
        assert (await container.bash("ls -A $INPUT_DIR; ls f 2>&1 | wc -l; rm full")).stdout == "1\n"
        await container.place("data.bin", b"x" * 5 * MIB)

    async def test_it_is_full_still_after_a_rest_and_can_be_opened(host: LocalHost) -> None:
        await host.create("one")
        await Container(host, "one").bash("head -c 500M /dev/zero > full")
        await host.close(stop_host=True)
        (one,) = await host.list()
        assert (one.state, one.full) == ("suspended", True)
        assert (await Container(host, "one").bash("rm full; echo room > f; cat f")).stdout == "room\n"

    async def test_what_was_freed_is_given_back_to_the_host(host: LocalHost, tmp_path: Path) -> None:
        await host.create("one")
        file = tmp_path / "data" / "host" / "disks" / "one"
        await Container(host, "one").bash("head -c 80M /dev/urandom > f; sync f; rm f")
        assert file.stat().st_blocks * 512 > 50 * MIB
        await host.close(stop_host=True)
        assert file.stat().st_blocks * 512 < 10 * MIB

    async def test_an_untouched_container_takes_less_than_a_mebibyte(make_host: MakeHost, tmp_path: Path) -> None:
        host = make_host()
        await host.create("one")
        await host.close(stop_host=True)
        file = tmp_path / "data" / "host" / "disks" / "one"
        assert file.stat().st_size == 5 * 1024 * MIB
        assert file.stat().st_blocks * 512 <= MIB

    async def test_neither_owners_nor_devices_nor_foreign_users_come_in(host: LocalHost) -> None:
        await host.create("one")
        seen = await Container(host, "one").bash(
            "cp /bin/true t; chmod 6755 t; chown 0 t; chgrp 5 t; mknod d b 7 0; mknod c c 1 3; stat -c '%u %g %a' t; "
            "mount | grep -c 'on /home/user .*nosuid.*nodev'"
        )
        assert seen.stdout == "1000 1000 6755\n1\n"
        assert seen.stderr.count("Operation not permitted") + seen.stderr.count("Invalid argument") == 4

else:

    async def test_without_root_everything_works_and_usage_is_not_known(host: LocalHost) -> None:
        await host.create("one")
        await Container(host, "one").bash("head -c 1M /dev/zero > f")
        (one,) = await host.list()
        assert (one.state, one.full, one.disk_bytes) == ("idle", False, None)
        assert os.geteuid() != 0


async def test_states(host: LocalHost) -> None:
    for name in ("at-work", "idle", "resting"):
        await host.create(name)
    await host.close(stop_host=True)
    await Container(host, "idle").bash("true")
    stream = host.execute("at-work", Command("bash", "echo x; sleep 100", 200))
    await anext(stream)
    listed = {one.id: one.state for one in await host.list()}
    assert listed == {"at-work": "busy", "idle": "idle", "resting": "suspended"}
    assert all(one.age_seconds >= 0 for one in await host.list())
    await stream.aclose()
