"""Which engine a container has: the host's, or the one it was made with, for its life."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest

from bathysphere.containers.containers import Containers
from bathysphere.containers.host import Command as ContainerCommand
from bathysphere.containers.host import HostUnavailable, SandboxFailed
from bathysphere.containers.recording import Actor
from bathysphere.host.engine_choice import Engines
from bathysphere.host.engines.base import EngineError
from bathysphere.host.engines.bubblewrap import Bubblewrap
from bathysphere.host.engines.gvisor import Gvisor
from bathysphere.host.engines.gvisor_release import Release
from bathysphere.settings import Settings
from bathysphere.store import workspaces
from bathysphere.store.blobs_local import LocalBlobs
from bathysphere.store.database import Database

from .conftest import ROOT, Container, MakeHost, groups_left, processes_of, wait_for_end
from .test_placing import daemon_of

KERNEL = "uname -v"
GVISOR = "#1 SMP Sun Jan 10 15:06:54 PST 2016\n"
"""What gVisor says of every kernel of its own."""


async def kernel(container: Container) -> str:
    return (await container.bash(KERNEL)).stdout


async def test_a_container_keeps_the_engine_it_was_made_with(make_host: MakeHost) -> None:
    host = make_host()
    if not ROOT:
        with pytest.raises(SandboxFailed, match="needs root"):
            await host.create("guarded", "gvisor")
        return
    await host.create("guarded", "gvisor")
    await host.create("plain")
    assert await kernel(Container(host, "guarded")) == GVISOR
    assert await kernel(Container(host, "plain")) != GVISOR
    await host.create("guarded", "bubblewrap")  # it exists
    await host.close(stop_host=True)
    other = make_host(sandbox={"open_files": 100})
    assert await kernel(Container(other, "guarded")) == GVISOR
    await other.delete("guarded")
    await other.create("guarded")
    assert await kernel(Container(other, "guarded")) != GVISOR


async def test_the_engine_of_the_host(make_host: MakeHost) -> None:
    host = make_host(host={"engine": "gvisor"})
    if not ROOT:
        with pytest.raises(HostUnavailable, match="needs root"):
            await host.start()
        return
    await host.create("one")
    assert await kernel(Container(host, "one")) == GVISOR
    await host.create("two", "bubblewrap")
    assert await kernel(Container(host, "two")) != GVISOR
    status = await host.status()
    assert status.engine == "gvisor"
    assert status.guarantees["own kernel"] is True
    assert not any("share the kernel" in weakness for weakness in status.weaknesses)


async def test_an_engine_that_nobody_has(make_host: MakeHost) -> None:
    host = make_host()
    with pytest.raises(SandboxFailed, match="no engine of this host"):
        await host.create("one", "chroot")


async def test_a_killed_daemon_takes_gvisor_along(make_host: MakeHost, tmp_path: Path) -> None:
    if not ROOT:
        return
    host = make_host(host={"engine": "gvisor"})
    await host.create("one")
    container = Container(host, "one")
    await container.bash("echo kept > kept.txt; setsid sleep 100 > /dev/null 2>&1 &")
    daemon = daemon_of(tmp_path / "data")
    assert processes_of(tmp_path / "data")
    os.kill(daemon, signal.SIGKILL)
    await asyncio.to_thread(wait_for_end, tmp_path / "data")
    assert (await container.bash("cat kept.txt; pgrep -cx sleep")).stdout == "kept\n0\n"
    await host.close(stop_host=True)
    await asyncio.to_thread(wait_for_end, tmp_path / "data")
    assert processes_of(tmp_path / "data") == []
    assert groups_left(tmp_path / "data") == []


def test_what_a_killed_daemon_left_is_forgotten(tmp_path: Path) -> None:
    class Other(Bubblewrap):
        name = "other"

    engines = Engines({"other": Other()}, "other", tmp_path)
    for name in ("lives", "dead"):
        engines.choose(name, None)
    (tmp_path / ".half").write_text("gvis")
    engines.sweep(lambda name: name == "lives")
    assert [file.name for file in tmp_path.iterdir()] == ["lives"]


def test_a_record_that_makes_no_sense_starts_nothing(tmp_path: Path) -> None:
    engines = Engines({"bubblewrap": Bubblewrap(), "gvisor": Gvisor()}, "bubblewrap", tmp_path)
    (tmp_path / "one").write_text("")
    with pytest.raises(EngineError, match="no engine"):
        engines.of("one")


def runsc(folder: Path, date: str, platforms: str) -> Path:
    """A stand-in that says what that release would say."""
    folder.mkdir()
    program = folder / "runsc"
    program.write_text(
        "#!/bin/sh\nif [ $1 = flags ]; then printf '%s\\n' '  -rootless' '  -ignore-cgroups' '  -network value' "
        "'  -root string' '  -overlay2 value' '  -platform string' "
        f"'    \tspecifies which platform to use: {platforms}'; "
        f"else echo 'runsc version release-{date}.0'; fi\n"
    )
    program.chmod(0o755)
    return program


def test_the_newest_runsc_is_taken(tmp_path: Path) -> None:
    runsc(tmp_path / "old", "20221219", "ptrace (default), kvm.")
    new = runsc(tmp_path / "new", "20250407", "systrap (default), ptrace, kvm.")
    (tmp_path / "none").mkdir()
    release = Release.newest(tuple(str(tmp_path / name) for name in ("none", "old", "new")))
    assert (release.program, release.date, release.platform) == (new, "20250407", "systrap")
    assert "--overlay2=none" in release.options() and "--platform=systrap" in release.options()
    assert not release.refuses_automount_flag
    old = Release.newest((str(tmp_path / "old"),))
    assert old.platform == "ptrace" and old.refuses_automount_flag


def test_no_runsc_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="apt install runsc"):
        Release.newest((str(tmp_path),))


async def test_a_workspace_has_its_own_engine(make_host: MakeHost, tmp_path: Path) -> None:
    if not ROOT:
        return
    host = make_host()
    database = await Database.open(tmp_path / "data")
    blobs = LocalBlobs(tmp_path / "blobs", reserve_bytes=0)
    containers = Containers(database, blobs, host, Settings())
    try:
        guarded, plain = [await workspaces.named(database, name) for name in ("strangers", "lab")]
        assert await workspaces.set_engine(database, "strangers", "gvisor")
        made = await containers.create(Actor(guarded.id))
        assert (await made.run(ContainerCommand("bash", KERNEL, 30))).stdout == GVISOR
        made = await containers.create(Actor(plain.id))
        assert (await made.run(ContainerCommand("bash", KERNEL, 30))).stdout != GVISOR
    finally:
        await database.close()
