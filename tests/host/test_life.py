"""The daemon and its sandboxes: found, adopted, put to rest, killed, and never in each other's way."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest

from bathysphere.containers.host import Command, HostUnavailable, SandboxFailed, TooManySandboxes, UnknownContainer
from bathysphere.containers.local import LocalHost
from bathysphere.settings import Settings
from bathysphere.telemetry import tracing
from bathysphere.wire.ids import new_request_id

from .conftest import ROOT, Container, MakeHost, groups_left, processes_of, wait_for_end
from .test_placing import daemon_of, guest_of


async def test_status(make_host: MakeHost, image: Path) -> None:
    host = make_host()
    await host.create("one")
    status = await host.status()
    assert status.engine == "bubblewrap"
    assert status.image == str(image)
    assert status.privileged == ROOT
    assert status.sandboxes == 1
    assert status.guarantees["network"] is True
    assert status.guarantees["own user id"] == status.guarantees["memory limit"] == ROOT
    assert status.guarantees["own kernel"] is False
    assert status.weaknesses


async def test_a_second_server_adopts_the_daemon(make_host: MakeHost) -> None:
    first, second = make_host(), make_host()
    await first.create("one")
    await Container(first, "one").bash("(sleep 100) > /dev/null 2>&1 &")
    await first.close()
    assert (await Container(second, "one").bash("pgrep -cx sleep")).stdout == "1\n"


async def test_other_settings_restart_it(make_host: MakeHost, tmp_path: Path) -> None:
    first = make_host()
    await first.create("one")
    await Container(first, "one").bash("echo kept > kept.txt")
    process = daemon_of(tmp_path / "data")
    second = make_host(sandbox={"open_files": 100})
    with pytest.raises(HostUnavailable, match="Another server uses"):
        await second.start()
    await first.close()
    seen = await Container(second, "one").bash("ulimit -n; cat kept.txt")
    assert seen.stdout == "100\nkept\n"
    assert daemon_of(tmp_path / "data") != process


async def test_it_ends_itself_when_no_server_is_left(make_host: MakeHost, tmp_path: Path) -> None:
    host = make_host(host={"linger_seconds": 0.2})
    await host.create("one")
    await Container(host, "one").bash("echo kept > kept.txt; (sleep 100) > /dev/null 2>&1 &")
    await asyncio.sleep(1)
    daemon = daemon_of(tmp_path / "data")
    assert daemon, "a server is present, so it stays"
    await host.close()
    await asyncio.to_thread(wait_for_end, tmp_path / "data")
    assert groups_left(tmp_path / "data") == []
    assert processes_of(tmp_path / "data") == []
    assert (await Container(host, "one").bash("cat kept.txt")).stdout == "kept\n"


async def test_stopping_it_leaves_disks_and_nothing_else(make_host: MakeHost, tmp_path: Path) -> None:
    host = make_host()
    await host.create("one")
    mounts = Path("/proc/self/mountinfo").read_text()
    await Container(host, "one").bash("echo kept > kept.txt; (sleep 100) > /dev/null 2>&1 &")
    await host.close(stop_host=True)
    await asyncio.to_thread(wait_for_end, tmp_path / "data")
    assert groups_left(tmp_path / "data") == []
    assert processes_of(tmp_path / "data") == []
    assert Path("/proc/self/mountinfo").read_text() == mounts
    assert not (tmp_path / "data" / "host" / "host.sock").exists()
    assert (await Container(host, "one").bash("cat kept.txt")).stdout == "kept\n"


async def test_the_daemon_is_killed(make_host: MakeHost, tmp_path: Path) -> None:
    host = make_host()
    await host.create("one")
    container = Container(host, "one")
    await container.bash("echo kept > kept.txt; setsid sleep 100 > /dev/null 2>&1 &")
    guest = guest_of(daemon_of(tmp_path / "data"))
    running = asyncio.create_task(container.bash("sleep 100"))
    while (await asyncio.to_thread(Path(f"/proc/{guest}/task/{guest}/children").read_text)).count(" ") < 2:
        await asyncio.sleep(0.01)
    os.kill(daemon_of(tmp_path / "data"), signal.SIGKILL)
    with pytest.raises(HostUnavailable):
        await running
    await asyncio.to_thread(wait_for_end, tmp_path / "data")
    # The next call starts a new daemon, which finds nothing left of the old one's sandboxes.
    assert (await container.bash("cat kept.txt; pgrep -cx sleep")).stdout == "kept\n0\n"
    while Path(f"/proc/{guest}").exists():
        await asyncio.sleep(0.01)  # ended; its parent, which is not ours, has yet to take leave of it
    if ROOT:
        assert {group.parent for group in groups_left(tmp_path / "data")}


@pytest.mark.parametrize("whom", ["guest", "bubblewrap"])
async def test_a_sandbox_is_killed_in_a_call(make_host: MakeHost, tmp_path: Path, whom: str) -> None:
    host = make_host()
    await host.create("one")
    await host.create("two")
    await host.delete("two")
    container = Container(host, "one")
    await container.bash("echo kept > kept.txt")
    guest = guest_of(daemon_of(tmp_path / "data"))
    running = asyncio.create_task(container.bash("sleep 100"))
    while not (await asyncio.to_thread(Path(f"/proc/{guest}/task/{guest}/children").read_text)).split():
        await asyncio.sleep(0.01)
    parent = int(Path(f"/proc/{guest}/stat").read_text().rpartition(")")[2].split()[1])
    os.kill(guest if whom == "guest" else parent, signal.SIGKILL)
    with pytest.raises(SandboxFailed, match="ended"):
        await running
    assert (await container.bash("cat kept.txt; pgrep -cx sleep")).stdout == "kept\n0\n"


async def test_calls_that_fail_leave_one_line_in_the_log(make_host: MakeHost, tmp_path: Path) -> None:
    """It names the server's request that the call was a part of."""
    host = make_host()
    await host.create("one")
    requests = [new_request_id() for _ in range(3)]
    for request in requests:
        tracing.enter_request(request)
        running = asyncio.create_task(Container(host, "one").bash("sleep 100"))
        guest = guest_of(daemon_of(tmp_path / "data"))
        while not (await asyncio.to_thread(Path(f"/proc/{guest}/task/{guest}/children").read_text)).split():
            await asyncio.sleep(0.01)
        os.kill(guest, signal.SIGKILL)
        with pytest.raises(SandboxFailed):
            await running
        await Container(host, "one").bash("true")
    lines = (tmp_path / "data" / "host" / "host.log").read_text().splitlines()
    ended = [line for line in lines if "one: ended" in line]
    assert [line.rpartition(" ")[2] for line in ended] == [f"[{request}]" for request in requests]
    assert len(lines) < 8, lines


