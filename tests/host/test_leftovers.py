"""Background processes that fill the process limit make way for a command, whatever they count as.

The shared host allows 64 processes, so from 49 on they are ended.
"""

from __future__ import annotations

import pytest

from .conftest import Container

UNREAPED = """
import os, pathlib, time
for _ in range(56):
    if os.fork() == 0: os._exit(0)
pathlib.Path("/tmp/ready").touch()
time.sleep(1000)
"""

HEADLESS_THREADS = """
import ctypes, pathlib, threading, time
threading.stack_size(65536)
for _ in range(56):
    threading.Thread(target=time.sleep, args=(1000,)).start()
pathlib.Path("/tmp/ready").touch()
ctypes.CDLL(None).syscall(60, 0)
"""


@pytest.mark.parametrize("program", [UNREAPED, HEADLESS_THREADS], ids=["ended, not reaped", "first thread ended"])
async def test_they_are_ended_and_it_is_told(container: Container, program: str) -> None:
    await container.place("fill.py", program.encode())
    await container.bash(
        "python3 $INPUT_DIR/fill.py > /dev/null 2>&1 & until [ -e /tmp/ready ]; do sleep 0.01; done", seconds=30
    )
    seen = await container.bash("true | true | true | true | true | true | true | true | true | echo next")
    assert (seen.stdout, seen.stderr) == ("next\n", "")
    assert seen.finished.notes[0].startswith("Processes left running by earlier commands")
