"""Process 1 of a sandbox is held from the start: its number is never used to end it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.host.conftest import ROOT

_ENGINE = """
import asyncio, os, subprocess, sys
from pathlib import Path
from bathysphere.host.engines import bubblewrap
from bathysphere.host.engines.base import EngineError, SandboxSpec
from bathysphere.host.stage import set_plain
from bathysphere.host.syscalls import become_subreaper

def prepared(image, folder):
    for name in ("home", "tmp", "files"):
        (folder / "disk" / name).mkdir(parents=True)
    stage = set_plain(image, folder, folder)
    become_subreaper()
    engine = bubblewrap.Bubblewrap()
    engine.check()
    return engine, SandboxSpec(
        image=stage.image, guest=stage.guest, disk=folder / "disk", identity=None, group=None, processes=64,
        open_files=256, file_bytes=1 << 30, shared_memory_bytes=1 << 20,
    )
"""

_INHERITED_NUMBER = """
async def main(image, folder):
    engine, spec = prepared(image, folder)
    sandbox = await engine.start(spec)
    [child] = Path(f"/proc/{sandbox._monitor.pid}/task/{sandbox._monitor.pid}/children").read_text().split()
    os.kill(int(child), 9)
    await sandbox.ended()
    Path("/proc/sys/kernel/ns_last_pid").write_text(str(int(child) - 1))
    bystander = subprocess.Popen(["sleep", "60"])
    assert bystander.pid == int(child), (bystander.pid, child)
    await sandbox.kill()
    sandbox.close()
    print("spared" if bystander.poll() is None else "killed")
    bystander.kill()
    bystander.wait()

asyncio.run(main(Path(sys.argv[1]), Path(sys.argv[2])))
"""


_KILLED_AT_ANY_MOMENT = """
import random, time

async def main(image, folder):
    engine, spec = prepared(image, folder)
    choice = random.Random(1)
    launch = bubblewrap.launch

    def launch_and_kill(program):
        pid = launch(program)
        time.sleep(choice.random() * 0.008)
        os.kill(pid, 9)
        return pid

    bubblewrap.launch = launch_and_kill
    for _ in range(80):
        try:
            sandbox = await engine.start(spec)
        except EngineError:
            continue
        await sandbox.kill()
        sandbox.close()
    left = {}
    for _ in range(200):
        left = {
            name: Path("/proc", name, "cmdline").read_bytes().replace(b"\\0", b" ").decode()
            for name in os.listdir("/proc") if name.isdigit() and int(name) != os.getpid()
        }
        left = {name: command for name, command in left.items() if command}
        if not left:
            break
        await asyncio.sleep(0.01)
    print(left or "nothing is left")

asyncio.run(main(Path(sys.argv[1]), Path(sys.argv[2])))
"""


def in_a_process_namespace(program: str, image: Path, folder: Path) -> str:
    """What a program with an engine printed in a process namespace of its own, where nobody else can be hit."""
    own = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"]
    if not ROOT:
        own[1:1] = ["--user", "--map-root-user"]
    tried = subprocess.run(
        [*own, sys.executable, "-c", _ENGINE + program, str(image), str(folder)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    return tried.stdout or tried.stderr


def test_whoever_inherits_the_number_of_a_dead_process_one_is_spared(image: Path, tmp_path: Path) -> None:
    assert in_a_process_namespace(_INHERITED_NUMBER, image, tmp_path) == "spared\n"


def test_nothing_lives_on_when_its_monitor_is_killed_while_it_starts(image: Path, tmp_path: Path) -> None:
    assert in_a_process_namespace(_KILLED_AT_ANY_MOMENT, image, tmp_path) == "nothing is left\n"