async def test_a_sandbox_is_killed_between_calls(make_host: MakeHost, tmp_path: Path) -> None:
    host = make_host()
    await host.create("one")
    guest = guest_of(daemon_of(tmp_path / "data"))
    os.kill(guest, signal.SIGKILL)
    while Path(f"/proc/{guest}").exists():
        await asyncio.sleep(0.01)
    assert (await Container(host, "one").bash("echo again")).stdout == "again\n"


async def test_idle_sandboxes_rest(make_host: MakeHost) -> None:
    host = make_host(host={"idle_seconds": 0.3})
    await host.create("one")
    container = Container(host, "one")
    await container.bash("echo kept > /tmp/kept.txt; (sleep 100) > /dev/null 2>&1 &")
    while (await host.status()).sandboxes:
        await asyncio.sleep(0.05)
    assert (await container.bash("cat /tmp/kept.txt; pgrep -cx sleep")).stdout == "kept\n0\n"


async def test_no_more_sandboxes_than_allowed(make_host: MakeHost) -> None:
    host = make_host(host={"max_sandboxes": 2})
    for name in ("one", "two", "three"):
        await host.create(name)
        assert (await host.status()).sandboxes <= 2
    busy = [host.execute(name, Command("bash", "echo at work; sleep 100", 200)) for name in ("one", "two")]
    for stream in busy:
        await anext(stream)
    with pytest.raises(TooManySandboxes, match="All 2 sandboxes"):
        await Container(host, "three").bash("true")
    with pytest.raises(TooManySandboxes):
        await host.create("four")
    await host.delete("one")
    assert (await Container(host, "three").bash("echo room")).stdout == "room\n"
    for stream in busy:
        await stream.aclose()


async def test_deleting_ends_a_running_call(make_host: MakeHost, tmp_path: Path) -> None:
    host = make_host()
    await host.create("one")
    stream = host.execute("one", Command("bash", "echo x; sleep 100", 200))
    await anext(stream)
    await host.delete("one")
    with pytest.raises(UnknownContainer):
        await anext(stream)
    assert list((tmp_path / "data" / "host" / "disks").iterdir()) == []
    await host.delete("one")


async def test_a_tree_that_is_hard_to_delete(make_host: MakeHost, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").touch()
    host = make_host()
    await host.create("one")
    await Container(host, "one").python(
        "import os\n"
        "os.symlink('/', '/home/user/root')\n"
        f"os.symlink({str(outside)!r}, '/home/user/outside')\n"
        "for _ in range(5000):\n"
        "    os.mkdir('d'); os.chdir('d')\n"
        "open('bottom', 'w').close()\n"
        "os.mkdir('/tmp/locked'); open('/tmp/locked/x', 'w').close(); os.chmod('/tmp/locked', 0)\n"
    )
    await host.delete("one")
    assert list((tmp_path / "data" / "host" / "disks").iterdir()) == []
    assert list((tmp_path / "data" / "host" / "disks-removed").iterdir()) == []
    assert (outside / "precious").exists()


async def test_files_belong_to_the_same_user_for_the_container_whatever_its_user_on_the_host(
    make_host: MakeHost,
) -> None:
    host = make_host()
    owners = "stat -c '%U %G' ~ ~/kept.txt /tmp /files/input"
    for name in ("one", "two"):
        await host.create(name)
        await Container(host, name).bash(f"echo {name} > kept.txt")
    await host.close(stop_host=True)
    await host.create("three")
    for name in ("two", "one"):
        seen = await Container(host, name).bash(f"{owners}; cat kept.txt; echo again > kept.txt")
        assert seen.stdout == "user user\n" * 4 + f"{name}\n"
        assert seen.stderr == ""


async def test_an_image_that_is_not_there(tmp_path: Path) -> None:
    host = LocalHost(tmp_path, Settings(), tmp_path / "nowhere")
    with pytest.raises(HostUnavailable, match="bathysphere image build"):
        await host.start()


async def test_a_very_long_data_path(make_host: MakeHost, tmp_path: Path) -> None:
    host = make_host(tmp_path / ("x" * 120) / ("y" * 120))
    await host.create("one")
    assert (await Container(host, "one").bash("echo hi")).stdout == "hi\n"


async def test_many_at_once(make_host: MakeHost) -> None:
    host = make_host()

    async def live(number: int) -> str:
        await host.create(f"c{number}")
        seen = await Container(host, f"c{number}").bash(f"echo {number} > f; cat f")
        await host.delete(f"c{number}")
        return seen.stdout

    assert await asyncio.gather(*map(live, range(12))) == [f"{number}\n" for number in range(12)]
    assert (await host.status()).sandboxes == 0
