"""Process 1 of a sandbox is held from the start: its number is never used to end it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.host.conftest import ROOT

_PROGRAM = """
import asyncio, os, subprocess, sys
from pathlib import Path
from bathysphere.host.engines.base import SandboxSpec
from bathysphere.host.engines.bubblewrap import Bubblewrap
from bathysphere.host.stage import set_plain

async def main(image, folder):
    for name in ("home", "tmp", "files"):
        (folder / "disk" / name).mkdir(parents=True)
    stage = set_plain(image, folder, folder)
    engine = Bubblewrap()
    engine.check()
    sandbox = await engine.start(SandboxSpec(
        image=stage.image, guest=stage.guest, disk=folder / "disk", identity=None, group=None, processes=64,
        open_files=256, file_bytes=1 << 30, shared_memory_bytes=1 << 20,
    ))
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


def test_whoever_inherits_the_number_of_a_dead_process_one_is_spared(image: Path, tmp_path: Path) -> None:
    # In a process namespace of its own, where the next number can be chosen and nobody else be hit.
    own = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"]
    if not ROOT:
        own[1:1] = ["--user", "--map-root-user"]
    tried = subprocess.run(
        [*own, sys.executable, "-c", _PROGRAM, str(image), str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert tried.stdout == "spared\n", tried.stderr
